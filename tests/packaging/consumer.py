"""A program as a user with strict types writes it; checked against the installed wheel, never run."""

from __future__ import annotations

from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from codemods.rewrite import Rewrite, rewrite
from orpo_compat import ORPOConfig, ORPOTrainer, PreferenceCollator, __version__
from orpo_compat.errors import OrpoCompatError
from orpo_compat.loss import odds_terms
from orpo_compat.planning.models import find_shape


class Logged(ORPOTrainer):
    """A subclass with a hook of its own."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        super().log({**logs, "release": float(len(__version__))}, start_time)


def trained(name: str, rows: list[dict[str, str]]) -> float:
    """Train and return the last loss; 0 if the model cannot be had."""
    from datasets import Dataset  # type: ignore[import-untyped]  # ships no types

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name)
    config = ORPOConfig(output_dir="out", beta=0.1, max_length=512)
    try:
        trainer = Logged(
            model=AutoModelForCausalLM.from_pretrained(name),
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            data_collator=PreferenceCollator(pad_token_id=0),
        )
    except OrpoCompatError:
        return 0.0
    loss: float = trainer.train().training_loss
    return loss


def odds(chosen_logps_B: Tensor, rejected_logps_B: Tensor) -> Tensor:
    """The odds ratio's log, pair by pair."""
    terms = odds_terms(chosen_logps_B, rejected_logps_B)
    return terms.log_odds_B


def moved(source: bytes) -> bytes:
    """A file's new bytes."""
    done: Rewrite = rewrite(source, path="train.py")
    return done.result


WEIGHTS: int = find_shape("8B").weights
