"""Datasets in, tokenized datasets out: one batched map that ``datasets`` can cache, and a report of what was trimmed.

Takes ``Dataset``, ``IterableDataset``, and dicts of them; rows that carry ``chosen_input_ids`` pass straight through.
Knows no model. Subclasses that override ``tokenize_row`` get their rows one by one, as under TRL.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc
from datasets.fingerprint import Hasher

from orpo_compat import __version__
from orpo_compat.data import to_text
from orpo_compat.loss import IGNORE_INDEX
from orpo_compat.tokenization import RowNote, TokenizationRules, tokenize_pairs

logger = logging.getLogger(__name__)

TOKENIZED_MARK = "chosen_input_ids"
LABELS_MARK = "chosen_labels"
Tokenize = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class DataReport:
    """What happened to the rows on their way to token ids, per dataset."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Dataset name -> how many ``rows`` and how many of each ``RowNote``, in lower case."""

    def add(self, name: str, notes: list[int]) -> None:
        """Count the notes of one dataset's rows."""
        tally = Counter(flag.name.lower() for note in notes for flag in RowNote if flag and RowNote(note) & flag)  # type: ignore[union-attr]
        self.counts[name] = {"rows": len(notes), **tally}

    @property
    def touched(self) -> bool:
        """Whether any row was trimmed or repaired."""
        return any(len(counts) > 1 for counts in self.counts.values())

    def __str__(self) -> str:
        return "; ".join(
            f"{name}: " + ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in counts.items())
            for name, counts in self.counts.items()
        )


def render_and_tokenize(
    batch: dict[str, list[Any]], indices: Sequence[int], tokenizer: Any, rules: TokenizationRules
) -> dict[str, list[Any]]:
    """Bring a batch of raw rows to text and then to token ids; a pure function, so that maps are cacheable.

    Ids are arrays: ``datasets`` looks at every number of a list, and copies an array.

    Raises:
        ValueError: a row is neither text nor messages; named by its place in the dataset.
    """
    texts = render(batch, indices, tokenizer)
    return {**texts, **tokenize_pairs(texts, tokenizer, rules)}


def render_and_tokenize_into_lists(
    batch: dict[str, list[Any]], indices: Sequence[int], tokenizer: Any, rules: TokenizationRules
) -> dict[str, list[Any]]:
    """Do the same with lists, for rows that are handed on as they are."""
    columns = render_and_tokenize(batch, indices, tokenizer, rules)
    return {
        name: [ids.tolist() if isinstance(ids, np.ndarray) else ids for ids in values]
        for name, values in columns.items()
    }


def render(batch: dict[str, list[Any]], indices: Sequence[int], tokenizer: Any) -> dict[str, list[Any]]:
    """Bring a batch of raw rows to prompt, chosen and rejected strings."""
    rows = []
    for place, index in enumerate(indices):
        try:
            rows.append(to_text({column: values[place] for column, values in batch.items()}, tokenizer))
        except ValueError as error:
            raise ValueError(f"row {index}: {error}") from error
    return {column: [row[column] for row in rows] for column in ("prompt", "chosen", "rejected")}


def complete_tokenized(row: dict[str, Any], label_pad_token_id: int = IGNORE_INDEX) -> dict[str, Any]:
    """Fill in the masks and labels that a pre-tokenized row leaves out.

    Without ``*_labels`` the prompt's length must be known from ``prompt_input_ids``.

    Raises:
        ValueError: neither labels nor the prompt's ids are there.
    """
    filled: dict[str, Any] = {}
    for side in ("chosen", "rejected"):
        ids = row[f"{side}_input_ids"]
        if row.get(f"{side}_attention_mask") is None:
            filled[f"{side}_attention_mask"] = [1] * len(ids)
        if row.get(f"{side}_labels") is not None:
            continue
        if row.get("prompt_input_ids") is None:
            raise ValueError(
                f"pre-tokenized rows need {side}_labels, or prompt_input_ids to tell where the response begins; "
                f"got the columns {sorted(row)}"
            )
        prompt = min(len(row["prompt_input_ids"]), len(ids))
        filled[f"{side}_labels"] = [label_pad_token_id] * prompt + list(ids[prompt:])
    if row.get("prompt_input_ids") is None:
        labels = row.get("chosen_labels") or filled["chosen_labels"]
        start = next((i for i, label in enumerate(labels) if label != label_pad_token_id), len(labels))
        filled["prompt_input_ids"] = list(row["chosen_input_ids"][:start])
    if row.get("prompt_attention_mask") is None:
        filled["prompt_attention_mask"] = [1] * len(filled.get("prompt_input_ids") or row["prompt_input_ids"])
    return filled


@dataclass
class Preprocessor:
    """Tokenizes whatever a trainer was given as data.

    Args:
        tokenizer: A fast or slow transformers tokenizer.
        rules: What the ids depend on.
        num_proc: Worker processes of the map; not for streams.
        tokenize_row: A subclass's own row function, or None for the batched one.
        length_column: Where to write each pair's tokens, for a sampler that groups by length.
        report: Where the rows' notes are counted.
    """

    tokenizer: Any
    rules: TokenizationRules
    num_proc: int | None = None
    tokenize_row: Tokenize | None = None
    length_column: str | None = None
    report: DataReport = field(default_factory=DataReport)

    def __call__(self, data: Any, name: str) -> Any:
        """Return ``data`` tokenized; a dict of datasets comes back as a dict."""
        if data is None:
            return None
        if isinstance(data, Mapping):
            kind: Any = type(data)
            return kind({key: self(part, f"{name}/{key}") for key, part in data.items()})
        if not hasattr(data, "map"):
            return data  # a torch Dataset whose rows its own collator understands
        streaming = not hasattr(data, "num_rows")
        columns = _column_names(data)
        if TOKENIZED_MARK in columns or (self.rules.is_encoder_decoder and LABELS_MARK in columns):
            return self._complete(data, columns, streaming)
        return self._tokenize(data, name, streaming)

    def _workers(self, streaming: bool) -> dict[str, Any]:
        return {} if streaming else {"num_proc": self.num_proc}

    def _complete(self, data: Any, columns: list[str], streaming: bool) -> Any:
        if self.rules.is_encoder_decoder:
            return data
        options = {
            "fn_kwargs": {"label_pad_token_id": self.rules.label_pad_token_id},
            **self._workers(streaming),
        }
        return data.map(complete_tokenized, **options)

    def _tokenize(self, data: Any, name: str, streaming: bool) -> Any:
        options: dict[str, Any] = self._workers(streaming)
        if not streaming:
            options["desc"] = f"Tokenizing {name}"
        if self.tokenize_row is not None:
            data = data.map(render, batched=True, with_indices=True, fn_kwargs={"tokenizer": self.tokenizer}, **options)
            return data.map(self.tokenize_row, **options)
        if not streaming:
            options["new_fingerprint"] = self._fingerprint(data)
        data = data.map(
            render_and_tokenize_into_lists if streaming else render_and_tokenize,
            batched=True,
            with_indices=True,
            fn_kwargs={"tokenizer": self.tokenizer, "rules": self.rules},
            **options,
        )
        if not streaming:
            self.report.add(name, data["row_note"])
            if "row_id" not in data.column_names:
                data = data.add_column("row_id", range(data.num_rows))
            if self.length_column is not None and self.length_column not in data.column_names:
                data = data.add_column(self.length_column, pair_sizes(data))
        return data.remove_columns("row_note")

    def _fingerprint(self, data: Any) -> str:
        """Name the result by what it depends on, so that a second run finds it in the cache of ``datasets``."""
        parts = (data._fingerprint, render_and_tokenize.__qualname__, __version__, self.rules)
        name: str = Hasher.hash((*parts, tokenizer_content(self.tokenizer)))
        return name


def tokenizer_content(tokenizer: Any) -> Any:
    """Return what a tokenizer's ids depend on, without the state that merely using it changes.

    A fast tokenizer remembers the last call's padding and truncation, so its pickle differs once it has been used.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return tokenizer
    content = json.loads(backend.to_str())
    content.update(truncation=None, padding=None)
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.chat_template)
    return type(tokenizer).__name__, json.dumps(content, sort_keys=True), special


def pair_sizes(data: Any) -> list[int]:
    """Count the tokens of each tokenized pair, chosen and rejected together."""
    columns = [data.with_format("arrow")[f"{side}_labels"] for side in ("chosen", "rejected")]
    lengths = [pc.list_value_length(column).to_pylist() for column in columns]
    return [sum(pair) for pair in zip(*lengths, strict=True)]


def _column_names(data: Any) -> list[str]:
    """Return a dataset's columns; a stream may have to be looked into."""
    if data.column_names is not None:
        return list(data.column_names)
    first = next(iter(data), None)
    return list(first) if first is not None else []
