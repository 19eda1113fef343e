"""The gate that ``migrate`` asks before it writes: does the evidence allow this repository to switch?

It accepts evidence made earlier if that still verifies and speaks of the same reference, the same trainer and the same
question; otherwise it makes new evidence. It knows nothing of source code.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parity.errors import EvidenceInvalid
from parity.reference import Reference, find_reference
from parity.run import OURS
from parity.spec import Spec
from parity.verdict import Verdict

OUR_CLASS = "orpo_compat.trainer:ORPOTrainer"
"""What an arm that trained ours says it trained; a subclass says its own name."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate concluded and the file it rests on."""

    verdict: Verdict
    evidence: Path
    digest: str
    """The evidence's seal."""
    headline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainers:
    """What each arm trains, as ``module:Class``, and the folders its modules are found in."""

    ours: str = OURS
    theirs: str = "trl"
    ours_path: tuple[str, ...] = ()
    theirs_path: tuple[str, ...] = ()


def judge_switch(
    root: Path,
    *,
    evidence_dir: Path,
    reference_python: Path | None = None,
    evidence: Path | None = None,
    scenario: str = "base",
    trainers: Trainers | None = None,
    report: Callable[[str], None],
) -> GateResult:
    """Judge whether the repository may switch from TRL's trainer to ours.

    Args:
        root: The repository; its own virtual environment is the first reference looked for.
        evidence_dir: Where new evidence and its raw traces are kept.
        reference_python: An interpreter with TRL.
        evidence: Evidence made earlier, used if it stands and fits.
        scenario: A name of ``scenarios.SCENARIOS``, or ``repo`` for the settings of the repository's call sites.
        trainers: A repository's own subclass in each arm instead of the two trainers; evidence made earlier, which
            speaks of the two trainers, is not used then.
        report: Told what happens, line by line.

    Raises:
        ReferenceUnavailable: there is no TRL to compare with.
        ParityError: the question cannot be asked or an arm failed.
    """
    from parity.known import around_defects
    from parity.repo_settings import spec_for_repository
    from parity.scenarios import make_spec

    if scenario == "bf16":
        raise EvidenceInvalid("bf16 runs are reported and never gate a switch; use a float32 scenario")
    spec = spec_for_repository(root, report=lambda line: None) if scenario == "repo" else make_spec(scenario)
    reference = find_reference(python=reference_python, root=root)
    report(
        f"reference: TRL {reference.trl}, transformers {reference.versions.get('transformers')} ({reference.found_as})"
    )
    spec = around_defects(spec, reference.versions)
    for note in spec.notes:
        report(note)
    if evidence is not None and trainers is None:
        accepted = _accept(evidence, spec, reference, report)
        if accepted is not None:
            return accepted
    return _make(spec, reference, evidence_dir, trainers or Trainers(), report)


def _accept(file: Path, spec: Spec, reference: Reference, report: Callable[[str], None]) -> GateResult | None:
    """Return the result of evidence made earlier, or say why it is not used."""
    from parity.evidence import package_digest, verify

    try:
        checked = verify(file)
    except EvidenceInvalid as error:
        report(f"evidence not used: {error}")
        return None
    problems = list(checked.problems)
    arms, question = checked.content["arms"], checked.content["question"]
    for name in ("trl", "transformers"):
        then, now = arms["theirs"]["versions"].get(name), reference.versions.get(name)
        if then != now:
            problems.append(f"it speaks of {name} {then}, the reference here has {now}")
    if arms["ours"]["trainer"] != OUR_CLASS:
        problems.append(f"it speaks of {arms['ours']['trainer']}")
    if arms["ours"]["package_digest"] != package_digest():
        problems.append("orpo-compat has changed since")
    if question["spec_digest"] != spec.digest:
        problems.append(f"it answers another question (scenario {question['spec']['scenario']})")
    if question["plant"] is not None or question["packing"] != "auto":
        problems.append("it was made by a self-test or on one path only")
    if problems:
        report("evidence not used: " + "; ".join(problems))
        return None
    report(f"evidence of {checked.content['validity']['made']} stands: {checked.headline}")
    return GateResult(checked.verdict, file, checked.content["seal"], checked.headline)


def _make(
    spec: Spec, reference: Reference, evidence_dir: Path, trainers: Trainers, report: Callable[[str], None]
) -> GateResult:
    from parity.evidence import make_evidence, write_evidence
    from parity.run import Request, run_parity

    evidence_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"parity-{spec.digest[:8]}-", dir=evidence_dir))
    report(f"training both on {spec.model}, scenario {spec.scenario}, {spec.steps} steps")
    said: set[tuple[str, str]] = set()

    def progress(arm: str, run: str, event: dict[str, object]) -> None:
        if event.get("event") == "run" and (arm, run) not in said:
            said.add((arm, run))
            report(f"  {arm}: {run}")

    asked = dataclasses.asdict(trainers)
    outcome = run_parity(Request(spec=spec, reference=reference, folder=folder, **asked), progress)
    content = make_evidence(outcome)
    file = write_evidence(content, folder / "evidence.json", folder)
    report(f"{outcome.verdict.value}: {outcome.headline}")
    return GateResult(outcome.verdict, file, content["seal"], outcome.headline)
