"""Watches a run while it trains and says once what goes wrong. On by default in `orpo-compat train`.

Observes only: it changes no number and stops nothing, so it works with any Trainer that logs ORPO's metrics. What
is trouble is decided in `orpo_compat.health`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from orpo_compat.health import Diagnosis, diagnose
from orpo_compat.history import History, from_log

logger = logging.getLogger(__name__)
Report = Callable[[Diagnosis], None]

_SETTINGS = ("beta", "learning_rate", "gradient_accumulation_steps", "fp16", "bf16", "max_grad_norm")


class HealthCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Diagnoses a run at its logs and at its end.

    Args:
        report: called once per trouble; by default it is logged as a warning.
    """

    def __init__(self, report: Report | None = None) -> None:
        self.report = report or _log
        self.found: dict[str, Diagnosis] = {}
        self._settings: dict[str, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Note the settings; warn at once about a LoRA run at a full-weight learning rate."""
        self._settings = {name: getattr(args, name, None) for name in _SETTINGS}
        self._settings["lora"] = bool(getattr(model, "peft_config", None))
        if self._settings["lora"] and (args.learning_rate or 0) <= 2e-6 and state.is_world_process_zero:
            logger.warning(
                "learning_rate is %g with LoRA: adapters hardly move at that rate (it is TRL's default for full "
                "weights). Try 5e-5 to 2e-4.",
                args.learning_rate,
            )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look for what can be told early."""
        if state.is_world_process_zero:
            self._say(diagnose(self.history(state), early=True))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the whole run."""
        if state.is_world_process_zero:
            self._say(diagnose(self.history(state)))

    def history(self, state: TrainerState) -> History:
        """The run so far, as the checks read it."""
        return from_log(state.log_history, self._settings)

    def _say(self, diagnoses: list[Diagnosis]) -> None:
        for diagnosis in diagnoses:
            if diagnosis.code not in self.found:
                self.found[diagnosis.code] = diagnosis
                self.report(diagnosis)


def _log(diagnosis: Diagnosis) -> None:
    logger.warning("%s: %s. %s", diagnosis.title, "; ".join(diagnosis.evidence), diagnosis.remedies[0])
