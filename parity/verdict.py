"""Judges measured distances against the floor. Pure: the same measures and floor always give the same judgement.

The order of the questions is the judgement: were the arms comparable, is every value a number, do names and steps
match, did anything learn, and only then how large the distances are. Step 0 is strict, because no optimizer has
amplified anything yet. Loss alone never decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from parity.compare import EXACT, Measure
from parity.floor import Floor
from parity.trace import Trace

PASS_RATIO = 3.0
"""Up to this many floors a distance is rounding."""
FAIL_RATIO = 5.0
"""Beyond this many floors it is a difference; in between a person should look."""
THRESHOLDS = {"pass_ratio": PASS_RATIO, "fail_ratio": FAIL_RATIO, "step_0": PASS_RATIO}


class Verdict(Enum):
    """What a parity run concludes."""

    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    INVESTIGATE = "INVESTIGATE"
    DIFFERENT = "DIFFERENT"
    INCOMPARABLE = "INCOMPARABLE"

    @property
    def passes(self) -> bool:
        """Whether a switch may rest on it."""
        return self in (Verdict.IDENTICAL, Verdict.EQUIVALENT)

    @property
    def exit_code(self) -> int:
        """The exit code of the command that concludes it."""
        return {"INVESTIGATE": 3, "DIFFERENT": 1, "INCOMPARABLE": 4}.get(self.value, 0)


_SEVERITY = [Verdict.IDENTICAL, Verdict.EQUIVALENT, Verdict.INVESTIGATE, Verdict.INCOMPARABLE, Verdict.DIFFERENT]


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the gravest of several verdicts; DIFFERENT outranks INCOMPARABLE because it is knowledge."""
    return max(verdicts, key=_SEVERITY.index)


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where the arms part first."""

    step: int
    micro: int
    stage: str
    name: str
    theirs: float | None
    ours: float | None
    ratio: float
    problem: str
    inputs_agreed: bool
    """Whether everything computed before it was still within the floor."""
    last_agreed: str = ""
    """The stage before it that still agreed."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one path of ours, with what it rests on."""

    path: str
    verdict: Verdict
    headline: str
    reasons: tuple[str, ...] = ()
    divergence: Divergence | None = None
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Per stage the measure with the largest ratio to its floor."""
    explained: tuple[str, ...] = ()
    """Known defects of the reference that explain the divergence."""

    def as_dict(self) -> dict[str, Any]:
        """Return the judgement as plain JSON values."""
        divergence = self.divergence
        return {
            "path": self.path,
            "verdict": self.verdict.value,
            "headline": self.headline,
            "reasons": list(self.reasons),
            "divergence": None
            if divergence is None
            else {name: _plain(getattr(divergence, name)) for name in Divergence.__dataclass_fields__},
            "stages": self.stages,
            "explained": list(self.explained),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:  # NaN and infinities have no JSON
        return repr(value)
    return value


def preflight(theirs: Trace, ours: Trace) -> list[tuple[str, object, object]]:
    """Return the fields that both arms must share before the first step and do not: name, theirs', ours'."""
    fields = ["plan", "rows", "weights", "num_parameters", "dtype", "device"]
    unequal: list[tuple[str, object, object]] = [
        (name, theirs.start.get(name), ours.start.get(name))
        for name in fields
        if theirs.start.get(name) != ours.start.get(name)
    ]
    if theirs.spec_digest != ours.spec_digest:
        unequal.insert(0, ("spec", theirs.spec_digest, ours.spec_digest))
    return unequal


def ratio_of(measure: Measure, floor: Floor) -> float:
    """Return a distance in floors; infinite for what has no legitimate noise."""
    if measure.distance == 0:
        return 0.0
    if measure.problem or measure.stage in EXACT:
        return float("inf")
    return measure.distance / floor.at(measure)


def is_judged(measure: Measure, theirs: Trace) -> bool:
    """Whether a measure counts, or is one of ours' deliberate differences and reported only.

    TRL averages logits over padding too, so mean logits count only where no row was padded. It averages an evaluation
    over batches and we over pairs, so the means count only where all batches held equally many.
    """
    if measure.stage == "logits":
        return measure.micro >= 0 and not any(micro.padded for micro in theirs.micros)
    if measure.stage == "evaluation_mean":
        return len({batch.num_pairs for batch in theirs.eval_batches}) <= 1
    return True


def _dead(trace: Trace) -> str:
    """Return why a run proves nothing, or an empty text."""
    if not trace.steps:
        return "took no step"
    if all(step.grad_norm_before_clip == 0 for step in trace.steps):
        return "had zero gradients throughout"
    if trace.start["weights"] == trace.end["weights"]:
        return "left every weight as it was"
    return ""


def judge(measures: Sequence[Measure], floor: Floor, theirs: Trace, ours: Trace) -> Judgement:
    """Judge ours against theirs.

    Args:
        measures: ``compare(theirs, ours)``.
        floor: Frozen before ours was read.
    """
    path = ours.path
    unequal = preflight(theirs, ours)
    if unequal:
        reasons = tuple(f"{name}: theirs {_short(left)}, ours {_short(right)}" for name, left, right in unequal)
        return Judgement(
            path, Verdict.INCOMPARABLE, f"the arms did not answer the same question: {reasons[0]}", reasons
        )
    judged = [measure for measure in measures if is_judged(measure, theirs)]
    ratios = {id(measure): ratio_of(measure, floor) for measure in judged}
    stages = _worst_by_stage(judged, ratios, floor)
    both_nan = [m for m in judged if m.problem == "nonfinite" and not (_finite(m.theirs) or _finite(m.ours))]
    offenders = [m for m in judged if ratios[id(m)] > PASS_RATIO]
    divergence = _locate(offenders, judged, ratios)
    if both_nan and divergence is not None and offenders[0] in both_nan:
        text = f"neither arm has a number for {_where(offenders[0])}; nothing can be proved from there on"
        return Judgement(path, Verdict.INVESTIGATE, text, (text,), divergence, stages)
    dead = {side: _dead(trace) for side, trace in (("theirs", theirs), ("ours", ours))}
    if dead["theirs"]:
        text = f"theirs {dead['theirs']}, so the run proves nothing"
        verdict = Verdict.INVESTIGATE if dead["ours"] else Verdict.DIFFERENT
        return Judgement(path, verdict, text, (text,), divergence, stages)
    if dead["ours"]:
        return Judgement(path, Verdict.DIFFERENT, f"ours {dead['ours']}", (f"ours {dead['ours']}",), divergence, stages)
    if divergence is None:
        return _agreed(path, judged, theirs, ours, stages)
    failing = [m for m in offenders if ratios[id(m)] > FAIL_RATIO or m.step <= 0]
    verdict = Verdict.DIFFERENT if failing else Verdict.INVESTIGATE
    headline = f"{verdict.value.lower()} from step {divergence.step}, stage {divergence.stage}: {_describe(divergence)}"
    reasons = tuple(f"{_where(m)}: {_amount(m, ratios[id(m)])}" for m in offenders[:8])
    return Judgement(path, verdict, headline, reasons, divergence, stages)


def _agreed(path: str, judged: list[Measure], theirs: Trace, ours: Trace, stages: dict[str, Any]) -> Judgement:
    same_end = theirs.end["weights"] == ours.end["weights"]
    if same_end and all(measure.distance == 0 for measure in judged):
        text = f"bit-equal over {len(theirs.steps)} steps, down to the last weight"
        return Judgement(path, Verdict.IDENTICAL, text, (text,), None, stages)
    loss = max((m.distance for m in judged if m.stage == "loss"), default=0.0)
    top = max(stages.items(), key=lambda item: float(item[1]["ratio"]))
    text = (
        f"equal within rounding over {len(theirs.steps)} steps: loss within {loss:.1e} relative, "
        f"at most {float(top[1]['ratio']):.2f} floors apart (in {top[0]})"
    )
    return Judgement(path, Verdict.EQUIVALENT, text, (text,), None, stages)


def _worst_by_stage(judged: list[Measure], ratios: dict[int, float], floor: Floor) -> dict[str, dict[str, Any]]:
    found: dict[str, Measure] = {}
    for measure in judged:
        best = found.get(measure.stage)
        if best is None or ratios[id(measure)] > ratios[id(best)]:
            found[measure.stage] = measure
    return {
        stage: {
            "step": measure.step,
            "name": measure.name,
            "distance": _plain(measure.distance),
            "floor": floor.at(measure),
            "ratio": _plain(ratios[id(measure)]),
        }
        for stage, measure in found.items()
    }


def _locate(offenders: list[Measure], judged: list[Measure], ratios: dict[int, float]) -> Divergence | None:
    if not offenders:
        return None
    first = min(offenders, key=lambda measure: measure.order)
    before = [measure for measure in judged if measure.order < first.order]
    agreed = all(ratios[id(measure)] <= PASS_RATIO for measure in before)
    last = max(before, key=lambda measure: measure.order).stage if before else ""
    return Divergence(
        first.step,
        first.micro,
        first.stage,
        first.name,
        first.theirs,
        first.ours,
        ratios[id(first)],
        first.problem,
        agreed,
        last,
    )


def _finite(value: float | None) -> bool:
    return value is not None and value - value == 0


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 20 else text[:16] + "..."


def _where(measure: Measure) -> str:
    micro = f", micro-batch {measure.micro}" if measure.micro >= 0 else ""
    return f"step {measure.step}{micro}, {measure.stage} {measure.name}"


def _amount(measure: Measure, ratio: float) -> str:
    if measure.problem:
        sides = f" (theirs {measure.theirs}, ours {measure.ours})" if measure.theirs is not None else ""
        return measure.problem + sides
    return f"theirs {measure.theirs:.8g}, ours {measure.ours:.8g}, relative {measure.distance:.1e}, {ratio:.3g} floors"


def _describe(divergence: Divergence) -> str:
    if divergence.stage == "batch" and divergence.problem == "unequal":
        return f"micro-batch {divergence.micro} holds other tokens or labels"
    if divergence.problem:
        return f"{divergence.name}, {divergence.problem}"
    return f"{divergence.name}, theirs {divergence.theirs:.8g}, ours {divergence.ours:.8g}"
