"""The callback that marks steps, times them without the watching, and copies or perturbs if asked to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .perturbations import jitter
from .step_notes import optimizer_state, trained_parameters
from .watch import Watch


def make_callback(watch: Watch, resync: Any, jittered: bool) -> Any:
    """Return the callback of a watched run.

    Args:
        resync: What ``copier`` returned, called before every step but the first, or None.
        jittered: Round the gradients once more before each step.
    """
    from transformers import TrainerCallback

    class Marks(TrainerCallback):
        started = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if resync is not None and state.global_step > 0:
                resync(watch.trainer, state.global_step - 1)
            watch.overhead, self.started = 0.0, time.perf_counter()

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if watch.steps_traced:
                with watch.aside():
                    watch.steps.on_clipped()
            if jittered:
                jitter(trained_parameters(watch.trainer), state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seconds = time.perf_counter() - self.started - watch.overhead
            content = watch.steps.on_taken() if watch.steps_traced else {"step": state.global_step - 1}
            watch.events.write("step", seconds=seconds, **content)

    return Marks()


def copier(source: str) -> Callable[[Any, int], None]:
    """Return a function that copies another arm's weights and optimizer state after a step into a trainer."""
    from safetensors.torch import load_file

    def copy(trainer: Any, step: int) -> None:
        import torch

        tensors = load_file(str(Path(source, f"step-{step:05d}.safetensors")))
        state = optimizer_state(trainer)
        with torch.no_grad():
            for name, parameter in trained_parameters(trainer):
                parameter.copy_(tensors["weight/" + name].view_as(parameter))
                for key, value in (state.get(parameter) or {}).items():
                    saved = tensors.get(f"{key}/{name}")
                    if saved is not None:
                        value.copy_(saved.view_as(value))

    return copy
