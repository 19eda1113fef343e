"""Which TRL release a repository runs on, read from its lock files and dependency lists.

A lock file or an exact pin says it; a range with an upper end says it as well, because an installer takes the newest
release inside. A range open at the top says nothing, and the answer is ``None``. Reads text it is given, no files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from codemods.manifests.formats import format_of, lock_command
from codemods.manifests.listing import read_listing

_NUMBERS = {
    "0.8": "2 3 4 5 6",
    "0.9": "2 3 4 6",
    "0.10": "1",
    "0.11": "0 1 2 3 4",
    "0.12": "0 1 2",
    "0.13": "0",
    "0.14": "0",
    "0.15": "0 1 2",
    "0.16": "0 1",
    "0.17": "0",
    "0.18": "0 1 2",
    "0.19": "0 1",
    "0.20": "0",
    "0.21": "0",
    "0.22": "0 1 2",
    "0.23": "0 1",
    "0.24": "0",
    "0.25": "0 1",
    "0.26": "0 1 2",
    "0.27": "0 1 2",
    "0.28": "0",
    "0.29": "0 1",
}
RELEASES = tuple(f"{minor}.{patch}" for minor, patches in _NUMBERS.items() for patch in patches.split())
"""TRL's releases from the first with ORPO to the last before 1.0, oldest first."""

_OPEN_END = Version("0.29")
_LOCKED = (
    re.compile(r'name = "trl"\s+version = "([^"]+)"'),
    re.compile(r'"trl":\s*\{[^{}]*"version":\s*"==([^"]+)"'),
    re.compile(r"name: trl\s+version: ['\"]?([\w.]+)"),
    re.compile(r"(?m)^trl==([\w.]+)"),
    re.compile(r"/trl-(\d[\w.]*?)-py3-none-any\.whl"),
)
_REQUIREMENT = re.compile(r"^\s*[A-Za-z][\w.-]*\s*(?:\[[^\]]*\])?\s*")


class Certainty(IntEnum):
    """How a release is known; the lowest counts."""

    LOCKED = 0
    EXACT = 1
    RANGE = 2


@dataclass(frozen=True, order=True)
class Pin:
    """A release that one file speaks for. The pins nearest the root, and the surest among them, decide."""

    depth: int
    certainty: Certainty
    release: str


def release_of(files: Iterable[tuple[str, bytes]]) -> str | None:
    """The TRL release of a repository, given the paths and bytes of its lock files and dependency lists.

    None when no file pins one, or when equally good files disagree.
    """
    pins = sorted(pin for path, source in files for pin in pins_in(path, source))
    if not pins:
        return None
    best = {pin.release for pin in pins if (pin.depth, pin.certainty) == (pins[0].depth, pins[0].certainty)}
    return next(iter(best)) if len(best) == 1 else None


def pins_in(path: str, source: bytes) -> Iterator[Pin]:
    """The releases that one lock file or dependency list speaks for; nothing for any other file."""
    depth = path.count("/")
    if lock_command(path) is not None:
        yield from (Pin(depth, Certainty.LOCKED, release) for release in _locked(source.decode("utf-8", "replace")))
        return
    kind = format_of(path)
    if kind is None:
        return
    listing = read_listing(kind, source)
    for entry in listing.entries:
        pin = _pin(entry.text) if entry.name == "trl" else None
        if pin is not None:
            certainty, release = pin
            yield Pin(depth, Certainty.LOCKED if listing.compiled else certainty, release)


def _locked(text: str) -> list[str]:
    return sorted({match for pattern in _LOCKED for match in pattern.findall(text)})


def _pin(text: str) -> tuple[Certainty, str] | None:
    """What a requirement or a version constraint says: `trl==0.24.0`, `^0.24`, `>=0.8,<0.12`, `trl=0.9`."""
    constraint = _REQUIREMENT.sub("", text.partition(";")[0]).split(" --")[0].strip().strip("()")
    direct = re.search(r"@.*/trl(?:\.git)?@v(\d[\w.]*)", text)
    if direct:
        return Certainty.EXACT, direct[1]
    exact = re.fullmatch(r"(?:={1,3}|)\s*v?(\d+(?:\.\d+)+)(?:=[\w]+)?", constraint)
    if exact:
        return Certainty.EXACT, _completed(exact[1])
    try:
        allowed = SpecifierSet(_standard(constraint))
    except (InvalidSpecifier, InvalidVersion):
        return None
    inside = [release for release in RELEASES if release in allowed]
    if str(allowed) and inside and "999.0.0" not in allowed and not _reaches_one(allowed):
        return Certainty.RANGE, inside[-1]
    lowest = [Version(one.version) for one in allowed if one.operator in (">=", ">") and "*" not in one.version]
    if lowest and max(lowest) >= _OPEN_END:
        return Certainty.RANGE, str(max(lowest))
    return None


def _reaches_one(allowed: SpecifierSet) -> bool:
    """Whether a range goes on beyond 0.29, where the table of releases ends."""
    return any(f"1.{minor}.0" in allowed for minor in range(100))


def _completed(release: str) -> str:
    """`0.9` of conda means the newest 0.9; a full number stands for itself."""
    family = [known for known in RELEASES if known.startswith(f"{release}.")]
    return family[-1] if family and release.count(".") == 1 else release


def _standard(constraint: str) -> str:
    """Poetry's and conda's operators in the standard's words."""
    parts = []
    for part in constraint.replace(" ", "").split(","):
        match = re.fullmatch(r"(\^|~)v?(\d+(?:\.\d+)*)", part)
        if match:
            parts.append(_caret(match[1], match[2]))
        else:
            parts.append(re.sub(r"^=(?=\d)", "==", part))
    return ",".join(parts)


def _caret(operator: str, version: str) -> str:
    """`^0.24` is `>=0.24,<0.25`; `^1.2` is `>=1.2,<2`; `~1.2` is `>=1.2,<1.3`."""
    numbers = [int(number) for number in version.split(".")]
    fixed = 1 if operator == "^" and numbers[0] else min(2, len(numbers))
    upper = [*numbers[: fixed - 1], numbers[fixed - 1] + 1]
    return f">={version},<{'.'.join(map(str, upper))}"
