"""Oracle: the committed page, and the fields, rows and advice of the code it describes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from transformers import HfArgumentParser, TrainingArguments

from orpo_compat.config import ORPOConfig
from orpo_compat.defaults import CHANGES
from orpo_compat.reference import main, page
from orpo_compat.refusals import ADVICE
from orpo_compat.spellings import SPELLINGS

COMMITTED = Path(__file__).parents[2] / "docs" / "config.md"
FIRST_CELLS = re.findall(r"^\| (`.*?) \|", page(), flags=re.MULTILINE)
NAMES = [name for cell in FIRST_CELLS for name in re.findall(r"`([\w]+)`", cell)]


def test_the_committed_page_is_what_the_code_says() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == page(), "run: python -m orpo_compat.reference"


def test_the_page_stays_the_same_after_a_parser_has_read_the_fields() -> None:
    before = page()
    HfArgumentParser(ORPOConfig)
    assert page() == before


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ORPOConfig)])
def test_every_argument_is_on_the_page_once_or_belongs_to_transformers(name: str) -> None:
    inherited = {field.name for field in dataclasses.fields(TrainingArguments)} - set(ORPOConfig.__annotations__)
    aliases = {row.name for row in SPELLINGS if not row.last}
    if name in aliases:
        assert f"`{name}`" in page()
    elif name not in inherited:
        assert NAMES.count(name) == 1


@pytest.mark.parametrize("row", SPELLINGS, ids=lambda row: row.name)
def test_every_older_spelling_is_on_the_page(row: object) -> None:
    assert f"`{row.name}`" in page()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ADVICE)
def test_every_refused_name_is_on_the_page_with_its_advice(name: str) -> None:
    (line,) = [line for line in page().splitlines() if line.endswith(f"| {ADVICE[name]} |")]
    assert f"`{name}`" in line


def test_every_change_of_a_default_is_on_the_page() -> None:
    assert all(f"| {since} |" in page() for since, _ in CHANGES)


def test_running_the_module_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "config.md"
    assert main([str(target)]) == 0
    assert target.read_text(encoding="utf-8") == page()
    assert str(target) in capsys.readouterr().err
