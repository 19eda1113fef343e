"""TRL's own defects, by release, as data: what they do, where they show, and a predicate on the two traces.

A divergence that one of them explains is reported as explained, never excused: the verdict stays what it is. The facts
were measured against the real releases; the ranges are inclusive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from packaging.version import InvalidVersion, Version

from parity.spec import Spec
from parity.trace import Trace
from parity.verdict import Judgement

ACCUMULATION = "gradients grow with accumulation"

Predicate = Callable[[Judgement, Trace, Trace], bool]


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect of the reference."""

    name: str
    first: str
    last: str
    what: str
    shows: Predicate
    transformers: tuple[str, str] | None = None
    """The releases of transformers that it needs as well, inclusive."""


def _truncated(judgement: Judgement, theirs: Trace, ours: Trace) -> bool:
    """The rows differ in length, and the prompt they begin with is the same."""
    if judgement.divergence is None or judgement.divergence.stage != "batch":
        return False
    sides = ("chosen", "rejected")
    unequal = [
        (mine[side], yours[side])
        for left, right in zip(theirs.micros, ours.micros)  # noqa: B905  # a missing one is a divergence of its own
        for mine, yours in zip(left.pairs, right.pairs)  # noqa: B905
        for side in sides
        if side in mine and side in yours and mine[side] != yours[side]
    ]
    return bool(unequal) and all(_common_start(left, right) > 0 and len(left) != len(right) for left, right in unequal)


def _common_start(left: list[int], right: list[int]) -> int:
    count = 0
    for mine, yours in zip(left, right):  # noqa: B905  # the shorter one ends it
        if mine != yours:
            break
        count += 1
    return count


def _accumulated(judgement: Judgement, theirs: Trace, ours: Trace) -> bool:
    """Theirs' first gradient is ours times the number of micro-batches, at equal micro-batch losses."""
    micros = [micro for micro in theirs.micros if micro.step == 0]
    if len(micros) < 2 or not theirs.steps or not ours.steps or judgement.divergence is None:
        return False
    if judgement.divergence.stage not in ("loss", "gradient", "gradient_norm", "logged"):
        return False
    ratio = theirs.steps[0].grad_norm_before_clip / max(ours.steps[0].grad_norm_before_clip, 1e-30)
    return math.isclose(ratio, len(micros), rel_tol=1e-3)


def _padding_in_nll(judgement: Judgement, theirs: Trace, ours: Trace) -> bool:
    """The log-probabilities agree and the NLL of a padded batch does not."""
    divergence = judgement.divergence
    return divergence is not None and divergence.stage == "nll" and any(micro.padded for micro in theirs.micros)


def _nan_odds(judgement: Judgement, theirs: Trace, ours: Trace) -> bool:
    """A mean log-probability is so close to 0 that exp() rounds to 1, and theirs is no number from there on."""
    divergence = judgement.divergence
    if divergence is None or divergence.problem != "nonfinite" or _finite(divergence.theirs):
        return False
    values = [v for m in theirs.micros if m.step <= divergence.step for v in (*m.chosen_logps, *m.rejected_logps)]
    return any(_finite(value) and value > -1e-6 for value in values)


def _empty_response(judgement: Judgement, theirs: Trace, ours: Trace) -> bool:
    """A row of theirs has no response token left, so its mean is 0 divided by 0."""
    return any(
        all(label == -100 for label in pair.get(f"{side}_labels", []))
        for micro in theirs.micros
        for pair in micro.pairs
        for side in ("chosen", "rejected")
    )


def _norms_decayed(judgement: Judgement, theirs: Trace, ours: Trace) -> bool:
    """The same parameters are in the optimizer, and theirs decays more of them."""
    divergence = judgement.divergence
    if divergence is None or divergence.stage != "optimizer" or not (theirs.steps and ours.steps):
        return False
    groups = [trace.steps[0].groups for trace in (theirs, ours)]
    everything = [sum(group["num_params"] for group in side) for side in groups]
    decayed = [sum(group["num_params"] for group in side if group.get("weight_decay")) for side in groups]
    return bool(everything[0] == everything[1] and decayed[0] > decayed[1])


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


DEFECTS = (
    Defect(
        "padding counted in the NLL",
        "0.8.2",
        "0.9.1",
        "TRL before 0.9.2 trains the chosen rows' padding as text: the NLL labels ignore the attention mask",
        _padding_in_nll,
    ),
    Defect(
        "truncation by the other response's length",
        "0.28.0",
        "1.14.2",
        "TRL 0.28 to 1.14 cuts each over-long response at max_length less the longer response's length",
        _truncated,
    ),
    Defect(
        "prompt cut first",
        "0.8.2",
        "0.27.2",
        "TRL up to 0.27 cuts the prompt to max_prompt_length, and both responses to what that leaves",
        _truncated,
    ),
    Defect(
        ACCUMULATION,
        "0.12.0",
        "0.19.1",
        "TRL 0.12 to 0.19 on transformers 4.46 to 4.52 does not divide by gradient_accumulation_steps",
        _accumulated,
        ("4.46.0", "4.52.4"),
    ),
    Defect(
        "norms decayed",
        "0.8.2",
        "0.29.1",
        "TRL on transformers before 4.53 decays norm weights of models whose norm class is not listed (Mixtral, Qwen2, "
        "Mistral, Gemma; from 4.49 the last norm only)",
        _norms_decayed,
        ("4.0.0", "4.52.99"),
    ),
    Defect(
        "NaN gradient of the odds term",
        "0.8.2",
        "1.16.0",
        "TRL's log(1 - exp(x)) has no finite gradient once exp(x) rounds to 1",
        _nan_odds,
    ),
    Defect(
        "empty response",
        "0.8.2",
        "1.16.0",
        "TRL leaves no response token where the prompt fills max_length; the mean is 0/0 and the weights become NaN",
        _empty_response,
    ),
)


def _within(version: str | None, first: str, last: str) -> bool:
    try:
        return version is not None and Version(first) <= Version(version) <= Version(last)
    except InvalidVersion:
        return False


def applicable(versions: dict[str, str | None]) -> list[Defect]:
    """Return the defects that a reference of these versions has."""
    return [
        defect
        for defect in DEFECTS
        if _within(versions.get("trl"), defect.first, defect.last)
        and (defect.transformers is None or _within(versions.get("transformers"), *defect.transformers))
    ]


def around_defects(spec: Spec, versions: dict[str, str | None]) -> Spec:
    """Return the spec asked without gradient accumulation where the reference is known to get that wrong.

    Only for the base question, and with a note: a repository on such a release could otherwise never switch, although
    all that differs is the defect.
    """
    names = {defect.name for defect in applicable(versions)}
    if ACCUMULATION not in names or spec.scenario != "base" or spec.accumulation == 1:
        return spec
    note = (
        f"TRL {versions.get('trl')} with transformers {versions.get('transformers')} does not divide gradients by "
        "gradient_accumulation_steps, ours does; asked without accumulation"
    )
    settings = {**spec.settings, "gradient_accumulation_steps": 1}
    return replace(spec, settings=settings, notes=(*spec.notes, note))


def explain(judgement: Judgement, theirs: Trace, ours: Trace, versions: dict[str, str | None]) -> tuple[str, ...]:
    """Name the defects of this reference that show in the divergence."""
    return tuple(
        f"{defect.what} (TRL {defect.first} to {defect.last}; this is {versions.get('trl')})"
        for defect in applicable(versions)
        if defect.shows(judgement, theirs, ours)
    )
