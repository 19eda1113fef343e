"""The stacks are what ``pyproject.toml`` says, and the table holds what the runs gave."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.matrix.run import Row, read_rows, run_stack, table, write_table
from tests.matrix.stacks import NEWEST, ROOT, STACKS, constraints, dependencies, floor, lowest_python, packages

VERSIONS = {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.0.0", "peft": "0.18.0", "accelerate": "1.4.0",
            "datasets": "3.0.0"}  # fmt: skip
PAGE = "before\n<!-- table of `make matrix` -->\nold\n<!-- end of the table -->\nafter\n"


def test_the_oldest_stack_is_every_lower_bound() -> None:
    oldest = dict(pin.split("==") for pin in packages("oldest"))
    assert oldest.keys() == {each.name for each in dependencies()}
    for each in dependencies():
        assert oldest[each.name] in each.specifier
        if each.name != "torch":
            assert str(each.specifier) == f">={oldest[each.name]}"


def test_the_newest_stack_is_no_older_than_what_everything_else_is_tested_with() -> None:
    newest = dict(pin.split("==") for pin in packages("newest"))
    assert newest.keys() == {each.name for each in dependencies()}
    pinned = constraints()
    assert all(Version(version) >= Version(pinned[name]) for name, version in newest.items())
    assert NEWEST.read_text(encoding="utf-8").count("==") == len(newest)


def recorded() -> dict[str, Row]:
    return {row.stack: row for row in read_rows((ROOT / "docs" / "support.md").read_text(encoding="utf-8"))}


@pytest.mark.parametrize("stack", STACKS)
def test_the_support_table_is_of_the_stack_as_it_is_now(stack: str) -> None:
    """A bound or a pin that was changed without `make matrix` fails here."""
    row = recorded()[stack]
    for pin in packages(stack):
        name, _, version = pin.partition("==")
        assert Version(Version(row.versions[name]).public) == Version(version), f"{name}: run `make matrix`"
    assert row.failed == 0
    assert row.passed > 2000


def test_the_lowest_torch_and_python_were_run_with_every_lower_bound() -> None:
    row = recorded()["lowest"]
    for each in dependencies():
        assert Version(Version(row.versions[each.name]).public) == Version(floor(each)), each.name
    assert Version(row.versions["python"]).release[:2] == lowest_python()
    assert row.failed == 0
    assert row.passed > 2000


def test_a_dependency_without_a_lower_bound_is_named() -> None:
    with pytest.raises(ValueError, match="somelib"):
        floor(Requirement("somelib<3"))


def test_a_row_is_replaced_by_a_later_run_of_its_stack_and_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "support.md"
    page.write_text(PAGE, encoding="utf-8")
    write_table(page, [Row("oldest", VERSIONS, 10, 2, 3), Row("by hand", VERSIONS, 1, 0, 0)])
    write_table(page, [Row("oldest", VERSIONS, 13, 2, 0)])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| oldest | 3.11.7 | 2.13.0 | 5.0.0 | 0.18.0 | 1.4.0 | 3.0.0 | 13 passed, 2 skipped |" in text
    assert "| by hand |" in text
    assert "old\n" not in text
    assert "3 failed" not in text


def test_a_page_without_a_table_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(ValueError, match="end of the table"):
        write_table(page, [])


def test_failures_are_counted_and_shown(tmp_path: Path) -> None:
    mixed = tmp_path / "test_mixed.py"
    mixed.write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): assert 0\n@pytest.mark.skip\ndef test_c(): pass\n"
        "@pytest.mark.slow\ndef test_d(): assert 0\n",
        encoding="utf-8",
    )
    row = run_stack("mine", python=Path(sys.executable), tools=tmp_path, tests=(str(mixed),))
    assert (row.passed, row.skipped, row.failed) == (1, 1, 1)
    assert "1 passed, 1 skipped, 1 failed" in table([row])
    gone = run_stack("mine", python=Path(sys.executable), tools=tmp_path, tests=(os.devnull, "--no-such-option"))
    assert gone.failed == 1
