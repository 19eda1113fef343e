"""How long the pairs are, in tokens: what a plan is made from where no data is given.

The spread is that of 300 real English preference pairs, four characters to a token. Knows no tokenizer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from orpo_compat.errors import PlanError

# Characters at the 0, 25, 50, 75 and 100 % quantiles of 300 real English pairs.
PROMPT_QUANTILES = (20, 236, 768, 3074, 13283)
RESPONSE_QUANTILES = (10, 500, 1450, 2250, 4800)
_CHARACTERS_PER_TOKEN = 4


class PairShape(NamedTuple):
    """One pair in tokens: the prompt that both responses share, and the responses."""

    prompt: int
    chosen: int
    rejected: int

    @property
    def packed(self) -> int:
        """Tokens of the pair with its prompt once."""
        return self.prompt + self.chosen + self.rejected

    @property
    def longest(self) -> int:
        """Tokens of its longer sequence: what a padded batch is at least as wide as."""
        return self.prompt + max(self.chosen, self.rejected)


def filled_pairs(max_length: int) -> list[PairShape]:
    """The longest pair that ``max_length`` allows, half of it prompt."""
    _check(max_length)
    prompt = max_length // 2
    return [PairShape(prompt, max_length - prompt, max_length - prompt)]


def typical_pairs(max_length: int, count: int = 512) -> list[PairShape]:
    """Draw pairs with the spread of real ones, cut to ``max_length``; the same ones every time."""
    _check(max_length)
    draw = random.Random(0)

    def tokens(quantiles: Sequence[int]) -> int:
        band = draw.randrange(4)
        return max(1, draw.randint(quantiles[band], quantiles[band + 1]) // _CHARACTERS_PER_TOKEN)

    def cut() -> PairShape:
        responses = [min(tokens(RESPONSE_QUANTILES), max_length - 1) for _ in range(2)]
        # A prompt is trimmed to leave the responses room, but never below half of what there is.
        prompt = min(tokens(PROMPT_QUANTILES), max(max_length // 2, max_length - max(responses)))
        return PairShape(prompt, *(min(size, max_length - prompt) for size in responses))

    return [cut() for _ in range(count)]


def _check(max_length: int) -> None:
    if max_length < 2:
        raise PlanError(f"--length must be at least 2 tokens, a prompt's and a response's; got {max_length}")


def padded_tokens(pairs: Sequence[PairShape], batch: int) -> float:
    """Tokens of a pair on average when batches of so many pairs are padded: two rows each, as wide as the longest."""
    batches = [pairs[start : start + batch] for start in range(0, len(pairs), batch)]
    total = sum(2 * len(group) * max(pair.longest for pair in group) for group in batches)
    return total / len(pairs)
