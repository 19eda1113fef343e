"""How a model ranks held-out pairs: log-odds and NLL of each, win rate with its uncertainty over all.

Uses the trainer's own evaluation, so that the numbers are those of training. A pair is won when the chosen response
has the higher mean log-probability, as in ``rewards/accuracies``.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orpo_compat.pairs import Pair


@dataclass(frozen=True, slots=True)
class PairScore:
    """One pair under one model."""

    place: int
    chosen_logp: float
    """Mean log-probability of the chosen response's tokens."""
    rejected_logp: float
    log_odds: float

    @property
    def won(self) -> bool:
        """Whether the model prefers the chosen response."""
        return self.chosen_logp > self.rejected_logp

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "won": self.won}


@dataclass(frozen=True, slots=True)
class Summary:
    """All pairs under one model."""

    pairs: int
    win_rate: float
    win_rate_low: float
    """Lower end of the 95% Wilson interval of the win rate."""
    win_rate_high: float
    mean_log_odds: float
    mean_log_odds_error: float
    """Standard error of that mean."""
    nll: float
    loss: float

    def as_dict(self) -> dict[str, float]:
        """Plain values, for JSON."""
        return asdict(self)


def score_pairs(
    model: Any, tokenizer: Any, pairs: Sequence[Pair], *, max_length: int, batch_size: int, beta: float
) -> tuple[list[PairScore], Summary]:
    """Score every pair.

    Args:
        model: a causal language model, with or without an adapter.
        tokenizer: its tokenizer.
        pairs: what to score.
        max_length: pairs are trimmed to it as in training.
        batch_size: pairs per forward pass.
        beta: only enters the loss.
    """
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback

    from orpo_compat.config import ORPOConfig
    from orpo_compat.loss import odds_terms
    from orpo_compat.trainer import ORPOTrainer

    with tempfile.TemporaryDirectory() as scratch:
        config = ORPOConfig(
            output_dir=scratch,
            per_device_eval_batch_size=batch_size,
            max_length=max_length,
            beta=beta,
            report_to="none",
            disable_tqdm=True,
            gradient_checkpointing=False,
            dataloader_pin_memory=torch.cuda.is_available(),
        )
        data = Dataset.from_list([pair.as_row() for pair in pairs])
        trainer = ORPOTrainer(model, config, eval_dataset=data, processing_class=tokenizer)
        trainer.remove_callback(PrinterCallback)
        held_out: Any = trainer.eval_dataset
        output = trainer.predict(held_out)
    logps = torch.as_tensor(output.predictions).double() / beta  # rewards are beta times the mean log-probability
    chosen, rejected = logps[:, 0], logps[:, 1]
    odds = odds_terms(chosen, rejected).log_odds_B.tolist()
    rows = zip(pairs, chosen.tolist(), rejected.tolist(), odds, strict=True)
    scores = [PairScore(pair.place, *numbers) for pair, *numbers in rows]
    metrics = output.metrics or {}
    return scores, summarize(scores, nll=float(metrics["test_nll_loss"]), loss=float(metrics["test_loss"]))


def summarize(scores: Sequence[PairScore], *, nll: float, loss: float) -> Summary:
    """Bring scores together; every pair counts the same."""
    count = len(scores)
    low, high = wilson(sum(score.won for score in scores), count)
    mean = sum(score.log_odds for score in scores) / count
    spread = sum((score.log_odds - mean) ** 2 for score in scores) / max(1, count - 1)
    rate = sum(score.won for score in scores) / count
    return Summary(count, rate, low, high, mean, math.sqrt(spread / count), nll, loss)


def wilson(won: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson score interval of a share, at 95% by default; sensible also at 0 and 1."""
    share, base = won / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / base
    reach = z / base * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - reach), min(1.0, middle + reach)
