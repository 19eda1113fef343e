"""Ctrl-C in a run: a checkpoint and a way on, once; an end at once, twice. Signals are real."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from orpo_compat.cli.interrupting import FIRST, StopOnInterrupt


@pytest.fixture
def args(tmp_path: Any) -> TrainingArguments:
    return TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")


def test_the_first_interrupt_saves_and_stops_after_the_update(args: TrainingArguments) -> None:
    said: list[str] = []
    stop, state, control = StopOnInterrupt(said.append), TrainerState(), TrainerControl()
    before = signal.getsignal(signal.SIGINT)
    stop.on_train_begin(args, state, control)
    stop.on_step_end(args, state, control)
    assert (control.should_save, control.should_training_stop) == (False, False)
    os.kill(os.getpid(), signal.SIGINT)
    assert said == [FIRST]
    stop.on_step_end(args, state, control)
    assert (control.should_save, control.should_training_stop, stop.asked) == (True, True, True)
    stop.on_train_end(args, state, control)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_stops_at_once(args: TrainingArguments) -> None:
    stop = StopOnInterrupt(lambda text: None)
    stop.on_train_begin(args, TrainerState(), TrainerControl())
    try:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        stop.release()
