"""The embedded preference pairs, and the shapes in which a scenario presents them.

Text in, rows out: no tokenizer. The order of the rows is the order in which both arms train on them.
"""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any, Literal

from parity.errors import SpecError

Row = dict[str, Any]
Shape = Literal["strings", "implicit", "chat", "long"]

_PAIRS = Path(__file__).parent / "data" / "pairs.json"


@cache
def _pairs() -> tuple[tuple[str, str, str], ...]:
    rows = json.loads(_PAIRS.read_text(encoding="utf-8"))
    return tuple((row["prompt"], row["chosen"], row["rejected"]) for row in rows)


def embedded_pairs() -> list[dict[str, str]]:
    """Return the embedded pairs as rows of three strings."""
    return [dict(zip(("prompt", "chosen", "rejected"), pair, strict=True)) for pair in _pairs()]


def _strings(pair: dict[str, str]) -> Row:
    return {"prompt": pair["prompt"] + "\n", "chosen": pair["chosen"], "rejected": pair["rejected"]}


def _implicit(pair: dict[str, str]) -> Row:
    """The prompt is not a column: it is what chosen and rejected begin with."""
    return {side: f"Question: {pair['prompt']}\nReply: {pair[side]}" for side in ("chosen", "rejected")}


def _chat(pair: dict[str, str]) -> Row:
    reply = {side: [{"role": "assistant", "content": pair[side]}] for side in ("chosen", "rejected")}
    return {"prompt": [{"role": "user", "content": pair["prompt"]}], **reply}


def _long(pair: dict[str, str]) -> Row:
    """Responses several times the usual length, so that a small ``max_length`` cuts most of them."""
    return {
        "prompt": pair["prompt"] + "\n",
        "chosen": " ".join([pair["chosen"]] * 4),
        "rejected": " ".join([pair["rejected"]] * 6),
    }


_SHAPES = {"strings": _strings, "implicit": _implicit, "chat": _chat, "long": _long}


def make_rows(shape: Shape, count: int, *, seed: int) -> list[Row]:
    """Return ``count`` rows in a seeded order; the pairs repeat once all have been used.

    Raises:
        SpecError: an unknown shape, or fewer than one row.
    """
    if shape not in _SHAPES or count < 1:
        raise SpecError(f"cannot make {count} rows of shape {shape!r}; shapes are {', '.join(_SHAPES)}, count >= 1")
    order = random.Random(f"rows-{seed}")
    rows: list[Row] = []
    while len(rows) < count:
        pairs = embedded_pairs()
        order.shuffle(pairs)
        rows += [_SHAPES[shape](pair) for pair in pairs]
    return rows[:count]
