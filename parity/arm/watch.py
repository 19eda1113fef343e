"""Wraps a trainer's bound methods and notes what passes through them: micro-batches, logs, evaluated batches.

The time that the watching takes is kept apart, so that a step's seconds are the trainer's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .batches import rows_of, scalars
from .events import Events
from .launch import rank
from .step_notes import StepNotes


class Watch:
    """The notes of one training run.

    Under a launcher each process notes its own micro-batches, and the first one the steps, which are common to all.
    """

    def __init__(self, trainer: Any, events: Events, steps: StepNotes, traced: bool) -> None:
        self.trainer, self.events, self.steps = trainer, events, steps
        self.steps_traced = traced and rank() == 0
        self.micro, self.overhead = 0, 0.0
        self.current: dict[str, Any] = {}
        if traced:
            self._wrap("odds_ratio_loss", self._odds)
            self._wrap("store_metrics", self._metrics)
            self._wrap("compute_loss", self._loss)
            self._wrap("training_step", self._training_step)
            self._wrap("prediction_step", self._prediction_step)
        self._wrap("log", self._log)

    def _wrap(self, name: str, around: Callable[..., Any]) -> None:
        inner = getattr(self.trainer, name)
        assigned = vars(self.trainer).get(name)

        def outer(*args: Any, **kwargs: Any) -> Any:
            return around(inner, *args, **kwargs)

        # Ours takes hooks that are assigned for overrides and goes a more careful way: watched, it must go its own.
        outer.only_observes = assigned is None or getattr(assigned, "only_observes", False)  # type: ignore[attr-defined]
        setattr(self.trainer, name, outer)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Count what happens within as the watching's time."""
        started = time.perf_counter()
        yield
        self.overhead += time.perf_counter() - started

    def _odds(self, inner: Callable[..., Any], chosen: Any, rejected: Any, *args: Any, **kwargs: Any) -> Any:
        result = inner(chosen, rejected, *args, **kwargs)
        with self.aside():
            self.current["chosen_logps"] = chosen.detach().float().reshape(-1).tolist()
            self.current["rejected_logps"] = rejected.detach().float().reshape(-1).tolist()
            self.current["logps_dtype"] = str(chosen.dtype)
            losses = result[0] if isinstance(result, tuple) else result
            self.current["odds_losses"] = losses.detach().float().reshape(-1).tolist()
        return result

    def _metrics(self, inner: Callable[..., Any], metrics: Any, *args: Any, **kwargs: Any) -> Any:
        with self.aside():
            self.current["metrics"] = scalars(metrics)
        return inner(metrics, *args, **kwargs)

    def _loss(self, inner: Callable[..., Any], model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        with self.aside():
            self.current["pairs"], self.current["padded"] = rows_of(inputs)
        result = inner(model, inputs, *args, **kwargs)
        with self.aside():
            loss = result[0] if isinstance(result, tuple) else result
            self.current["loss"] = float(loss.detach().float())
            self.current["path"] = str(getattr(self.trainer, "active_path", "padded"))
        return result

    def _training_step(self, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.current = {}
        result = inner(*args, **kwargs)
        with self.aside():
            last = bool(self.trainer.accelerator.sync_gradients)
            step = self.trainer.state.global_step
            self.events.write("micro", step=step, micro=self.micro, last=last, **self.current)
            self.micro += 1
            if last and self.steps_traced:
                self.steps.on_gradients()
        return result

    def _prediction_step(self, inner: Callable[..., Any], model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.current = {}
        result = inner(model, inputs, *args, **kwargs)
        with self.aside():
            pairs, padded = rows_of(inputs)
            noted = {name: value for name, value in self.current.items() if name not in ("logps_dtype", "pairs")}
            self.events.write("eval_batch", **dict(noted, num_pairs=len(pairs), padded=padded))
        return result

    def _log(self, inner: Callable[..., Any], logs: Any, *args: Any, **kwargs: Any) -> Any:
        result = inner(logs, *args, **kwargs)
        with self.aside():
            self.events.write("log", step=self.trainer.state.global_step, logs=scalars(logs))
        return result
