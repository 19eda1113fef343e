"""Oracle: Python's own truth for the words of a boolean; ``base`` is the one word more."""

from __future__ import annotations

import pytest

from orpo_compat.switches import Dropout, as_dropout


@pytest.mark.parametrize(
    ("given", "expected"),
    [(True, True), (False, False), ("true", True), ("False", False), ("1", True), ("no", False), (" Base ", "base")],
)
def test_words_and_booleans_are_read_alike(given: object, expected: object) -> None:
    assert as_dropout(given) == expected
    assert Dropout(given) == expected  # type: ignore[operator]


@pytest.mark.parametrize("given", ["adapter", "", None, 2])
def test_anything_else_is_refused_with_the_choices(given: object) -> None:
    with pytest.raises(ValueError, match="none of True, False, 'base'"):
        as_dropout(given)
