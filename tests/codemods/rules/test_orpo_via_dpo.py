"""loss_type="orpo" never existed."""

from __future__ import annotations

import pytest

from codemods.findings import Severity
from tests.codemods.checks import check_noop, check_refuses


@pytest.mark.parametrize("call", ["DPOConfig(loss_type='orpo')", "trl.DPOConfig('o', loss_type=['orpo', 'sft'])"])
def test_the_loss_that_never_was_is_an_error(call: str) -> None:
    done = check_refuses(f"import trl\nfrom trl import DPOConfig\nargs = {call}\n", "OC125")
    assert done.findings[0].severity is Severity.ERROR


def test_other_losses_are_fine() -> None:
    check_noop("from trl import DPOConfig\nargs = DPOConfig(loss_type='ipo', run_name='orpo')\n")
