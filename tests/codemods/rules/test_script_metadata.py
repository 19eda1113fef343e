"""PEP 723 headers."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_rewrites

HEADER = "# /// script\n# requires-python = '>=3.10'\n# dependencies = [\n#   {},\n# ]\n# ///\n"


@pytest.mark.parametrize(
    ("listed", "codes"),
    [("'trl>=0.20'", ["OC120"]), ("'trl'", ["OC120"]), ("'trl', 'orpo-compat'", []), ("'trlx'", []), ("'torch'", [])],
)
def test_a_header_that_lists_trl_alone_is_reported(listed: str, codes: list[str]) -> None:
    header = HEADER.format(listed)
    done = check_rewrites(
        f"{header}import trl\ntrl.ORPOConfig\n", f"{header}import orpo_compat\norpo_compat.ORPOConfig\n", *codes
    )
    assert [finding.line for finding in done.findings] == [4] * len(codes)


def test_crlf_headers_are_read_too() -> None:
    source = (HEADER.format("'trl'") + "from trl import ORPOConfig\n").replace("\n", "\r\n")
    check_rewrites(source, source.replace("from trl", "from orpo_compat"), "OC120")
