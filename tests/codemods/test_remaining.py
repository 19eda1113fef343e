"""The last net, and the small arithmetic that places its findings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codemods.edits import Edit, splice
from codemods.findings import Finding
from codemods.inventory import usages, works_today
from codemods.remaining import remaining, source_offset
from codemods.reports.model import line_after, shown

SOURCE = b"import x\nfrom trl import ORPOTrainer, SFTTrainer\ny = 1\n# trl.ORPOConfig\n"
EDITS = (Edit(25, 36, b"ORPOTrainer", b"", "t"), Edit(48, 48, b"", b"\nfrom orpo_compat import ORPOTrainer", "t"))


def test_a_mention_that_no_finding_covers_is_listed_at_its_line_of_the_source() -> None:
    (found,) = remaining("a.py", SOURCE, splice(SOURCE, EDITS), EDITS, ())
    assert (found.code, found.line, found.column) == ("OC103", 4, 3)


def test_a_mention_that_a_finding_covers_is_not_listed_twice() -> None:
    known = Finding("OC103", "a.py", 4, 1, "", "")
    assert list(remaining("a.py", SOURCE, splice(SOURCE, EDITS), EDITS, [known])) == []


def test_an_import_over_lines_is_covered_by_a_finding_on_any_of_them() -> None:
    source = b"from trl import (\n    DPOTrainer,\n    ORPOTrainer,\n)\n"
    assert [one.line for one in remaining("a.py", source, source, (), ())] == [1]
    assert list(remaining("a.py", source, source, (), [Finding("OC107", "a.py", 3, 1, "", "")])) == []


def test_lines_below_an_inserted_line_move_down_and_those_above_stay() -> None:
    assert [line_after(SOURCE, EDITS, line) for line in (1, 2, 3, 4)] == [1, 2, 4, 5]


@given(st.data())
def test_every_byte_that_no_edit_touched_is_traced_back_to_itself(data: st.DataObject) -> None:
    source = data.draw(st.binary(min_size=1, max_size=30))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(source)), max_size=4, unique=True)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    new = data.draw(st.binary(max_size=4))
    edits = tuple(Edit(start, end, source[start:end], new, "t") for start, end in pairs)
    result = splice(source, edits)
    for offset in range(len(result)):
        origin = source_offset(edits, offset)
        inside = any(edit.start <= origin < max(edit.end, edit.start + 1) for edit in edits)
        assert inside or source[origin] == result[offset]


def test_paths_are_shown_on_one_line_whatever_they_hold() -> None:
    assert shown("a b/\u00e4.py") == "a b/\u00e4.py"
    assert shown("a\nb.py") == "'a\\nb.py'"
    assert shown("\udcff.py") == "'\\udcff.py'"


def test_inventory_sees_imports_aliases_and_chains_but_no_homonyms() -> None:
    source = (
        b"import trl.trainer.orpo_trainer as t\nfrom trl import trainer\nfrom .trl import ORPOTrainer\n"
        b"class ORPOConfig: ...\nx = t.ORPOTrainer, trainer.ORPOConfig, self.trl.ORPOTrainer\n"
        b"from trl.experimental import orpo\nfrom trl.trainer.orpo_trainer import *\n"
    )
    assert [(use.line, use.module, use.name) for use in usages("a.py", source)] == [
        (5, "trl.trainer", "ORPOConfig"),
        (5, "trl.trainer.orpo_trainer", "ORPOTrainer"),
        (6, "trl.experimental.orpo", "(module)"),
        (7, "trl.trainer.orpo_trainer", "*"),
    ]


OLD, NEW = b"from trl import ORPOTrainer\n", b"from trl.experimental.orpo import ORPOConfig\n"
LADDER = (
    b"try:\n    from trl import ORPOTrainer\nexcept ImportError:\n    from trl.experimental.orpo import ORPOTrainer\n"
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (OLD, "TRL 0.8.2 to 0.28"),
        (NEW, "TRL 0.26 and later"),
        (OLD + NEW, "TRL 0.26 to 0.28"),
        (LADDER, "TRL 0.8.2 and later"),
        (LADDER + NEW, "TRL 0.26 and later"),
        (b"from orpo_compat import ORPOTrainer\n", "any TRL release, or none"),
    ],
)
def test_releases_on_which_all_of_a_files_imports_work(source: bytes, expected: str) -> None:
    assert works_today(usages("a.py", source)) == expected


def test_inventory_of_a_text_that_does_not_parse_is_empty() -> None:
    assert usages("a.py", b"from trl import ORPOTrainer\nprint 'two'\n") == []
