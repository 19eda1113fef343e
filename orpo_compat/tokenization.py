"""One preference row to token ids: where the response begins, BOS and EOS, truncation.

Batched and stateless: ``tokenize_pairs`` is a module-level function of plain values, so ``datasets`` can cache what
it returns. Knows nothing of models or trainers. The boundary and BOS/EOS rules are TRL 0.10 to 1.16's; truncation is
TRL 1.15's, or TRL 0.27's when ``max_prompt_length`` is given, except that a response is never left empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

import numpy as np

from orpo_compat.loss import IGNORE_INDEX
from orpo_compat.prompt_reuse import encode_with_prompts

TokenIds = list[int]


class RowNote(IntFlag):
    """What had to be done to a row; summed up in the trainer's ``data_report``."""

    NONE = 0
    RESPONSE_TRIMMED = 1
    PROMPT_TRIMMED = 2
    RESCUED = 4
    """The prompt filled ``max_length`` and was trimmed so that a response remains (TRL: NaN)."""
    BOUNDARY_REPAIRED = 8
    """Prompts of chosen and rejected tokenize differently by more than one token (TRL: an error)."""


@dataclass(frozen=True)
class TokenizationRules:
    """Everything the ids of a row depend on besides the tokenizer.

    Args:
        max_length: Tokens of prompt and response together.
        max_prompt_length: Given, truncation follows TRL 0.8.2 to 0.27.2; ``None``, TRL 1.15 and later.
        truncation_mode: Which side of an over-long *prompt* stays: ``keep_end`` or ``keep_start``.
        max_completion_length: Tokens of an encoder-decoder response.
        label_pad_token_id: Label of the prompt's positions.
        is_encoder_decoder: Tokenize responses on their own, as sequence-to-sequence labels.
    """

    max_length: int
    max_prompt_length: int | None = None
    truncation_mode: str = "keep_end"
    max_completion_length: int | None = None
    label_pad_token_id: int = IGNORE_INDEX
    is_encoder_decoder: bool = False


@dataclass
class _Response:
    """One side of a pair while it is being worked on."""

    prompt: TokenIds
    ids: TokenIds

    @classmethod
    def at_boundary(cls, full: TokenIds, prompt: TokenIds) -> _Response:
        """Split ``full`` where the prompt ends, one token earlier if the tokenizer merged across the boundary."""
        start = len(prompt)
        if prompt != full[:start]:
            start = max(start - 1, 0)
        return cls(full[:start], full[start:])

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.ids)


@dataclass
class _Pair:
    chosen: _Response
    rejected: _Response
    prompt: TokenIds
    note: RowNote = field(default=RowNote.NONE)

    @property
    def sides(self) -> tuple[_Response, _Response]:
        return self.chosen, self.rejected

    @property
    def longest_response(self) -> int:
        return max(len(side.ids) for side in self.sides)


def tokenize_pairs(batch: Mapping[str, Sequence[str]], tokenizer: Any, rules: TokenizationRules) -> dict[str, Any]:
    """Tokenize a batch of rows with ``prompt``, ``chosen`` and ``rejected`` strings.

    Returns TRL's columns, each row an int64 array: ``prompt_input_ids``, ``prompt_attention_mask`` and, for chosen and
    rejected, ``*_input_ids``, ``*_attention_mask`` (decoder-only) and ``*_labels``; and ``row_note`` (see ``RowNote``).
    """
    if rules.is_encoder_decoder:
        return _tokenize_encoder_decoder(batch, tokenizer, rules)
    prompts, chosen, rejected = encode_with_prompts(tokenizer, batch["prompt"], batch["chosen"], batch["rejected"])
    pairs = [
        _build_pair(prompt, ours, theirs, tokenizer, rules)
        for prompt, ours, theirs in zip(prompts, chosen, rejected, strict=True)
    ]
    return _columns(pairs, rules)


def join_answers(
    prompt: TokenIds,
    chosen: Mapping[str, TokenIds],
    rejected: Mapping[str, TokenIds],
    tokenizer: Any,
    rules: TokenizationRules,
) -> dict[str, Any]:
    """Finish one row whose boundaries are already known, as TRL's ``build_tokenized_answer`` returns them."""
    sides = [_Response(list(side["prompt_input_ids"]), list(side["input_ids"])) for side in (chosen, rejected)]
    pair = _finish_pair(_Pair(sides[0], sides[1], prompt), tokenizer, rules)
    return only_row(_columns([pair], rules))


def only_row(columns: Mapping[str, Any]) -> dict[str, TokenIds]:
    """Take the row out of columns of one, as lists."""
    return {name: values[0].tolist() for name, values in columns.items() if name != "row_note"}


def _build_pair(
    prompt: TokenIds, chosen: TokenIds, rejected: TokenIds, tokenizer: Any, rules: TokenizationRules
) -> _Pair:
    pair = _Pair(_Response.at_boundary(chosen, prompt), _Response.at_boundary(rejected, prompt), prompt)
    return _finish_pair(pair, tokenizer, rules)


def _finish_pair(pair: _Pair, tokenizer: Any, rules: TokenizationRules) -> _Pair:
    _agree_on_prompt(pair)
    _add_special_tokens(pair, tokenizer.bos_token_id, tokenizer.eos_token_id)
    if rules.max_prompt_length is None:
        _truncate_responses(pair, rules)
    else:
        _truncate_prompt_first(pair, rules.max_prompt_length, rules)
    return pair


def _agree_on_prompt(pair: _Pair) -> None:
    """Cut the generation prompt to what both sides share in length; repair sides that disagree by more.

    A merge may change the last prompt token or swallow it. Where it does worse TRL gives up; here both sides
    are cut at their longest common start.
    """
    chosen, rejected = pair.sides
    if chosen.prompt != rejected.prompt and _differ_by_more_than_a_token(chosen.prompt, rejected.prompt):
        full = [side.prompt + side.ids for side in pair.sides]
        limit = min(len(chosen.prompt), len(rejected.prompt))
        shared = next((i for i in range(limit) if full[0][i] != full[1][i]), limit)
        for side, ids in zip(pair.sides, full, strict=True):
            side.prompt, side.ids = ids[:shared], ids[shared:]
        pair.note |= RowNote.BOUNDARY_REPAIRED
    pair.prompt = pair.prompt[: min(len(chosen.prompt), len(rejected.prompt))]


def _differ_by_more_than_a_token(ours: TokenIds, theirs: TokenIds) -> bool:
    return abs(len(ours) - len(theirs)) > 1 or sum(a != b for a, b in zip(ours, theirs, strict=False)) > 1


def _add_special_tokens(pair: _Pair, bos: int | None, eos: int | None) -> None:
    if bos is not None:
        if not pair.prompt or pair.prompt[0] != bos:
            pair.prompt = [bos] + pair.prompt
        for side in pair.sides:
            if not side.prompt or side.prompt[0] != bos:
                side.prompt = [bos] + side.prompt
    if eos is not None:
        for side in pair.sides:
            if not side.ids or side.ids[-1] != eos:
                side.ids = side.ids + [eos]


def _truncate_responses(pair: _Pair, rules: TokenizationRules) -> None:
    """Give each response what its own prompt leaves of ``max_length`` (TRL >= 1.15)."""
    longest_prompt = max(len(side.prompt) for side in pair.sides)
    if longest_prompt >= rules.max_length:
        room = min(pair.longest_response, max(1, rules.max_length // 2))
        _trim_prompts(pair, max(rules.max_length - room, 0), rules.truncation_mode)
        pair.note |= RowNote.RESCUED
    for side in pair.sides:
        if side.length > rules.max_length:
            side.ids = side.ids[: rules.max_length - len(side.prompt)]
            pair.note |= RowNote.RESPONSE_TRIMMED


def _truncate_prompt_first(pair: _Pair, max_prompt_length: int, rules: TokenizationRules) -> None:
    """Cut the prompt to ``max_prompt_length``, then both responses alike (TRL 0.8.2 to 0.27.2)."""
    longest = pair.longest_response
    kept = min(max_prompt_length, rules.max_length - 1)
    for side in pair.sides:
        if len(side.prompt) + longest > rules.max_length and len(side.prompt) > kept:
            side.prompt = _trimmed(side.prompt, kept, rules.truncation_mode)
            pair.note |= RowNote.PROMPT_TRIMMED
    if len(pair.prompt) + longest > rules.max_length:
        pair.prompt = _trimmed(pair.prompt, kept, rules.truncation_mode)
    for side in pair.sides:
        if len(side.prompt) + longest > rules.max_length:
            budget = rules.max_length - kept
            if len(side.ids) > budget:
                side.ids = side.ids[:budget]
                pair.note |= RowNote.RESPONSE_TRIMMED


def _trim_prompts(pair: _Pair, kept: int, mode: str) -> None:
    # Both sides lose the same number of tokens, so that what they share stays shared.
    surplus = max(len(side.prompt) for side in pair.sides) - kept
    for side in pair.sides:
        side.prompt = _trimmed(side.prompt, max(len(side.prompt) - surplus, 0), mode)
    pair.prompt = _trimmed(pair.prompt, max(len(pair.prompt) - surplus, 0), mode)
    pair.note |= RowNote.PROMPT_TRIMMED


def _trimmed(ids: TokenIds, kept: int, mode: str) -> TokenIds:
    if len(ids) <= kept:
        return ids
    return ids[:kept] if mode == "keep_start" else ids[len(ids) - kept :]


def _columns(pairs: list[_Pair], rules: TokenizationRules) -> dict[str, Any]:
    ones = np.ones(max(map(_longest, pairs), default=0), dtype=np.int64)
    columns: dict[str, Any] = {
        "prompt_input_ids": [np.array(pair.prompt, dtype=np.int64) for pair in pairs],
        "prompt_attention_mask": [ones[: len(pair.prompt)] for pair in pairs],
        "row_note": [int(pair.note) for pair in pairs],
    }
    for name in ("chosen", "rejected"):
        sides = [getattr(pair, name) for pair in pairs]
        columns[f"{name}_input_ids"] = ids = [np.array(side.prompt + side.ids, dtype=np.int64) for side in sides]
        columns[f"{name}_attention_mask"] = [ones[: side.length] for side in sides]
        columns[f"{name}_labels"] = labels = [row.copy() for row in ids]
        for side, row in zip(sides, labels, strict=True):
            row[: len(side.prompt)] = rules.label_pad_token_id
    return columns


def _longest(pair: _Pair) -> int:
    return max(len(pair.prompt), *(side.length for side in pair.sides))


def _tokenize_encoder_decoder(
    batch: Mapping[str, Sequence[str]], tokenizer: Any, rules: TokenizationRules
) -> dict[str, Any]:
    """Tokenize prompts and responses apart, special tokens included, responses cut to ``max_completion_length``."""
    cut = {"truncation": True, "max_length": rules.max_completion_length}
    prompts = tokenizer(list(batch["prompt"]), add_special_tokens=True)
    columns = {"prompt_input_ids": prompts["input_ids"], "prompt_attention_mask": prompts["attention_mask"]}
    notes = [RowNote.NONE] * len(batch["prompt"])
    if rules.max_prompt_length is not None:
        for column in columns:
            columns[column] = [_trimmed(ids, rules.max_prompt_length, rules.truncation_mode) for ids in columns[column]]
    for side in ("chosen", "rejected"):
        columns[f"{side}_labels"] = tokenizer(list(batch[side]), add_special_tokens=True, **cut)["input_ids"]
    arrays = {name: [np.array(ids, dtype=np.int64) for ids in rows] for name, rows in columns.items()}
    return {**arrays, "row_note": [int(note) for note in notes]}
