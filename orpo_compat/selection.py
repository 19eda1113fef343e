"""Which pairs are trained on and which are held out: filters, a cap, and a split that never divides a prompt.

Everything is a pure function of the pairs and a seed; every pair left out is accounted for under a reason.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from orpo_compat.errors import DataError
from orpo_compat.pairs import Pair, Turns, flat_text

EMPTY = "a part is empty"
IDENTICAL = "chosen and rejected are the same"
DUPLICATED = "the same pair was already there"
OVER_LENGTH = "longer than max_length"


@dataclass(frozen=True, slots=True)
class Screened:
    """The pairs that stay, and for each reason the places of those that do not."""

    kept: list[Pair]
    dropped: dict[str, list[int]] = field(default_factory=dict)

    @property
    def num_dropped(self) -> int:
        """How many pairs were left out, over all reasons."""
        return sum(len(places) for places in self.dropped.values())


def prompt_key(turns: Turns) -> str:
    """What makes two prompts the same: their text and roles, surrounding white space aside."""
    return turns.strip() if isinstance(turns, str) else json.dumps(turns, sort_keys=True)


def screen(
    pairs: list[Pair],
    *,
    drop_identical: bool = True,
    drop_duplicates: bool = True,
    too_long: Callable[[Pair], bool] | None = None,
) -> Screened:
    """Leave out pairs that teach nothing: empty parts, identical responses, repeats, optionally over-long ones.

    Args:
        pairs: in the order of the source.
        drop_identical: leave out pairs whose responses are equal (their log-odds are always 0).
        drop_duplicates: leave out exact repeats of an earlier pair.
        too_long: judges one pair; None keeps every length (the trainer then trims).

    Raises:
        DataError: nothing is left.
    """
    kept: list[Pair] = []
    dropped: dict[str, list[int]] = {}
    seen: set[tuple[str, str, str]] = set()
    for pair in pairs:
        parts = (prompt_key(pair.prompt), prompt_key(pair.chosen), prompt_key(pair.rejected))
        reason = None
        if not all(flat_text(turns).strip() for turns in (pair.prompt, pair.chosen, pair.rejected)):
            reason = EMPTY
        elif drop_identical and parts[1] == parts[2]:
            reason = IDENTICAL
        elif drop_duplicates and parts in seen:
            reason = DUPLICATED
        elif too_long is not None and too_long(pair):
            reason = OVER_LENGTH
        seen.add(parts)
        if reason is None:
            kept.append(pair)
        else:
            dropped.setdefault(reason, []).append(pair.place)
    if not kept:
        reasons = "; ".join(f"{len(places)}: {reason}" for reason, places in dropped.items()) or "there were none"
        raise DataError(
            f"none of the {len(pairs)} pairs can be trained on ({reasons}).\n"
            "  Next: look at them with `orpo-compat data inspect`, and check the column options."
        )
    return Screened(kept, dropped)


def split_by_prompt(pairs: list[Pair], fraction: float, *, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Hold out about a fraction of the pairs, all pairs of a prompt on the same side.

    Prompts are shuffled with the seed and taken until the fraction is reached; the order inside each side is
    the source's. The same pairs, fraction and seed give the same split on every machine.

    Raises:
        DataError: the fraction is not in [0, 1), or there is only one prompt to divide.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"--eval-fraction {fraction}: not in [0, 1).\n  Next: give a share such as 0.1.")
    if fraction == 0:
        return pairs, []
    sizes: dict[str, int] = {}
    for pair in pairs:
        key = prompt_key(pair.prompt)
        sizes[key] = sizes.get(key, 0) + 1
    if len(sizes) < 2:
        raise DataError(
            "all pairs share one prompt, so none can be held out without leaking it.\n"
            "  Next: give --eval-fraction 0, or a separate --eval-data file."
        )
    keys = list(sizes)
    random.Random(seed).shuffle(keys)
    wanted, held, count = max(1, round(fraction * len(pairs))), set[str](), 0
    for key in keys[:-1]:
        if count >= wanted:
            break
        held.add(key)
        count += sizes[key]
    train = [pair for pair in pairs if prompt_key(pair.prompt) not in held]
    return train, [pair for pair in pairs if prompt_key(pair.prompt) in held]
