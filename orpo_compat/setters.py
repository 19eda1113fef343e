"""The setters of ``TrainingArguments`` with the keywords they have lost: ``warmup_ratio`` and ``jit_mode``.

Scripts that build their arguments with ``ORPOConfig(...).set_lr_scheduler(...)`` go on working. What a value means is
settled in ``spellings.py``; here it is only passed on.
"""

from __future__ import annotations

from typing import Any

from orpo_compat.spellings import BEFORE_5, OlderSpellings, warm_up_for_share


class OlderSetters(OlderSpellings):
    """Setters that return the config, as those of ``TrainingArguments`` do."""

    def set_lr_scheduler(  # type: ignore[no-untyped-def]
        self,
        name: Any = "linear",
        num_epochs: float = 3.0,
        max_steps: int = -1,
        warmup_steps: float = 0,
        *,
        warmup_ratio: float | None = None,
    ):
        """Set the learning rate's schedule and the run's length; ``warmup_steps`` wins over ``warmup_ratio``."""
        super().set_lr_scheduler(name=name, num_epochs=num_epochs, max_steps=max_steps, warmup_steps=warmup_steps)
        if warmup_ratio and not warmup_steps:
            if BEFORE_5:
                self.warmup_ratio = warmup_ratio  # warmup_steps takes no share there
            else:
                warm_up_for_share(self, warmup_ratio)
        return self

    def set_evaluate(self, *args: Any, jit_mode: bool = False, **named: Any):  # type: ignore[no-untyped-def]
        """Set when and how to evaluate; ``jit_mode`` has no effect."""
        self.jit_mode_eval = jit_mode
        return super().set_evaluate(*args, **named)

    def set_testing(self, *args: Any, jit_mode: bool = False, **named: Any):  # type: ignore[no-untyped-def]
        """Set how to predict on a held-out dataset; ``jit_mode`` has no effect."""
        self.jit_mode_eval = jit_mode
        return super().set_testing(*args, **named)
