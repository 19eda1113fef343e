"""Evidence made of traces written by hand, for everything that reads evidence and needs no training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from parity.compare import compare
from parity.evidence import make_evidence
from parity.floor import make_floor
from parity.plan import make_plan
from parity.reference import Reference
from parity.run import Outcome, Request
from parity.scenarios import make_spec
from parity.trace import ArmRecord
from parity.verdict import judge
from tests.parity.traces import first, write_trace

PHASES = {"torch": {"seconds": 1.0, "rss_before": 10 << 20, "rss_peak": 200 << 20}}
PHASES |= {"import": {"seconds": 2.0, "rss_before": 200 << 20, "rss_peak": 400 << 20}}


def _record(trainer: str, **versions: str) -> ArmRecord:
    found: dict[str, str | None] = {"trl": None, "transformers": "5.23.0", "torch": "2.13.0", **versions}
    return ArmRecord(found, trainer, "trainer.py", "d" * 64, "e" * 64, "python", PHASES, {})


def sample_outcome(folder: Path, *, diverge: bool = True) -> Outcome:
    """Return the outcome of two hand-written runs of which the second parts from theirs at step 1, if asked."""
    spec = make_spec("base", steps=3)

    def change(events):
        if diverge:
            [event for event in events if event["event"] == "micro"][1]["loss"] = 4.0
            first(events, "end")["weights"] = "w2"

    theirs = write_trace(folder / "theirs" / "base")
    ours = {"default": write_trace(folder / "ours" / "default", change=change)}
    floor = make_floor({"rerun": []}, dtype="float32", num_steps=3, skipped={})
    records = {"theirs": _record("trl.x:ORPOTrainer", trl="1.16.0"), "ours": _record("orpo_compat.trainer:ORPOTrainer")}
    return Outcome(
        request=Request(spec=spec, reference=Reference(Path("python"), {"trl": "1.16.0"}, "given"), folder=folder),
        plan=make_plan(spec, folder / "plan"),
        theirs=theirs,
        ours=ours,
        arms=records,
        floor=floor,
        floor_frozen=1.0,
        ours_started=2.0,
        judgements=[judge(compare(theirs, trace), floor, theirs, trace) for trace in ours.values()],
        seconds=1.0,
    )


def sample_evidence(folder: Path, *, diverge: bool = True) -> dict[str, Any]:
    """Return the sealed content of such an outcome, as read from a file."""
    content: dict[str, Any] = json.loads(json.dumps(make_evidence(sample_outcome(folder, diverge=diverge))))
    return content
