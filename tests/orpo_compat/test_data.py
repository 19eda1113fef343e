"""Oracles: rows split by hand, and TRL's own functions on the same rows."""

from __future__ import annotations

from typing import Any

import pytest

from orpo_compat.data import render_chat, split_shared_start, to_text, with_prompt


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt"),
    [
        ("The sky is blue.", "The sky is green.", "The sky is"),
        ("abc", "abd", "ab"),
        ("same", "same", "sam"),
        ("ab", "abc", "a"),
        ("x", "y", ""),
        (" x", " y", ""),
    ],
)
def test_an_implicit_text_prompt_is_what_both_start_with(chosen: str, rejected: str, prompt: str) -> None:
    split = split_shared_start(chosen, rejected)
    assert split["prompt"] == prompt
    assert split["prompt"] + split["chosen"] == chosen
    assert split["prompt"] + split["rejected"] == rejected
    assert split["chosen"]
    assert split["rejected"]


def test_an_implicit_chat_prompt_is_the_shared_messages() -> None:
    row = {"chosen": [user("q"), assistant("a")], "rejected": [user("q"), assistant("b")]}
    assert with_prompt(row) == {"prompt": [user("q")], "chosen": [assistant("a")], "rejected": [assistant("b")]}


def test_a_text_prompt_beside_messages_is_discarded_for_theirs() -> None:
    row = {"prompt": "q", "chosen": [user("q"), assistant("a")], "rejected": [user("q"), assistant("b")]}
    assert with_prompt(row)["prompt"] == [user("q")]


def test_an_empty_side_without_a_prompt_names_the_lengths() -> None:
    with pytest.raises(ValueError, match=r"lengths 0 and 3"):
        split_shared_start("", "abc")


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(KeyError, match=r"'rejected', got \['chosen', 'prompt'\]"):
        with_prompt({"prompt": "q", "chosen": "a"})


def test_a_cell_that_is_no_text_is_named() -> None:
    with pytest.raises(ValueError, match="chosen should be a string or a list of messages, got float"):
        to_text({"prompt": "q", "chosen": 1.5, "rejected": "b"}, None)


ROWS: list[dict[str, Any]] = [
    {"prompt": "q ", "chosen": "a", "rejected": "b"},
    {"chosen": "The sky is blue.", "rejected": "The sky is green."},
    {"prompt": [user("q")], "chosen": [assistant("a")], "rejected": [assistant("b")]},
    {"chosen": [user("q"), assistant("a")], "rejected": [user("q"), assistant("b")]},
    {"prompt": [user("q"), assistant("so")], "chosen": [assistant("a")], "rejected": [assistant("b")]},
    {"prompt": "q", "chosen": [user("q"), assistant("a")], "rejected": [user("q"), assistant("b")]},
]


@pytest.mark.parametrize("row", ROWS)
def test_the_text_of_a_row_equals_trl_s(row: dict[str, Any], tokenizer: Any) -> None:
    data_utils = pytest.importorskip("trl.data_utils")
    theirs = data_utils.maybe_apply_chat_template(data_utils.maybe_extract_prompt(row), tokenizer)
    assert to_text(row, tokenizer) == {key: theirs[key] for key in ("prompt", "chosen", "rejected")}


def test_a_template_that_opens_a_thought_keeps_it_in_both_responses(tokenizer: Any) -> None:
    """DeepSeek-R1's template writes <think> after a bare prompt only; it must not be taken for the prompt's."""

    class Thinking:
        def apply_chat_template(self, messages: Any, add_generation_prompt: bool = False, **_: Any) -> str:
            text = "".join(f"<{m['role']}>{m['content']}" for m in messages)
            return text + "<assistant><think>" if add_generation_prompt else text

    row = {"prompt": [user("q")], "chosen": [assistant("<think>x")], "rejected": [assistant("y")]}
    assert render_chat(row, Thinking()) == {"prompt": "<user>q<assistant>", "chosen": "<think>x", "rejected": "y"}
