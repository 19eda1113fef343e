"""Which TRL release a repository is pinned to, read from its dependency lists.

Only what is certain counts: an exact pin, a compatible-release pin, or a lower bound beyond the removal of ORPO
from TRL's top level. A wide range says nothing about what is installed, and gives ``None``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from codemods.discover import Candidate

_EXACT = re.compile(r"(?:===?|~=|\^|~)\s*v?(\d+(?:\.\d+)*)")
_BARE = re.compile(r"^\s*\"?v?(\d+(?:\.\d+)+)\"?\s*$")
_AT_LEAST = re.compile(r">=?\s*v?(\d+(?:\.\d+)*)")
_REMOVED = (0, 29)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def pinned_release(requirement: str) -> str | None:
    """The release that one requirement or version constraint pins, such as ``trl==0.24.0`` or ``^0.24``."""
    exact = _EXACT.search(requirement) or _BARE.match(requirement)
    if exact:
        return exact.group(1)
    at_least = _AT_LEAST.search(requirement)
    if at_least and _numbers(at_least.group(1)) >= _REMOVED:
        return at_least.group(1)
    return None


def _requirements(candidate: Candidate) -> Iterator[str]:
    from codemods.manifests.formats import format_of, read_listing

    kind = format_of(candidate.path)
    if kind is not None:
        listing = read_listing(kind, candidate.source)
        yield from (entry.text for entry in listing.entries if entry.name == "trl")


def find_pin(manifests: Iterable[Candidate]) -> str | None:
    """The one release that the lists nearest the root agree on; ``None`` when they do not say or disagree."""
    by_depth: dict[int, set[str]] = {}
    for candidate in manifests:
        for requirement in _requirements(candidate):
            release = pinned_release(requirement)
            if release is not None:
                by_depth.setdefault(candidate.path.count("/"), set()).add(release)
    nearest = by_depth[min(by_depth)] if by_depth else set()
    return next(iter(nearest)) if len(nearest) == 1 else None
