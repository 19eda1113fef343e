"""One dependency in a list, in whatever format: what it says, and how to put another beside it or in its place.

Scanners for each format produce entries; `swap_entries` turns them into edits without knowing the format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from codemods.edits import Edit
from codemods.options import Direction

REQUIREMENT = "orpo-compat>=0.1"
RULE = "dependency"

_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*?)\s*(?:\[[^\]]*\])?\s*"
    r"(?P<rest>(?:[<>=!~^(@;,].*)?|\s.*)$",
    re.DOTALL,
)


class Style(Enum):
    """How an entry spells a dependency."""

    REQUIREMENT = "requirement"
    """`trl>=0.8; marker`, as pip reads it."""
    KEY = "key"
    """`trl = ">=0.8"`, as Poetry, Pipenv and pixi read it."""
    NAME = "name"
    """`trl` alone, in a list of names."""


@dataclass(frozen=True)
class Entry:
    """A dependency at `[start, end)`, in the list called `label`."""

    name: str
    text: str
    """The requirement or the version constraint, as written."""
    label: str
    start: int
    end: int
    cut: tuple[int, int]
    """What to take out so that the list stays in shape."""
    insert_at: int
    before: bytes = b""
    after: bytes = b""
    """What stands around a neighbour inserted at `insert_at`."""
    comma_at: int | None = None
    """Where a comma is missing before a neighbour can follow."""
    comma_cut: tuple[int, int] | None = None
    """The comma before it, where that has to go as well."""
    style: Style = Style.REQUIREMENT
    extra_keys: str = ""
    """For `Style.KEY`: the inline table's keys that a neighbour has to share, such as `optional = true`."""
    constraint: bool = False
    """The list only narrows versions and installs nothing."""
    in_place: bool = True
    """A replacement may stand where this one stood; otherwise it goes to `insert_at`."""
    fixed: str = ""
    """Why this entry cannot be edited, as advice to the reader; empty where it can."""


@dataclass(frozen=True)
class Swap:
    """What should happen to a list that names `held`: get `requirement`, and lose `held` when `drop`."""

    held: str
    gained: str
    requirement: str
    drop: bool


def swap_for(direction: Direction, *, drop_trl: bool) -> Swap:
    """The change of a dependency list in one direction."""
    if direction is Direction.FORWARD:
        return Swap("trl", "orpo-compat", REQUIREMENT, drop_trl)
    return Swap("orpo-compat", "trl", "trl", True)


def requirement_name(text: str) -> str:
    """The normalised project name a requirement starts with; empty if it does not start with one."""
    match = _REQUIREMENT.match(text)
    return normalised(match["name"]) if match else ""


def normalised(name: str) -> str:
    """The name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def swap_entries(source: bytes, entries: Sequence[Entry], swap: Swap) -> list[tuple[Edit, Entry]]:
    """The edits that carry out `swap` on every list, each with the entry it is about, in file order."""
    edits: list[tuple[Edit, Entry]] = []
    given: set[tuple[str, bytes]] = set()
    unconditional = {entry.label for entry in entries if entry.name == swap.held and ";" not in entry.text}
    has_gained = {entry.label for entry in entries if entry.name == swap.gained}
    for entry in entries:
        if entry.name != swap.held or entry.fixed:
            continue
        if entry.constraint:
            if swap.drop and swap.held == "trl" and is_orpo_era(entry.text):
                edits += ((edit, entry) for edit in _cut(source, entry))
            continue
        written = _spelled(entry, swap)
        again = (entry.label, written) in given or (";" in entry.text and entry.label in unconditional)
        given.add((entry.label, written))
        if entry.label in has_gained or again:
            if swap.drop:
                edits += ((edit, entry) for edit in _cut(source, entry))
        elif swap.drop and entry.in_place:
            edits.append((Edit(entry.start, entry.end, source[entry.start : entry.end], written, RULE), entry))
        else:
            edits += ((edit, entry) for edit in _inserted(entry, written))
            if swap.drop:
                edits += ((edit, entry) for edit in _cut(source, entry))
    return sorted(edits, key=lambda pair: (pair[0].start, pair[0].end))


def is_orpo_era(text: str) -> bool:
    """Whether a version constraint keeps TRL below 0.29, the release that dropped the top-level ORPO names."""
    bounds: Iterable[tuple[str, str]] = re.findall(r"(<=?|===?|~=|\^|~|(?<![<>=!~])=)\s*v?(\d+(?:\.\d+)*)", text)
    for operator, version in bounds:
        parts = tuple(int(part) for part in version.split("."))[:3]
        limit = (0, 29) if operator == "<" else (0, 28, 999)
        if operator in ("~=", "^", "~") and parts[:1] != (0,):
            continue
        if parts <= limit:
            return True
    return False


def _cut(source: bytes, entry: Entry) -> list[Edit]:
    spans = [entry.cut, *([entry.comma_cut] if entry.comma_cut else [])]
    return [Edit(start, end, source[start:end], b"", RULE) for start, end in spans]


def _inserted(entry: Entry, written: bytes) -> list[Edit]:
    edits = [Edit(entry.insert_at, entry.insert_at, b"", entry.before + written + entry.after, RULE)]
    if entry.comma_at is not None:
        edits.insert(0, Edit(entry.comma_at, entry.comma_at, b"", b",", RULE))
    return edits


def _spelled(entry: Entry, swap: Swap) -> bytes:
    """The gained requirement in the entry's own style, under the entry's own conditions."""
    if entry.style is Style.NAME:
        return swap.gained.encode()
    if entry.style is Style.KEY:
        version = swap.requirement[len(swap.gained) :] or "*"
        if entry.extra_keys:
            return f'{swap.gained} = {{version = "{version}", {entry.extra_keys}}}'.encode()
        return f'{swap.gained} = "{version}"'.encode()
    marker = re.search(r"\s*;.*$", entry.text, re.DOTALL)
    return (swap.requirement + (marker.group().rstrip() if marker else "")).encode()
