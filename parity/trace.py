"""What an arm wrote, read back: events in order, one tensor file per step, opened only when asked for.

Reading is strict. Event numbers without gaps, strict JSON, an end event: a trace that was cut off, doubled or edited
is damaged, never shorter. It compares nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar

from parity.errors import TraceDamaged

if TYPE_CHECKING:
    from torch import Tensor

_T = TypeVar("_T")

_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def unspell(value: Any) -> Any:
    """Return numbers spelled as strings (NaN, infinities) to floats, at every depth."""
    if isinstance(value, str):
        return _NONFINITE.get(value, value)
    if isinstance(value, list):
        return [unspell(item) for item in value]
    if isinstance(value, dict):
        return {key: unspell(item) for key, item in value.items()}
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"the constant {name} is not strict JSON")


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the events of a JSON-lines file in order.

    Raises:
        TraceDamaged: the file is missing, a line is not strict JSON, or an event number is missing or doubled.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TraceDamaged(f"no trace at {path}: {error.strerror}; run the arm again") from error
    events = []
    for number, line in enumerate(lines):
        try:
            event = json.loads(line, parse_constant=_refuse_constant)
        except ValueError as error:
            raise TraceDamaged(f"{path}, line {number + 1}: {error}; the trace is cut off or altered") from error
        if not isinstance(event, dict) or event.get("n") != number:
            got = event.get("n") if isinstance(event, dict) else type(event).__name__
            raise TraceDamaged(
                f"{path}, line {number + 1}: expected event {number}, got {got}; an event is missing or doubled"
            )
        events.append(unspell(event))
    return events


@dataclass(frozen=True, slots=True)
class Micro:
    """One micro-batch: what went in and what the loss made of it."""

    step: int
    micro: int
    pairs: list[dict[str, list[int]]]
    """Per pair the real tokens and labels of chosen and rejected."""
    padded: bool
    """Whether any row of this batch held padding."""
    chosen_logps: list[float]
    rejected_logps: list[float]
    odds_losses: list[float]
    """Per pair what the odds term adds to the loss; empty in traces of before it was noted."""
    loss: float
    metrics: dict[str, float]
    path: str


@dataclass(frozen=True, slots=True)
class EvalBatch:
    """One batch of an evaluation."""

    num_pairs: int
    chosen_logps: list[float]
    rejected_logps: list[float]
    odds_losses: list[float]
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step; its tensors stay on disk until ``tensors`` reads them."""

    step: int
    seconds: float
    grad_norm_before_clip: float
    grad_norm_after_clip: float
    groups: list[dict[str, Any]]
    no_gradient: list[str]
    norms: dict[str, dict[str, float]]
    file: Path
    file_digest: str

    def tensors(self) -> dict[str, Tensor]:
        """Read this step's tensors by name: ``grad/...``, ``exp_avg/...``, ``exp_avg_sq/...``, ``weight/...``.

        Raises:
            TraceDamaged: the file is missing or unreadable.
        """
        from safetensors.torch import load_file

        try:
            loaded: dict[str, Tensor] = load_file(str(self.file))
        except Exception as error:  # safetensors raises its own exception type from Rust
            raise TraceDamaged(f"cannot read {self.file}: {error}; run the arm again") from error
        return loaded


@dataclass(frozen=True, slots=True)
class Trace:
    """One run of one arm."""

    folder: Path
    name: str
    start: dict[str, Any]
    micros: list[Micro] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    evaluation: dict[str, float] = field(default_factory=dict)
    eval_batches: list[EvalBatch] = field(default_factory=list)
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    spec_digest: str = ""

    @property
    def seconds_per_step(self) -> float:
        """Median seconds of a step without the watching; the first is left out as a warm-up where there are others."""
        seconds = sorted(step.seconds for step in self.steps[1:] or self.steps)
        return seconds[len(seconds) // 2] if seconds else math.nan

    @property
    def path(self) -> str:
        """The path our trainer took: padded, packed, or both names joined if it changed."""
        return "+".join(sorted({micro.path for micro in self.micros})) or "padded"


def _micro(event: dict[str, Any]) -> Micro:
    return Micro(
        step=event["step"],
        micro=event["micro"],
        pairs=event.get("pairs", []),
        padded=bool(event.get("padded")),
        chosen_logps=event.get("chosen_logps", []),
        rejected_logps=event.get("rejected_logps", []),
        odds_losses=event.get("odds_losses", []),
        loss=event.get("loss", math.nan),
        metrics=event.get("metrics", {}),
        path=event.get("path", "padded"),
    )


def _eval_batch(event: dict[str, Any]) -> EvalBatch:
    return EvalBatch(
        num_pairs=event["num_pairs"],
        chosen_logps=event.get("chosen_logps", []),
        rejected_logps=event.get("rejected_logps", []),
        odds_losses=event.get("odds_losses", []),
        metrics=event.get("metrics", {}),
    )


def _step(event: dict[str, Any], folder: Path) -> Step:
    return Step(
        step=event["step"],
        seconds=event["seconds"],
        grad_norm_before_clip=event.get("grad_norm_before_clip", math.nan),
        grad_norm_after_clip=event.get("grad_norm_after_clip", math.nan),
        groups=event.get("groups", []),
        no_gradient=event.get("no_gradient", []),
        norms=event.get("norms", {}),
        file=folder / event.get("file", "none"),
        file_digest=event.get("file_digest", ""),
    )


def read_trace(folder: Path) -> Trace:
    """Read the trace of one run, with what every process of a launcher saw.

    Raises:
        TraceDamaged: see ``read_events``; or the run did not reach its end, in any process.
    """
    others = sorted(folder.parent.glob(f"rank-*/{folder.name}"), key=lambda path: int(path.parent.name[5:]))
    traces = [_read_one(folder), *(_read_one(path) for path in others)]
    return traces[0] if len(traces) == 1 else _joined(traces)


def _joined(traces: list[Trace]) -> Trace:
    """Return one trace of what all processes saw; those that share a micro-batch's number see it at the same time."""
    ends = {trace.end["weights"] for trace in traces}
    return replace(
        traces[0],
        micros=[_joined_micro(parts) for parts in _together([trace.micros for trace in traces], "micro-batches")],
        eval_batches=[
            _joined_batch(parts) for parts in _together([trace.eval_batches for trace in traces], "evaluated batches")
        ],
        end={**traces[0].end, "processes_agree": len(ends) == 1},
    )


def _together(series: list[list[_T]], what: str) -> Iterator[tuple[_T, ...]]:
    counts = [len(items) for items in series]
    if len(set(counts)) > 1:
        raise TraceDamaged(f"the processes wrote {counts} {what}; every one must write as many")
    return zip(*series, strict=True)


def _joined_micro(parts: Sequence[Micro]) -> Micro:
    """Join by pairs; each process's loss stays a number of its own."""
    losses = {f"loss of process {rank}": part.loss for rank, part in enumerate(parts)}
    return replace(
        parts[0],
        pairs=[pair for part in parts for pair in part.pairs],
        padded=any(part.padded for part in parts),
        chosen_logps=[value for part in parts for value in part.chosen_logps],
        rejected_logps=[value for part in parts for value in part.rejected_logps],
        odds_losses=[value for part in parts for value in part.odds_losses],
        loss=fmean(part.loss for part in parts),
        metrics={**_mean_metrics([part.metrics for part in parts]), **losses},
        path="+".join(sorted({part.path for part in parts})),
    )


def _joined_batch(parts: Sequence[EvalBatch]) -> EvalBatch:
    return EvalBatch(
        num_pairs=sum(part.num_pairs for part in parts),
        chosen_logps=[value for part in parts for value in part.chosen_logps],
        rejected_logps=[value for part in parts for value in part.rejected_logps],
        odds_losses=[value for part in parts for value in part.odds_losses],
        metrics=_mean_metrics([part.metrics for part in parts]),
    )


def _mean_metrics(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average over the processes. TRL gathers each metric at once, and all hold the mean; ours waits for the log."""
    shared = set.intersection(*(set(part) for part in parts))
    return {name: fmean(part[name] for part in parts) for name in parts[0] if name in shared}


def _read_one(folder: Path) -> Trace:
    events = read_events(folder / "events.jsonl")
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_kind.setdefault(event["event"], []).append(event)
    for kind in ("run", "start", "end"):
        if len(by_kind.get(kind, [])) != 1:
            raise TraceDamaged(
                f"{folder / 'events.jsonl'} holds {len(by_kind.get(kind, []))} '{kind}' events, expected 1; "
                "the run did not finish or the trace was altered"
            )
    return Trace(
        folder=folder,
        name=by_kind["run"][0]["run"]["name"],
        start=by_kind["start"][0],
        micros=[_micro(event) for event in by_kind.get("micro", [])],
        steps=[_step(event, folder) for event in by_kind.get("step", [])],
        logs=by_kind.get("log", []),
        evaluation=by_kind["eval"][0]["metrics"] if "eval" in by_kind else {},
        eval_batches=[_eval_batch(event) for event in by_kind.get("eval_batch", [])],
        phases={event["phase"]: event for event in by_kind.get("phase", [])},
        end=by_kind["end"][0],
        spec_digest=by_kind["run"][0]["spec"],
    )


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """What an arm said of itself: versions, trainer file, phases before the first run."""

    versions: dict[str, str | None]
    trainer: str
    trainer_file: str
    trainer_digest: str
    driver_digest: str
    executable: str
    phases: dict[str, dict[str, Any]]
    skipped: dict[str, str]


def read_arm(folder: Path) -> ArmRecord:
    """Read an arm's own record.

    Raises:
        TraceDamaged: see ``read_events``; or the arm said nothing of itself.
    """
    events = read_events(folder / "arm.jsonl")
    own = next((event for event in events if event["event"] == "arm"), None)
    if own is None:
        raise TraceDamaged(f"{folder / 'arm.jsonl'} has no 'arm' event; the arm failed before it imported its trainer")
    return ArmRecord(
        versions=own["versions"],
        trainer=own["trainer"],
        trainer_file=own["trainer_file"],
        trainer_digest=own["trainer_digest"],
        driver_digest=own["driver_digest"],
        executable=own["executable"],
        phases={event["phase"]: event for event in events if event["event"] == "phase"},
        skipped={event["run"]: event["reason"] for event in events if event["event"] == "skipped"},
    )
