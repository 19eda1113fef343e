"""What Ctrl-C does to a run: the first one lets the update end, saves a checkpoint and stops; the second one stops now.

A Trainer callback. Several processes are left to their launcher, which stops them all at once: they would not agree
on the update after which to stop.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

FIRST = "stopping after this update, with a checkpoint; Ctrl-C again stops at once"


class StopOnInterrupt(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Turns SIGINT into a checkpoint and the end of training.

    Args:
        say: called from the signal handler with the sentence for the user.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.asked = False
        self._before: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take over SIGINT, in the main thread of a run of one process."""
        if args.world_size == 1 and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupted)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Save and stop, if asked to."""
        if self.asked:
            control.should_save = control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Give SIGINT back."""
        self.release()

    def release(self) -> None:
        """Give SIGINT back; safe to call twice, and after an error."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _interrupted(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self.say(FIRST)
