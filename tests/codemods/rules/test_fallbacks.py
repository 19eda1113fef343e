"""Expressions that quietly take another trainer."""

from __future__ import annotations

import pytest

from codemods.findings import Severity
from tests.codemods.checks import check_noop, check_refuses, check_rewrites


@pytest.mark.parametrize(
    ("expression", "severity"),
    [
        ("getattr(trl, 'ORPOTrainer', None) or trl.DPOTrainer", Severity.ERROR),
        ("getattr(trl, 'ORPOTrainer', trl.CPOTrainer)", Severity.ERROR),
        ("getattr(trl, 'ORPOTrainer', None)", Severity.WARNING),
        ("getattr(trl, 'ORPOTrainer')", Severity.WARNING),
    ],
)
def test_a_lookup_by_name_is_reported_by_how_much_it_hides(expression: str, severity: Severity) -> None:
    done = check_refuses(f"import trl\nT = {expression}\n", "OC105")
    assert [finding.severity for finding in done.findings] == [severity]


def test_a_computed_name_is_reported_where_the_file_is_about_orpo() -> None:
    check_rewrites(
        "import trl\nT = getattr(trl, kind + 'Trainer')\nC = trl.ORPOConfig\n",
        "import trl\nimport orpo_compat\nT = getattr(trl, kind + 'Trainer')\nC = orpo_compat.ORPOConfig\n",
        "OC105",
    )


def test_a_stand_in_under_orpos_name_is_an_error() -> None:
    done = check_rewrites(
        "try:\n    from trl import ORPOTrainer\nexcept ImportError:\n    from trl import DPOTrainer as ORPOTrainer\n",
        "try:\n    from orpo_compat import ORPOTrainer\nexcept ImportError:\n"
        "    from trl import DPOTrainer as ORPOTrainer\n",
        "OC105",
        "OC107",
    )
    assert done.findings[-1].severity is Severity.ERROR
    check_rewrites(
        "from trl import DPOTrainer\ntry:\n    from trl import ORPOTrainer\nexcept ImportError:\n"
        "    ORPOTrainer = DPOTrainer\n",
        "from trl import DPOTrainer\ntry:\n    from orpo_compat import ORPOTrainer\nexcept ImportError:\n"
        "    ORPOTrainer = DPOTrainer\n",
        "OC105",
        "OC107",
    )


def test_the_class_by_another_road_is_no_stand_in() -> None:
    check_rewrites(
        "import trl\nif new:\n    from trl.experimental.orpo import ORPOTrainer\nelse:\n"
        "    ORPOTrainer = trl.ORPOTrainer\n",
        "import orpo_compat\nif new:\n    from orpo_compat import ORPOTrainer\nelse:\n"
        "    ORPOTrainer = orpo_compat.ORPOTrainer\n",
    )


def test_getattr_on_something_else_is_not() -> None:
    check_noop("import trl\nC = getattr(zoo, 'ORPOTrainer')\nD = trl.SFTConfig\n")
