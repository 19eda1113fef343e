"""Taking a switch back out of a text that was edited since. Expected texts are written out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codemods.edits import splice
from codemods.rewrite import rewrite
from codemods.threeway import merge

BEFORE = b"import os\nfrom trl import DPOTrainer, ORPOTrainer\n\nclass A(ORPOTrainer):\n    pass\n"
AFTER = (
    b"import os\nfrom trl import DPOTrainer\nfrom orpo_compat import ORPOTrainer\n\nclass A(ORPOTrainer):\n    pass\n"
)


def back(current: bytes) -> tuple[bytes, int]:
    done = rewrite(BEFORE)
    assert done.result == AFTER
    merged = merge(BEFORE, done.edits, current)
    return merged.text, len(merged.conflicts)


def test_untouched_text_goes_back_whole() -> None:
    assert back(AFTER) == (BEFORE, 0)


def test_a_function_added_below_is_kept() -> None:
    assert back(AFTER + b"\n\ndef g(): ...\n") == (BEFORE + b"\n\ndef g(): ...\n", 0)


def test_lines_added_above_shift_the_spans() -> None:
    assert back(b"# licence\n# words\n" + AFTER) == (b"# licence\n# words\n" + BEFORE, 0)


def test_an_edit_elsewhere_on_other_lines_is_kept() -> None:
    assert back(AFTER.replace(b"pass", b"x = 1")) == (BEFORE.replace(b"pass", b"x = 1"), 0)


def test_an_edit_of_a_switched_line_is_a_conflict_and_stays() -> None:
    edited = AFTER.replace(b"import ORPOTrainer\n", b"import ORPOTrainer as T2\n")
    text, conflicts = back(edited)
    assert text == edited
    assert conflicts > 0


def test_a_moved_block_is_found_by_its_content() -> None:
    block = b"from trl import DPOTrainer\nfrom orpo_compat import ORPOTrainer\n"
    moved = AFTER.replace(block, b"").replace(b"import os\n", b"") + b"\n" + block
    text, conflicts = back(b"import os\nimport sys\n" + moved)
    assert conflicts == 0
    assert text.endswith(b"\nfrom trl import DPOTrainer, ORPOTrainer\n")


def test_text_that_is_already_original_has_nothing_to_undo() -> None:
    assert back(BEFORE + b"# more\n") == (BEFORE + b"# more\n", 0)


def test_switched_line_that_stands_twice_is_not_guessed_at() -> None:
    before, after = b"from trl import ORPOTrainer\n", b"from orpo_compat import ORPOTrainer\n"
    done = rewrite(before)
    merged = merge(
        before, done.edits, b"if x:\n    pass\n" + after.replace(b"\n", b"  # a\n") + after.replace(b"\n", b"  # b\n")
    )
    assert merged.conflicts


def test_crlf_text_keeps_its_line_ends() -> None:
    before = b"from trl import DPOTrainer, ORPOTrainer\r\nx = 1\r\n"
    done = rewrite(before)
    merged = merge(before, done.edits, done.result + b"y = 2\r\n")
    assert merged.text == before + b"y = 2\r\n"
    assert merged.conflicts == ()


LINES = st.lists(st.sampled_from([b"x = 1\n", b"# c\n", b"\n", b"import os\n", b"y = [\n    2,\n]\n"]), max_size=6)


@pytest.mark.parametrize(
    "before", [BEFORE, b"from trl.trainer import ORPOConfig\n", b"import trl\nt = trl.ORPOTrainer\n"]
)
@given(head=LINES, tail=LINES)
def test_whatever_is_added_around_the_switch_survives_the_way_back(
    before: bytes, head: list[bytes], tail: list[bytes]
) -> None:
    done = rewrite(before)
    assert done.changed
    around = b"".join(head), b"".join(tail)
    merged = merge(before, done.edits, around[0] + done.result + around[1])
    assert merged.text == around[0] + before + around[1]
    assert merged.conflicts == ()


@given(edits=st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=5)), max_size=4))
def test_no_edit_of_the_current_text_makes_it_raise_or_lose_a_byte_silently(edits: list[tuple[int, bytes]]) -> None:
    done = rewrite(BEFORE)
    current = AFTER
    for at, new in edits:
        current = current[:at] + new + current[at:]
    merged = merge(BEFORE, done.edits, current)
    undone = current.count(b"orpo_compat") - merged.text.count(b"orpo_compat")
    assert undone in (0, 1)
    assert merged.conflicts or undone or merged.text == current
    assert splice(BEFORE, done.edits) == AFTER
