"""Live progress of a parity run on stderr: which arm, which run, which step, and an estimate of what is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from parity.spec import Spec

_IMPORTS = 6.0


class Progress:
    """A context manager whose ``note`` takes the events of every arm as they are written."""

    def __init__(self, spec: Spec, *, packing: str) -> None:
        from parity.run import PERTURBATIONS

        console = Console(stderr=True)
        self._live = console.is_terminal
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} steps  {task.fields[said]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._live,
        )
        runs = {"theirs": 1, "floor": len(PERTURBATIONS), "ours": 1 if packing == "never" else 2}
        self._tasks: dict[str, TaskID] = {
            arm: self._bars.add_task(arm, total=count * spec.steps, said="") for arm, count in runs.items()
        }
        self._total = sum(runs.values()) * spec.steps
        self._seconds: list[float] = []
        self._began = time.monotonic()
        self._said: set[tuple[str, str]] = set()

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def note(self, arm: str, run: str, event: dict[str, Any]) -> None:
        """Take one event of an arm."""
        task = self._tasks.get(arm)
        if event.get("event") == "run" and (arm, run) not in self._said:
            self._said.add((arm, run))
            if not self._live:
                self._console.print(f"{arm}: {run}", highlight=False)
        if event.get("event") == "step" and task is not None:
            self._seconds.append(float(event.get("seconds", 0.0)))
            self._bars.update(task, advance=1, said=f"{run}, {self._left()}")

    def _left(self) -> str:
        mean = sum(self._seconds) / len(self._seconds)
        remaining = max(self._total - len(self._seconds), 0) * mean
        waiting = sum(1 for arm in self._tasks if not any(said[0] == arm for said in self._said))
        return f"about {remaining + waiting * _IMPORTS:.0f} s left"
