"""The one-call constructor of the migration guides that people followed before this package existed."""

from __future__ import annotations

from typing import Any

from orpo_compat.config import ORPOConfig
from orpo_compat.trainer import ORPOTrainer


def create_orpo_trainer(
    model: Any,
    tokenizer: Any,
    train_dataset: Any,
    orpo_config: ORPOConfig | None = None,
    eval_dataset: Any = None,
    peft_config: Any = None,
    **trainer_arguments: Any,
) -> ORPOTrainer:
    """Build an ``ORPOTrainer`` from the arguments nearly every script passes.

    Args:
        model: A model, or the folder or hub name of one.
        tokenizer: Its tokenizer.
        train_dataset: Preference pairs; see ``ORPOTrainer``.
        orpo_config: The settings; the defaults if left out.
        eval_dataset: Pairs to evaluate on.
        peft_config: Trains an adapter instead of the model.
        trainer_arguments: Anything else ``ORPOTrainer`` takes.
    """
    return ORPOTrainer(
        model=model,
        args=orpo_config,
        train_dataset=train_dataset,
        eval_dataset=eval_dataset,
        processing_class=tokenizer,
        peft_config=peft_config,
        **trainer_arguments,
    )
