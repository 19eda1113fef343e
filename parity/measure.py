"""Speed and memory, measured apart from the tracing: alternating repetitions, each in a fresh process.

Theirs, ours, theirs, ours: a machine that slows down slows both. The first repetition is dropped, medians are taken
over runs and not over steps (what a run begins with outlasts it), and a difference smaller than the runs' own spread is
not resolved. Both arms do the same work: import, model and rows, training.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from parity.process import Job, run_arm
from parity.run import Request, package_folder
from parity.trace import read_arm, read_trace

QUANTITIES = {
    "seconds_per_step": "seconds per step",
    "train_seconds": "seconds of training in all",
    "train_grew": "memory that training added",
    "import_grew": "memory that the imports added",
    "peak": "peak memory of the process",
}


def measure(
    request: Request, *, repetitions: int, progress: Callable[[str, str, dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Run both arms ``repetitions + 1`` times in turn and return what their medians resolve.

    Raises:
        ArmFailed: an arm did not finish.
    """
    folder = request.folder / "measured"
    found: dict[str, list[dict[str, float]]] = {"theirs": [], "ours": []}
    for repetition in range(repetitions + 1):
        for arm in ("theirs", "ours"):
            job = Job(
                arm,
                request.reference.python if arm == "theirs" else Path(sys.executable),
                request.theirs if arm == "theirs" else request.ours,
                request.folder / "plan" / "plan.json",
                folder / f"{arm}-{repetition}",
                [_run(arm, request.packing)],
                request.spec.threads,
                processes=request.spec.processes,
                path=[] if arm == "theirs" else [str(package_folder())],
            )
            tell = None if progress is None else _teller(progress, f"{arm} {repetition}")
            found[arm].append(read_figures(run_arm(job, progress=tell, silence=request.silence)))
    return resolve({arm: figures[1:] for arm, figures in found.items()})


def _teller(progress: Callable[[str, str, dict[str, Any]], None], label: str) -> Callable[[str, dict[str, Any]], None]:
    return lambda name, event: progress(label, name, event)


def _run(arm: str, packing: str) -> dict[str, Any]:
    run: dict[str, Any] = {"name": "measured", "trace": False, "save": False}
    return run if arm == "theirs" else {**run, "settings": {"packing": packing}}


def read_figures(folder: Path) -> dict[str, float]:
    """Read one repetition's figures; bytes and seconds."""
    own, trace = read_arm(folder).phases, read_trace(folder / "measured")
    train = trace.phases["train"]
    first, last = own["torch"], own["import"]

    def grew(start: dict[str, Any], end: dict[str, Any]) -> float:
        return float((end.get("rss_peak") or 0) - (start.get("rss_before") or 0))

    figures = {
        "seconds_per_step": trace.seconds_per_step,
        "train_seconds": float(train["seconds"]),
        "train_grew": grew(train, train),
        "import_grew": grew(first, last),
        "peak": float(max(event.get("rss_peak") or 0 for event in (*own.values(), *trace.phases.values()))),
    }
    for key in ("cuda_allocated_peak", "cuda_reserved_peak"):
        if key in train:
            figures[key] = float(train[key])
    return figures


def resolve(found: dict[str, Sequence[dict[str, float]]]) -> dict[str, Any]:
    """Return medians per arm, the smallest ratio these repetitions can tell from 1, and what they tell.

    The resolving power is twice the larger half range over its median: a difference inside it may be the machine.
    """
    result: dict[str, Any] = {"repetitions": len(found["theirs"]), "quantities": {}}
    for quantity in sorted(set(found["theirs"][0]) & set(found["ours"][0])):
        values = {arm: sorted(figures[quantity] for figures in runs) for arm, runs in found.items()}
        medians = {arm: median(numbers) for arm, numbers in values.items()}
        spread = max(
            (numbers[-1] - numbers[0]) / 2 / medians[arm] if medians[arm] else 0.0 for arm, numbers in values.items()
        )
        ratio = medians["ours"] / medians["theirs"] if medians["theirs"] else float("nan")
        enough = len(values["theirs"]) >= 3
        resolved = enough and abs(ratio - 1) > 2 * spread
        result["quantities"][quantity] = {
            **medians,
            "ratio": ratio,
            "resolving_power": 2 * spread,
            "resolved": resolved,
        }
    return result
