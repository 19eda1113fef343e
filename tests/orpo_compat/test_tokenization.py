"""Oracles: TRL 1.16's ``tokenize_row`` on the same row, rows cut by hand, and laws over random rows."""

from __future__ import annotations

from typing import Any

import pytest
from accelerate import PartialState
from hypothesis import given, settings
from hypothesis import strategies as st

from orpo_compat.tokenization import RowNote, TokenizationRules, tokenize_pairs

WORDS = st.text(alphabet="abcdefg .,?!\n<>", min_size=0, max_size=60)


class Characters:
    """A tokenizer of one id per character, without merges: lengths can be read off the text."""

    bos_token_id: int | None = 1
    eos_token_id: int | None = 2

    def __call__(self, texts: Any, **_: Any) -> dict[str, Any]:
        if isinstance(texts, str):
            return {"input_ids": [ord(c) for c in texts], "attention_mask": [1] * len(texts)}
        return {"input_ids": [[ord(c) for c in text] for text in texts]}


def tokenize(prompt: str, chosen: str, rejected: str, tokenizer: Any = None, **rules: Any) -> dict[str, Any]:
    batch = {"prompt": [prompt], "chosen": [chosen], "rejected": [rejected]}
    columns = tokenize_pairs(batch, tokenizer or Characters(), TokenizationRules(**{"max_length": 48, **rules}))
    return {name: values[0] if name == "row_note" else values[0].tolist() for name, values in columns.items()}


def lengths(row: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {
        side: (len(row[f"{side}_input_ids"]), sum(label != -100 for label in row[f"{side}_labels"]))
        for side in ("chosen", "rejected")
    }


# Lengths include BOS in the prompt and EOS in the responses: a 39-character prompt is 40 tokens.
@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "rules", "expected"),
    [
        (39, 29, 9, {}, {"chosen": (48, 8), "rejected": (48, 8)}),
        (2, 59, 59, {}, {"chosen": (48, 45), "rejected": (48, 45)}),
        (2, 9, 4, {}, {"chosen": (13, 10), "rejected": (8, 5)}),
        (39, 29, 9, {"max_prompt_length": 16}, {"chosen": (46, 30), "rejected": (26, 10)}),
        (2, 59, 59, {"max_prompt_length": 16}, {"chosen": (35, 32), "rejected": (35, 32)}),
        (45, 4, 4, {"max_prompt_length": 44}, {"chosen": (48, 4), "rejected": (48, 4)}),
    ],
)
def test_truncation_keeps_as_many_tokens_as_the_release_s_rule(
    prompt: int, chosen: int, rejected: int, rules: dict[str, int], expected: dict[str, tuple[int, int]]
) -> None:
    row = tokenize("p" * prompt, "c" * chosen, "r" * rejected, **rules)
    assert lengths(row) == expected


def test_keep_end_and_keep_start_trim_the_prompt_from_the_other_side() -> None:
    prompt = "abcdefghij" * 5
    end = tokenize(prompt, "x" * 10, "y" * 10, max_prompt_length=8, truncation_mode="keep_end")
    start = tokenize(prompt, "x" * 10, "y" * 10, max_prompt_length=8, truncation_mode="keep_start")
    assert end["prompt_input_ids"] == [ord(c) for c in "cdefghij"]
    assert start["prompt_input_ids"] == [1, *(ord(c) for c in "abcdefg")]


def test_a_prompt_that_fills_max_length_is_trimmed_and_counted() -> None:
    row = tokenize("p" * 60, "c" * 30, "r" * 5)
    assert lengths(row) == {"chosen": (48, 24), "rejected": (30, 6)}
    assert RowNote(row["row_note"]) == RowNote.RESCUED | RowNote.PROMPT_TRIMMED | RowNote.RESPONSE_TRIMMED


@given(
    st.integers(0, 80), st.integers(0, 80), st.integers(0, 80), st.integers(2, 64),
    st.none() | st.integers(1, 64), st.sampled_from(["keep_end", "keep_start"]), st.booleans(),
)  # fmt: skip
def test_no_row_is_longer_than_max_length_or_without_a_response(
    p: int, c: int, r: int, max_length: int, max_prompt_length: int | None, mode: str, special: bool
) -> None:
    tokenizer = Characters()
    if not special:
        tokenizer.bos_token_id = None
    row = tokenize(
        "p" * p, "c" * c, "r" * r, tokenizer,
        max_length=max_length, max_prompt_length=max_prompt_length, truncation_mode=mode,
    )  # fmt: skip
    for total, response in lengths(row).values():
        assert response >= 1
        assert total <= max_length
    assert row["chosen_input_ids"][: len(row["prompt_input_ids"])] == row["prompt_input_ids"]


def their_row(tokenizer: Any, feature: dict[str, str], max_length: int) -> dict[str, Any]:
    orpo = pytest.importorskip("trl.experimental.orpo.orpo_trainer")
    PartialState()  # TRL's logger wants it
    trainer = object.__new__(orpo.ORPOTrainer)
    trainer.processing_class, trainer.is_encoder_decoder, trainer.max_length = tokenizer, False, max_length
    result: dict[str, Any] = trainer.tokenize_row(feature)
    return result


@settings(deadline=None, max_examples=150)
@given(WORDS, WORDS, WORDS, st.integers(8, 80))
def test_rows_equal_trl_s_wherever_trl_keeps_a_response(
    tokenizer: Any, prompt: str, chosen: str, rejected: str, max_length: int
) -> None:
    feature = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    try:
        theirs = their_row(tokenizer, feature, max_length)
    except ValueError:
        return  # TRL refuses prompts that merge by more than one token; ours repairs them
    ours = tokenize(**feature, tokenizer=tokenizer, max_length=max_length)
    if RowNote(ours["row_note"]) & (RowNote.RESCUED | RowNote.BOUNDARY_REPAIRED):
        return
    assert {key: value for key, value in ours.items() if key != "row_note"} == theirs


def test_a_merge_across_the_boundary_moves_it_back_by_one() -> None:
    """'ab' + 'c' becomes [a, bc]: the response starts at the merged token."""

    class Merging(Characters):
        def __call__(self, texts: Any, **_: Any) -> dict[str, Any]:
            return {"input_ids": [[ord(c) for c in text.replace("bc", "\u00ff")] for text in texts]}

    row = tokenize("ab", "cd", "xy", Merging())
    assert row["chosen_labels"] == [-100, -100, 0xFF, ord("d"), 2]
    assert row["rejected_labels"] == [-100, -100, -100, ord("x"), ord("y"), 2]
    assert row["prompt_input_ids"] == [1, ord("a")]


@pytest.mark.parametrize(("bos", "eos"), [(None, None), (None, 2), (1, None)])
def test_tokens_the_tokenizer_lacks_are_not_added(bos: int | None, eos: int | None) -> None:
    tokenizer = Characters()
    tokenizer.bos_token_id, tokenizer.eos_token_id = bos, eos
    row = tokenize("p", "c", "r", tokenizer)
    expected = [token for token in (bos, ord("p"), ord("c"), eos) if token is not None]
    assert row["chosen_input_ids"] == expected


def test_special_tokens_already_there_are_not_doubled() -> None:
    row = tokenize("\x01p", "c\x02", "r\x02")
    assert row["chosen_input_ids"] == [1, ord("p"), ord("c"), 2]


def test_encoder_decoder_rows_keep_prompt_and_responses_apart() -> None:
    class Seq2Seq(Characters):
        def __call__(self, texts: Any, max_length: int | None = None, **_: Any) -> dict[str, Any]:
            ids = [[ord(c) for c in text][: max_length and max_length - 1] + [2] for text in texts]
            return {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}

    row = tokenize("pp", "cccc", "r", Seq2Seq(), is_encoder_decoder=True, max_completion_length=3)
    assert row["prompt_input_ids"] == [ord("p"), ord("p"), 2]
    assert row["chosen_labels"] == [ord("c"), ord("c"), 2]
    assert row["rejected_labels"] == [ord("r"), 2]
    assert row["row_note"] == RowNote.NONE
