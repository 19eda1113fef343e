"""The sealed file that a switch rests on: what was asked, what ran, what was found, and the digest of every raw trace.

Sealed means hashed, not signed: each section has a digest, so that an alteration is named, and ``verify`` concludes the
verdict again from the raw traces beside the file, so that a consistent forgery of the verdict alone does not stand. It
runs no arm.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from parity.arm.digests import file_digest
from parity.checklist import make_checklist
from parity.decode import decode_rows
from parity.errors import EvidenceInvalid, ParityError
from parity.floor import Floor
from parity.run import Outcome, judge_all, measure_floor, package_folder
from parity.series import make_series
from parity.spec import Spec, digest_json
from parity.trace import Trace, read_arm, read_trace
from parity.verdict import THRESHOLDS, Verdict, worst

KIND = "orpo-compat parity evidence"
FORMAT = 1
VALID_DAYS = 90


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of a sealed file when it was checked."""

    file: Path
    verdict: Verdict
    headline: str
    problems: tuple[str, ...]
    """What was altered, is missing, or has run out; empty if the evidence stands."""
    content: dict[str, Any]

    @property
    def stands(self) -> bool:
        """Whether nothing speaks against the evidence."""
        return not self.problems


def package_digest(folder: Path | None = None) -> str:
    """Return the digest of the trainer package's sources, by relative path and bytes."""
    root = (folder or package_folder()) / "orpo_compat"
    whole = hashlib.sha256()
    for path in sorted(root.glob("*.py")):
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _trace_digests(folder: Path) -> dict[str, str]:
    """Return the digest of every raw file the verdict was concluded from, by path relative to the run's folder."""
    patterns = ["plan/plan.json", "plan/rows.json", "*/arm.jsonl", "*/*/events.jsonl", "*/*/step-*.safetensors"]
    patterns += ["*/rank-*/arm.jsonl", "*/rank-*/*/events.jsonl"]
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in sorted(found)}


def _phases(outcome: Outcome, arm: str, trace: Trace) -> dict[str, Any]:
    """Return seconds and memory of one arm by phase: importing, building, training."""
    own = outcome.arms[arm].phases
    phases: dict[str, Any] = {name: own[name] for name in ("torch", "import") if name in own}
    phases |= {name: trace.phases[name] for name in ("model", "train", "evaluate") if name in trace.phases}
    kept = ("seconds", "rss_before", "rss", "rss_peak", "cuda_allocated_peak", "cuda_reserved_peak", "resettable")
    return {name: {key: event[key] for key in kept if key in event} for name, event in phases.items()}


def make_evidence(
    outcome: Outcome, *, measurements: dict[str, Any] | None = None, extras: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the sealed content of a finished run.

    Args:
        measurements: What ``measure`` resolved.
        extras: Points of the checklist that only a longer run measures.
    """
    folder = outcome.request.folder
    theirs, ours_arm = outcome.arms["theirs"], outcome.arms["ours"]
    plan = json.loads(outcome.plan.file.read_text(encoding="utf-8"))
    now = datetime.now(timezone.utc).replace(microsecond=0)
    ours = next(iter(outcome.ours.values()))
    sections: dict[str, Any] = {
        "question": {
            "spec": outcome.request.spec.as_dict(),
            "spec_digest": outcome.request.spec.digest,
            "packing": outcome.request.packing,
            "plant": outcome.request.plant,
            "resync": outcome.request.resync,
            "plan_digest": outcome.plan.digest,
            "origin": outcome.plan.origin,
            "num_parameters": outcome.plan.num_parameters,
            "settings": plan["settings"],
            "checkpoint": plan["checkpoint"],
            "tokenizer": plan["tokenizer"],
            "rows": plan["rows"],
        },
        "arms": {
            "theirs": {
                **_arm(theirs, outcome.request.reference.found_as),
                "refused": sorted(outcome.theirs.start.get("refused", {})),
                "attention": outcome.theirs.start.get("attention"),
            },
            "ours": {**_arm(ours_arm, "this installation"), "package_digest": package_digest()},
        },
        "thresholds": {**THRESHOLDS, "floor": outcome.floor.as_dict(), "floor_digest": outcome.floor.digest},
        "order": {"floor_frozen": outcome.floor_frozen, "ours_started": outcome.ours_started},
        "judgements": _judgements(outcome),
        "conclusion": {"verdict": outcome.verdict.value, "headline": outcome.headline},
        "series": {
            "theirs": make_series(outcome.theirs),
            "ours": {name: make_series(trace) for name, trace in outcome.ours.items()},
        },
        "resources": _resources(outcome, measurements),
        "checklist": make_checklist(outcome.theirs, ours, _resources(outcome, measurements), extras or {}),
        "traces": _trace_digests(folder),
        "validity": {"made": now.isoformat(), "days": VALID_DAYS},
    }
    return seal({"kind": KIND, "format": FORMAT, **_jsonable(sections)})


def _resources(outcome: Outcome, measurements: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "theirs": _phases(outcome, "theirs", outcome.theirs),
        "ours": _phases(outcome, "ours", next(iter(outcome.ours.values()))),
        "seconds_per_step": {
            "theirs": outcome.theirs.seconds_per_step,
            **{f"ours {name}": trace.seconds_per_step for name, trace in outcome.ours.items()},
        },
        "seconds": outcome.seconds,
        "measurements": measurements,
    }


def _judgements(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the judgements with the rows of each divergence in text."""
    found = []
    for judgement, trace in zip(outcome.judgements, outcome.ours.values(), strict=True):
        parted = judgement.divergence
        rows = decode_rows(parted, outcome.theirs, trace, outcome.plan.file) if parted is not None else []
        found.append({**judgement.as_dict(), "rows": rows})
    return found


def _arm(record: Any, found_as: str) -> dict[str, Any]:
    return {
        "versions": record.versions,
        "trainer": record.trainer,
        "trainer_digest": record.trainer_digest,
        "driver_digest": record.driver_digest,
        "found_as": found_as,
    }


def _jsonable(value: Any) -> Any:
    """Spell non-finite numbers as text, so that the file is strict JSON."""
    if isinstance(value, float) and value - value != 0:
        return repr(value)
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value


def seal(content: dict[str, Any]) -> dict[str, Any]:
    """Add a digest of each section and one of them all."""
    bare = {name: value for name, value in content.items() if name not in ("digests", "seal")}
    digests = {name: digest_json(value) for name, value in sorted(bare.items())}
    return {**bare, "digests": digests, "seal": digest_json(digests)}


def write_evidence(content: dict[str, Any], file: Path, traces: Path) -> Path:
    """Write sealed content atomically; ``traces`` is recorded beside it, outside the seal, because folders move."""
    file.parent.mkdir(parents=True, exist_ok=True)
    where = os.path.relpath(traces.resolve(), file.parent.resolve())
    text = _as_text({**content, "traces_folder": where})
    temporary = file.with_name(file.name + f".{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
    return file


def _as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def read_evidence(file: Path) -> dict[str, Any]:
    """Read a sealed file without checking its seal.

    Raises:
        EvidenceInvalid: it is missing, not JSON, or no evidence of a format this release reads.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        said = f"{file} cannot be read as evidence: {error}; give the file that orpo-compat parity --json wrote"
        raise EvidenceInvalid(said) from error
    if not isinstance(content, dict) or content.get("kind") != KIND or content.get("format") != FORMAT:
        raise EvidenceInvalid(f"{file} is no evidence of format {FORMAT}; make it with orpo-compat parity --json FILE")
    missing = [
        name for name in ("question", "thresholds", "conclusion", "traces", "digests", "seal") if name not in content
    ]
    if missing:
        raise EvidenceInvalid(f"{file} lacks its section {missing[0]!r}; it was cut or altered")
    return content


def verify(file: Path, *, traces: Path | None = None, now: float | None = None) -> Verification:
    """Check the seal, check every raw trace, and conclude the verdict again.

    Args:
        traces: The run's folder, where it is not the one recorded in the file.
        now: Unix time to judge the validity by.

    Raises:
        EvidenceInvalid: there is nothing to verify; see ``read_evidence``.
    """
    content = read_evidence(file)
    try:
        problems = _check_seal(content) + _check_validity(content, now)
        if file.read_text(encoding="utf-8") != _as_text(content):
            problems.append("the file's text is not as it was written, though it still says the same")
        folder = traces or (file.parent / str(content.get("traces_folder", "."))).resolve()
        altered = _check_traces(content, folder)
        problems += altered
        problems += _conclude_again(content, folder) if not altered else []
        verdict, headline = Verdict(content["conclusion"]["verdict"]), str(content["conclusion"]["headline"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EvidenceInvalid(f"{file} does not have the shape of evidence ({error!r}); it was altered") from error
    return Verification(file, verdict, headline, tuple(problems), content)


def _check_seal(content: dict[str, Any]) -> list[str]:
    problems = []
    digests = content["digests"]
    present = {name for name in content if name not in ("digests", "seal", "traces_folder")}
    for name in sorted(present | set(digests)):
        if name not in content:
            problems.append(f"section '{name}' was removed")
        elif name not in digests:
            problems.append(f"section '{name}' was added after sealing")
        elif digest_json(content[name]) != digests[name]:
            problems.append(f"section '{name}' was altered after sealing")
    if digest_json(digests) != content["seal"]:
        problems.append("the seal does not match the sections' digests")
    return problems


def _check_validity(content: dict[str, Any], now: float | None) -> list[str]:
    made = datetime.fromisoformat(content["validity"]["made"]).timestamp()
    days = (time.time() if now is None else now) / 86400 - made / 86400
    limit = content["validity"]["days"]
    if days > limit:
        return [f"made {days:.0f} days ago and valid for {limit}"]
    return ["made in the future; a clock was wrong or the date was altered"] if days < -1 else []


def _check_traces(content: dict[str, Any], folder: Path) -> list[str]:
    if not folder.is_dir():
        return [f"the raw traces are gone (expected in {folder}); the verdict cannot be concluded again"]
    recorded, present = content["traces"], _trace_digests(folder)
    problems = [f"raw trace {name} is missing" for name in sorted(set(recorded) - set(present))]
    problems += [f"raw trace {name} was added" for name in sorted(set(present) - set(recorded))]
    changed = [name for name in sorted(set(recorded) & set(present)) if recorded[name] != present[name]]
    return problems + [f"raw trace {name} was altered" for name in changed]


def _conclude_again(content: dict[str, Any], folder: Path) -> list[str]:
    """Recompute floor and verdict from the raw traces and say where the file disagrees."""
    try:
        spec = Spec.from_dict(content["question"]["spec"])
        theirs = read_trace(folder / "theirs" / "base")
        floor = measure_floor(theirs, folder / "floor", spec)
        names = [path.parent.name for path in sorted((folder / "ours").glob("*/events.jsonl"))]
        ours = {name: read_trace(folder / "ours" / name) for name in names}
        judgements = judge_all(theirs, ours, floor, read_arm(folder / "theirs").versions)
    except ParityError as error:
        return [f"the raw traces do not read: {error}"]
    return _disagreements(content, spec, floor, judgements)


def _disagreements(content: dict[str, Any], spec: Spec, floor: Floor, judgements: list[Any]) -> list[str]:
    problems = []
    if not judgements:
        problems.append("there is no raw trace of ours")
    elif (verdict := worst([judgement.verdict for judgement in judgements])).value != content["conclusion"]["verdict"]:
        problems.append(f"the raw traces give {verdict.value}, the file says {content['conclusion']['verdict']}")
    if spec.digest != content["question"]["spec_digest"]:
        problems.append("the spec does not have the digest it is recorded under")
    if floor.digest != content["thresholds"]["floor_digest"]:
        problems.append("the raw traces give another floor than the one recorded")
    if {name: content["thresholds"].get(name) for name in THRESHOLDS} != THRESHOLDS:
        problems.append("the recorded thresholds are not those of this release")
    if content["order"]["floor_frozen"] > content["order"]["ours_started"]:
        problems.append("ours was started before the floor was frozen")
    recorded = {judgement["path"]: judgement["verdict"] for judgement in content["judgements"]}
    found = {judgement.path: judgement.verdict.value for judgement in judgements}
    if recorded != found:
        problems.append(f"the judgements recorded are {recorded}, the raw traces give {found}")
    return problems
