"""Byte spans: splicing, its inverse, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codemods.edits import Edit, arranged, inverted, splice
from codemods.errors import EditConflict


@st.composite
def plans(draw: st.DrawFn) -> tuple[bytes, tuple[Edit, ...]]:
    """Some bytes and edits of them, in order."""
    source = draw(st.binary(max_size=30))
    cuts = sorted(draw(st.lists(st.integers(0, len(source)), max_size=6)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    news = draw(st.lists(st.binary(max_size=4), min_size=len(spans), max_size=len(spans)))
    edits = [Edit(a, b, source[a:b], new, "X") for (a, b), new in zip(spans, news, strict=True)]
    return source, arranged(edits)


@given(plans())
def test_an_inverse_restores_every_byte(plan: tuple[bytes, tuple[Edit, ...]]) -> None:
    source, edits = plan
    result = splice(source, edits)
    assert splice(result, inverted(edits)) == source
    assert len(result) == len(source) + sum(edit.growth for edit in edits)


def test_no_edit_gives_the_same_object() -> None:
    source = b"abc"
    assert splice(source, ()) is source


def test_an_insertion_and_a_replacement_at_one_place_both_happen() -> None:
    assert splice(b"abc", (Edit(1, 1, b"", b"-", "X"), Edit(1, 2, b"b", b"B", "X"))) == b"a-Bc"


@pytest.mark.parametrize(
    "edits",
    [
        (Edit(0, 2, b"ab", b"", "X"), Edit(1, 3, b"bc", b"", "X")),
        (Edit(0, 1, b"z", b"", "X"),),
        (Edit(0, 2, b"a", b"", "X"),),
        (Edit(2, 9, b"c", b"", "X"),),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(edits: tuple[Edit, ...]) -> None:
    with pytest.raises(EditConflict):
        splice(b"abc", edits)


def test_doubles_and_edits_without_effect_are_dropped() -> None:
    edit = Edit(1, 2, b"b", b"B", "X")
    assert arranged([edit, Edit(0, 1, b"a", b"a", "X"), edit]) == (edit,)
