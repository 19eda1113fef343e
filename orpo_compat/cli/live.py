"""What is seen of a run while it trains: a live panel on a terminal, plain lines on a pipe.

A Trainer callback that only draws. The panel has a progress bar with the time left, sparklines of loss and margin,
tokens per second and memory; the lines carry the same numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_ECHO = 4
"""Columns left free beside the panel: a terminal writes ^C there, and a wrapped line would leave a border behind."""
_SHOWN = (("loss", "loss"), ("nll_loss", "nll"), ("rewards/margins", "margin"), ("rewards/accuracies", "acc"))


def sparkline(values: Sequence[float], width: int) -> str:
    """The last values as a row of bars, averaged down to the width; NaN is a blank."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width < 1:
        return ""
    per_cell = max(1, -(-len(values) // width))
    cells = [values[i : i + per_cell] for i in range(0, len(values), per_cell)]
    means = [sum(cell) / len(cell) for cell in cells]
    low, high = min(finite), max(finite)

    def bar(mean: float) -> str:
        if not math.isfinite(mean):
            return " "
        share = (mean - low) / (high - low) if high > low else 0.0
        return _BARS[round(min(1.0, max(0.0, share)) * (len(_BARS) - 1))]

    return "".join(map(bar, means))


def clock(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def memory_used() -> str:
    """Peak memory of the accelerator if there is one, else of this process now."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB GPU peak"
    return f"{psutil.Process().memory_info().rss / 2**30:.1f} GiB"


class RunView(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Shows a run on a console.

    Args:
        console: where to; a panel if it is a terminal, lines if not.
        title: the first line.
        tokens_per_pair: mean tokens of a pair, both responses, for tokens per second.
        live: False prints lines on a terminal too.
    """

    def __init__(self, console: Console, *, title: str, tokens_per_pair: float, live: bool = True) -> None:
        self.console = console
        self.title = title
        self.tokens_per_pair = tokens_per_pair
        self.live = live and console.is_terminal and not console.is_dumb_terminal
        self.logs: list[dict[str, float]] = []
        self.evals: list[dict[str, float]] = []
        self._panel: Any = None
        self._begun = 0.0
        self._first_step = 0
        self._state: TrainerState | None = None
        self._pairs_per_step = 1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the panel."""
        if not state.is_world_process_zero:
            return
        self._state, self._begun, self._first_step = state, time.monotonic(), state.global_step
        self._pairs_per_step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        if self.live:
            from rich.live import Live

            self._panel = Live(console=self.console, get_renderable=self.render, refresh_per_second=4, transient=True)
            self._panel.start()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Take in a log; print it as a line where there is no panel."""
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        numbers = {name: float(value) for name, value in logs.items() if isinstance(value, int | float)}
        held_out = any(name.startswith("eval_") for name in numbers)
        (self.evals if held_out else self.logs).append(numbers)
        if self._panel is None:
            self.console.print(self._line(numbers, "eval_" if held_out else ""), markup=False, highlight=False)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the panel."""
        self.close()

    def close(self) -> None:
        """Give the terminal back; safe to call twice, and after an error."""
        if self._panel is not None:
            self._panel.stop()
            self._panel = None

    @property
    def tokens_per_second(self) -> float:
        """Mean since the run began, over all processes."""
        assert self._state is not None
        elapsed = time.monotonic() - self._begun
        return (self._state.global_step - self._first_step) * self._pairs_per_step * self.tokens_per_pair / elapsed

    def _eta(self) -> float:
        assert self._state is not None
        done = self._state.global_step - self._first_step
        left = self._state.max_steps - self._state.global_step
        return (time.monotonic() - self._begun) / done * left if done else 0.0

    def _line(self, numbers: Mapping[str, float], prefix: str) -> str:
        assert self._state is not None
        parts = [f"step {self._state.global_step}/{self._state.max_steps}" + (" eval" if prefix else "")]
        parts += [f"{label} {numbers[prefix + name]:.4g}" for name, label in _SHOWN if prefix + name in numbers]
        if not prefix:
            parts += [f"lr {numbers['learning_rate']:.2e}"] if "learning_rate" in numbers else []
            parts += [f"{self.tokens_per_second:,.0f} tok/s", f"left {clock(self._eta())}"]
        return "  ".join(parts)

    def render(self) -> RenderableType:
        """The panel as it is now."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        state = self._state
        assert state is not None
        inner = max(20, min(self.console.width - _ECHO, 100) - 4)
        head = Text(f"step {state.global_step}/{state.max_steps}   epoch {state.epoch or 0:.2f}")
        gone = f"{clock(time.monotonic() - self._begun)} gone, {clock(self._eta())} left"
        head.append("\n" if inner < 52 else "   ").append(gone, style="bold")
        curves = Table.grid(padding=(0, 1))
        for name, label in _SHOWN:
            values = [log[name] for log in self.logs if name in log]
            if not values:
                continue
            held = [log[f"eval_{name}"] for log in self.evals if f"eval_{name}" in log]
            bars = Text(sparkline(values, max(8, inner - 40)), style="cyan", no_wrap=True)
            curves.add_row(label, f"{values[-1]:.3g}", bars, f"eval {held[-1]:.3g}" if held else "")
        foot = Text(f"{self.tokens_per_second:,.0f} tokens/s   {memory_used()}", style="dim")
        bar = Table.grid()  # a bare ProgressBar does not end its line
        bar.add_row(ProgressBar(total=max(1, state.max_steps), completed=state.global_step, width=inner))
        return Panel(Group(head, bar, curves, foot), title=self.title, title_align="left", width=inner + 4)
