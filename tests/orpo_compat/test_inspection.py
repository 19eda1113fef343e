"""What inspection says of small files whose every property is known; with the tiny tokenizer a token is a byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orpo_compat.columns import Columns
from orpo_compat.inspection import Finding, Lengths, inspect_pairs
from orpo_compat.pairs import Pair, Pairs
from orpo_compat.tiny_model import tiny_tokenizer
from orpo_compat.tokenization import TokenizationRules


def pairs(*rows: tuple[str, str, str]) -> Pairs:
    made = [Pair(*row, place) for place, row in enumerate(rows, start=2)]
    return Pairs(made, chat=False, columns=Columns(), layout="text")


def findings(data: Pairs, **kwargs: Any) -> dict[str, tuple[int, ...]]:
    return {finding.code: finding.places for finding in inspect_pairs(data, **kwargs).findings}


def with_tokens(max_length: int, **options: Any) -> dict[str, Any]:
    return {"tokenizer": tiny_tokenizer(), "rules": TokenizationRules(max_length=max_length, **options)}


def test_a_clean_file_has_no_findings() -> None:
    assert findings(pairs(("ask", "good", "bad"), ("other", "fine", "poor")), **with_tokens(64)) == {}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (("ask", "", "bad"), "empty"),
        (("ask", "None", "bad"), "placeholder"),
        (("ask", "same", "same"), "identical"),
        (("q", "a", "b"), "duplicated"),
        (("q", "b", "a"), "contradicted"),
        (("what is it?", "what is it? A cat.", "A dog."), "prompt-repeated"),
    ],
)
def test_each_fault_of_a_row_is_found_at_its_place(row: tuple[str, str, str], code: str) -> None:
    found = findings(pairs(("q", "a", "b"), row))
    assert found.pop(code)[-1] == 3
    assert set(found) <= {"contradicted"}


def test_counts_and_lengths_are_those_of_the_complete_pairs() -> None:
    found = inspect_pairs(pairs(("ab", "abc", "a"), ("ab", "abcde", "abc"), ("x", "", "y")))
    assert (found.rows, found.usable, found.prompts, found.unit) == (3, 2, 1, "characters")
    assert (found.lengths["chosen"].smallest, found.lengths["chosen"].largest) == (3, 5)
    assert found.lengths["together"].largest == 7


def test_tokens_are_counted_with_bos_and_eos() -> None:
    found = inspect_pairs(pairs(("ab", "abc", "a")), **with_tokens(64))
    assert found.lengths["prompt"].largest == 3
    assert found.lengths["chosen"].largest == 4


def test_what_truncation_would_do_is_counted() -> None:
    rows = (("p", "short", "also"), ("p", "x" * 50, "y"), ("p" * 60, "x", "y"))
    found = inspect_pairs(pairs(*rows), **with_tokens(20))
    assert found.truncation["untouched"] == 1
    assert found.truncation["response_trimmed"] >= 1
    assert found.truncation["rescued"] == 1
    assert 3 in {place for f in found.findings if f.code == "no-eos" for place in f.places}


def test_responses_that_differ_only_behind_the_cut_are_found() -> None:
    rows = (("p", "x" * 30 + "good", "x" * 30 + "bad"), ("p", "a", "b"))
    assert findings(pairs(*rows), **with_tokens(20))["cut-alike"] == (2,)
    assert "cut-alike" not in findings(pairs(*rows), **with_tokens(64))


def test_a_second_bos_in_the_text_is_found() -> None:
    assert findings(pairs(("<s><s>ask", "good", "bad")), **with_tokens(64))["double-bos"] == (2,)


def test_a_length_bias_is_reported_with_its_size() -> None:
    rows = [(f"q{i}", "long answer" if i % 10 else "a", "short") for i in range(40)]
    found: list[Finding] = [f for f in inspect_pairs(pairs(*rows)).findings if f.code == "length-bias"]
    assert "chosen is longer than rejected in 90% of the pairs (median ratio 2.20)" in found[0].what
    balanced = [(f"q{i}", "long answer" if i % 2 else "a", "short") for i in range(40)]
    assert findings(pairs(*balanced)) == {}


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60))
def test_histograms_hold_every_value(values: list[int]) -> None:
    spread = Lengths.of(values)
    assert sum(spread.counts) == len(values)
    assert spread.edges[-1] >= spread.largest == max(values)
    assert spread.smallest <= spread.quartiles[0] <= spread.quartiles[1] <= spread.quartiles[2] <= spread.largest


def test_json_carries_codes_counts_and_the_first_places() -> None:
    plain = inspect_pairs(pairs(*[("q", "a", "a")] * 30)).as_dict()
    (identical,) = [f for f in plain["findings"] if f["code"] == "identical"]
    assert (identical["pairs"], identical["first"][:2], len(identical["first"])) == (30, [2, 3], 20)
