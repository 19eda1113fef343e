"""Rows of every common layout become the same pair. Expected pairs are written out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orpo_compat.columns import Columns
from orpo_compat.errors import DataError
from orpo_compat.pairs import Pair, to_pairs
from orpo_compat.sources import Source

USER = {"role": "user", "content": "Q"}
GOOD = {"role": "assistant", "content": "good"}
BAD = {"role": "assistant", "content": "bad"}
TEXT = Pair("Q", "good", "bad", 1)
CHAT = Pair([USER], [GOOD], [BAD], 1)


def source(*rows: dict[str, Any], kind: str = "jsonl") -> Source:
    return Source("prefs", kind, list(rows), list(range(1, len(rows) + 1)), "sha256:0")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "Q", "chosen": "good", "rejected": "bad"}, TEXT),
        ({"Question": "Q", "Chosen": "good", "Rejected": "bad"}, TEXT),
        ({"instruction": "Q", "input": "", "chosen": "good", "rejected": "bad"}, TEXT),
        ({"instruction": "Q", "input": "x", "chosen": "g", "rejected": "b"}, Pair("Q\nx", "g", "b", 1)),
        ({"instruction": "Q", "output": ["good", "bad"]}, TEXT),
        (
            {"system": "S", "question": "Q", "chosen": "good", "rejected": "bad"},
            Pair("S\n\nQ", "good", "bad", 1),
        ),
        (
            {"chosen": "Human: Q\n\nA: good", "rejected": "Human: Q\n\nA: bad"},
            Pair("Human: Q\n\nA:", " good", " bad", 1),
        ),
        ({"prompt": 1, "chosen": 2, "rejected": 2.5}, Pair("1", "2", "2.5", 1)),
        ({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, CHAT),
        ({"chosen": [USER, GOOD], "rejected": [USER, BAD]}, CHAT),
        ({"prompt": "Q", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, CHAT),
        ({"prompt": "Q", "chosen": [GOOD], "rejected": [BAD]}, CHAT),
        ({"prompt": [USER], "chosen": "good", "rejected": "bad"}, CHAT),
        (
            {
                "conversations": [{"from": "human", "value": "Q"}],
                "chosen": {"from": "gpt", "value": "good"},
                "rejected": {"from": "gpt", "value": "bad"},
            },
            CHAT,
        ),
        ({"prompt": "Q", "chosen": json.dumps([USER, GOOD]), "rejected": json.dumps([USER, BAD])}, CHAT),
        (
            {"instruction": "Q", "history": [["a", "b"]], "chosen": "good", "rejected": "bad"},
            Pair(
                [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, USER],
                [GOOD],
                [BAD],
                1,
            ),
        ),
        (
            {"system": "S", "prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
            Pair([{"role": "system", "content": "S"}, USER], [GOOD], [BAD], 1),
        ),
    ],
)
def test_every_layout_is_read_as_the_same_pair(row: dict[str, Any], expected: Pair) -> None:
    assert to_pairs(source(row)).rows == [expected]


def test_a_text_that_only_looks_like_json_stays_text() -> None:
    row = {"prompt": "Q", "chosen": '[{"role": broken', "rejected": '["a", "b"]'}
    assert to_pairs(source(row)).rows == [Pair("Q", '[{"role": broken', '["a", "b"]', 1)]


def test_columns_named_by_the_user_win_over_the_obvious_ones() -> None:
    row = {"prompt": "no", "chosen": "no", "rejected": "no", "p": "Q", "a": "good", "b": "bad"}
    assert to_pairs(source(row), Columns(prompt="p", chosen="a", rejected="b")).rows == [TEXT]


def test_missing_cells_become_empty_text_not_the_word_nan() -> None:
    rows = [
        {"prompt": "Q", "chosen": float("nan"), "rejected": "bad"},
        {"prompt": "Q", "chosen": None, "rejected": "bad"},
    ]
    assert [pair.chosen for pair in to_pairs(source(*rows)).rows] == ["", ""]
    written = {"prompt": "Q", "chosen": "NaN", "rejected": "bad"}
    assert to_pairs(source(written, kind="csv")).rows[0].chosen == ""
    assert to_pairs(source(written, kind="jsonl")).rows[0].chosen == "NaN"


def test_mixed_chat_and_text_is_refused_with_the_first_row_of_each() -> None:
    rows = [
        {"prompt": "Q", "chosen": "a", "rejected": "b"},
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
    ]
    with pytest.raises(DataError, match=r"1 rows hold text \(first: line 1\), 1 hold messages \(first: line 2\)"):
        to_pairs(source(*rows))
    assert to_pairs(source(*rows), as_chat=True).rows[1] == Pair([USER], [GOOD], [BAD], 2)


@pytest.mark.parametrize(
    ("row", "asked", "fragments"),
    [
        (
            {"prompt": "", "chosen": "", "score": ""},
            Columns(),
            ["no column is obviously", "'chosen'", "--rejected-column NAME"],
        ),
        (
            {"prompt": "", "chosen": "", "rejeted": ""},
            Columns(rejected="rejected"),
            ["--rejected-column 'rejeted'"],
        ),
        ({"prompt;chosen;rejected": "a;b;c"}, Columns(), ["--delimiter ';'"]),
        ({"prompt": "", "completion": "", "label": True}, Columns(), ["KTO"]),
    ],
)
def test_a_missing_column_is_said_with_the_option_that_names_it(
    row: dict[str, Any], asked: Columns, fragments: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        to_pairs(source(row), asked)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_cell_that_is_neither_text_nor_messages_names_its_place() -> None:
    with pytest.raises(DataError, match="line 1: column 'chosen' holds"):
        to_pairs(source({"prompt": "Q", "chosen": [1, 2, 3], "rejected": "b"}))


PRINTED = {
    "json": json.dumps([USER, GOOD]),
    "python": str([USER, {**GOOD, "content": "it's good"}]),
    "numpy": "[{'content': 'Q', 'role': 'user'}\n {'content': 'good', 'role': 'assistant'}]",
}


@pytest.mark.parametrize(("how", "answer"), [("json", "good"), ("python", "it's good"), ("numpy", "good")])
def test_messages_printed_into_a_csv_cell_are_messages(how: str, answer: str) -> None:
    rows = source({"chosen": PRINTED[how], "rejected": str([USER, BAD])}, kind="csv")
    assert to_pairs(rows).rows == [Pair([USER], [{**GOOD, "content": answer}], [BAD], 1)]


def test_content_in_parts_is_joined_if_all_of_it_is_text() -> None:
    parts = {"role": "assistant", "content": [{"type": "text", "text": "go"}, {"type": "text", "text": "od"}]}
    rows = source({"prompt": [USER], "chosen": [parts], "rejected": [BAD]})
    assert to_pairs(rows).rows == [CHAT]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": [{"type": "image", "image": "x.png"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
    ],
)
def test_what_is_more_than_text_is_refused_instead_of_dropped(message: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"line 1.*more than text"):
        to_pairs(source({"prompt": [USER], "chosen": [message], "rejected": [BAD]}))


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["prompt", "completion", "label"], "join two completions"),
        (["What?", "Yes.", "No."], "put a header above it"),
        (["prompt", "chosen"], "add the rejected responses"),
        (["prompt:chosen:rejected"], "--delimiter ':'"),
        (["prompt", "chosen", "other"], "--rejected-column NAME"),
    ],
)
def test_a_missing_response_is_answered_by_what_the_header_suggests(names: list[str], hint: str) -> None:
    with pytest.raises(DataError) as caught:
        to_pairs(source(dict.fromkeys(names, "x"), kind="csv"))
    assert hint in str(caught.value)
