"""Shapes nobody writes on purpose and everybody meets: what each becomes was worked out before it was run.

The table is ``unusual_shapes.jsonl``: text before, text after (absent where nothing may change), the codes of the
findings and the options that are not the default. Bytes that are not UTF-8 stand in it as lone surrogates.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codemods.containers import rewrite_file
from codemods.edits import splice
from codemods.options import Options
from codemods.rewrite import invert
from tests.codemods.checks import parses

CASES = [json.loads(line) for line in Path(__file__).with_name("unusual_shapes.jsonl").read_text().splitlines()]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_it_becomes_what_was_worked_out(case: dict[str, Any]) -> None:
    before, after = _bytes(case["before"]), _bytes(case.get("after", case["before"]))
    options = Options(**case.get("options", {}))
    done = rewrite_file(case["path"], before, options)
    assert done.result == after
    assert sorted({finding.code for finding in done.findings}) == case["codes"]
    assert splice(done.result, invert(done)) == before
    assert rewrite_file(case["path"], after, options).result == after
    assert parses(after) or not parses(before) or not case["path"].endswith((".py", ".pyi", ".pyw", "train"))


def test_every_name_in_the_table_is_there_once() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
