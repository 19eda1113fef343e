"""Turns the rows of a diverging micro-batch back into text, with the response marked off. Judges nothing."""

from __future__ import annotations

import json
from pathlib import Path

from parity.trace import Micro, Trace
from parity.verdict import Divergence

_MOST_ROWS = 4
_MOST_CHARACTERS = 400


def _micros(trace: Trace, divergence: Divergence) -> list[Micro]:
    """Return the micro-batch that diverged, or all of the step where the divergence belongs to the step."""
    if divergence.micro >= 0:
        return [micro for micro in trace.micros if micro.micro == divergence.micro]
    return [micro for micro in trace.micros if micro.step == divergence.step]


class Decoder:
    """Decodes with the plan's tokenizer; where that cannot be read without its trainer, shows the token ids."""

    def __init__(self, plan_file: Path) -> None:
        self._tokenizer = None
        folder = Path(json.loads(plan_file.read_text(encoding="utf-8"))["tokenizer_dir"])
        if (folder / "tokenizer.json").is_file():
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def text(self, ids: list[int]) -> str:
        """Return the text of token ids, special tokens included."""
        if self._tokenizer is None:
            return " ".join(map(str, ids))
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def row(self, ids: list[int], labels: list[int]) -> str:
        """Return a row with its prompt and its response apart, as text that fits a line."""
        start = next((index for index, label in enumerate(labels) if label != -100), len(ids))
        text = f"{self.text(ids[:start])!r} -> {self.text(ids[start:])!r}"
        return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "..."


def decode_rows(divergence: Divergence, theirs: Trace, ours: Trace, plan_file: Path) -> list[str]:
    """Return the rows involved, in text: theirs', and ours' wherever those differ."""
    decoder, lines = Decoder(plan_file), []
    other = {micro.micro: micro for micro in ours.micros}
    for micro in _micros(theirs, divergence):
        pairs = other[micro.micro].pairs if micro.micro in other else []
        for index, pair in enumerate(micro.pairs[:_MOST_ROWS]):
            mine = pairs[index] if index < len(pairs) else {}
            for side in ("chosen", "rejected"):
                line = decoder.row(pair[side], pair[f"{side}_labels"])
                same = mine.get(side) == pair[side] and mine.get(f"{side}_labels") == pair[f"{side}_labels"]
                lines.append(f"micro-batch {micro.micro}, pair {index}, {side}{'' if same else ' (theirs)'}: {line}")
                if not same and side in mine:
                    yours = decoder.row(mine[side], mine[f"{side}_labels"])
                    lines.append(f"micro-batch {micro.micro}, pair {index}, {side} (ours): {yours}")
    return lines[: 4 * _MOST_ROWS]
