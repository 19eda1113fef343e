"""How long pairs are in tokens, before anything is cut. Uses the trainer's own rendering and tokenization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orpo_compat.pairs import Pair

_NO_LIMIT = 2**31 - 1
NOTE_WORDS = {
    "response_trimmed": "have a response cut",
    "prompt_trimmed": "have their prompt cut",
    "rescued": "of them because the prompt alone fills max_length",
    "boundary_repaired": "tokenize differently at the end of the prompt",
}
"""In words what `RowNote` counts, by its flags in lower case."""


@dataclass(frozen=True, slots=True)
class PairLength:
    """Tokens of a pair as the model would see it, special tokens included."""

    prompt: int
    chosen: int
    rejected: int

    @property
    def total(self) -> int:
        """The longer of the two rows."""
        return self.prompt + max(self.chosen, self.rejected)


def tokenized(pairs: Sequence[Pair], tokenizer: Any, rules: Any) -> dict[str, list[Any]]:
    """Tokenize pairs exactly as training will, with their rendered ``prompt``, ``chosen`` and ``rejected`` text."""
    from orpo_compat.preprocessing import render_and_tokenize_into_lists

    columns = {name: [pair.as_row()[name] for pair in pairs] for name in ("prompt", "chosen", "rejected")}
    return render_and_tokenize_into_lists(columns, range(len(pairs)), tokenizer, rules)


def trim_words(counts: Mapping[str, int]) -> str:
    """What was done to a dataset's rows, in one line; empty if nothing was."""
    told = [f"{counts[name]:,} {words}" for name, words in NOTE_WORDS.items() if counts.get(name)]
    return ", ".join(told)


def pair_lengths(pairs: Sequence[Pair], tokenizer: Any) -> list[PairLength]:
    """Measure every pair without any limit."""
    from orpo_compat.tokenization import TokenizationRules

    rows = tokenized(pairs, tokenizer, TokenizationRules(max_length=_NO_LIMIT))
    measured = []
    for chosen, rejected in zip(rows["chosen_labels"], rows["rejected_labels"], strict=True):
        prompt = sum(label == -100 for label in chosen)
        measured.append(
            PairLength(prompt, len(chosen) - prompt, len(rejected) - sum(label == -100 for label in rejected))
        )
    return measured
