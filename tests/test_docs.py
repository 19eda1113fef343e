"""The documents agree with the code they were generated from, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from codemods.rules import table

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]


def test_the_rules_page_is_what_the_rules_say() -> None:
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == table.table(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_every_test_that_the_differences_name_exists() -> None:
    named = set(re.findall(r"`(test_\w+)(?:\.py)?`", (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")))
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    known = {path.stem for path in sources} | {
        n for text in sources.values() for n in re.findall(r"def (test_\w+)", text)
    }
    assert named
    assert named <= known
