"""The run's view: what the panel and the lines show, on consoles of every kind."""

from __future__ import annotations

import io
import math
import tempfile
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from orpo_compat.cli.live import RunView, clock, sparkline

LOG = {"loss": 4.0, "nll_loss": 3.9, "rewards/margins": 0.01, "rewards/accuracies": 0.5, "learning_rate": 1e-5}


def view(*, terminal: bool, width: int = 80, live: bool = True) -> tuple[RunView, io.StringIO]:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=width, color_system=None, legacy_windows=False)
    return RunView(console, title="tiny on 9 pairs", tokens_per_pair=10.0, live=live), written


def play(shown: RunView, logs: list[dict[str, Any]]) -> None:
    args, control = TrainingArguments(output_dir=tempfile.mkdtemp(), use_cpu=True, report_to="none"), TrainerControl()
    state = TrainerState(max_steps=10, epoch=0.5, is_world_process_zero=True)
    shown.on_train_begin(args, state, control)
    for step, log in enumerate(logs, start=1):
        state.global_step = step
        shown.on_log(args, state, control, logs=log)


def test_a_pipe_gets_one_plain_line_per_log() -> None:
    shown, written = view(terminal=False, width=200)
    play(shown, [LOG, {"eval_loss": 3.0, "eval_nll_loss": 2.9}, {"train_runtime": 3.0}])
    first, second = written.getvalue().splitlines()
    assert first.startswith("step 1/10  loss 4  nll 3.9  margin 0.01  acc 0.5  lr 1.00e-05")
    assert second == "step 2/10 eval  loss 3  nll 2.9"
    assert "\x1b" not in written.getvalue()


def test_the_panel_has_a_row_for_every_metric_and_keeps_its_width() -> None:
    shown, written = view(terminal=True, width=60)
    play(shown, [{**LOG, "loss": 4.0 - step} for step in range(4)] + [{"eval_loss": 2.5}])
    shown.close()
    plain = Console(file=io.StringIO(), width=60, color_system=None)
    plain.print(shown.render())
    lines = plain.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [label for label in ("loss", "nll", "margin", "acc") if any(f" {label} " in line for line in lines)] == [
        "loss",
        "nll",
        "margin",
        "acc",
    ]
    assert any("loss" in line and "\u2588" in line and "eval 2.5" in line for line in lines)
    assert {len(line) for line in lines} == {56}  # room for the ^C that a terminal writes behind it
    assert written.getvalue()


def test_the_panel_can_be_switched_off_on_a_terminal() -> None:
    shown, written = view(terminal=True, live=False)
    play(shown, [LOG])
    assert written.getvalue().startswith("step 1/10")


@example([0.0, 2.2250738585e-313], 2)  # a range too small to divide by
@example([0.1] * 3, 1)  # whose mean is rounded above all of them
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 60))
def test_sparklines_fit_and_rise_with_their_values(values: list[float], width: int) -> None:
    bars = sparkline(values, width)
    assert 1 <= len(bars) <= width
    if len(values) <= width:
        highest = max(range(len(values)), key=values.__getitem__)
        assert bars[highest] == max(bars)


def test_a_sparkline_leaves_a_blank_where_there_is_no_number() -> None:
    assert sparkline([1.0, math.nan, 2.0], 3) == "\u2581 \u2588"
    assert sparkline([math.nan], 3) == ""


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61.9, "1:01"), (3723, "1:02:03"), (-5, "0:00")])
def test_times_read_as_clocks(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_narrow_panel_keeps_the_time_left_on_a_line_of_its_own() -> None:
    shown, _ = view(terminal=True, width=40)
    play(shown, [{**LOG, "rewards/margins": -0.0012345}, {"eval_loss": 2.5, "eval_rewards/margins": -0.0023456}])
    shown.close()
    plain = Console(file=io.StringIO(), width=40, color_system=None)
    plain.print(shown.render())
    lines = plain.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert any(line.strip("\u2502 ").startswith("0:00 gone, ") and "left" in line for line in lines)
    assert any("margin" in line and "eval -0.00235" in line for line in lines)
