"""What the caller asks of a rewrite. Plain data: parsing a command line is somebody else's business."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Direction(Enum):
    """Which way names move."""

    FORWARD = "forward"
    """From TRL to orpo_compat."""
    REVERSE = "reverse"
    """From orpo_compat back to TRL, by rule alone: best effort, the journal is what is byte-exact."""


@dataclass(frozen=True)
class Options:
    """Everything off moves imports and uses only; each switch widens what may be edited."""

    modernize: bool = False
    """Also rewrite retired keyword arguments at call sites proven to be ORPO's, and collapse twin ladders."""
    strings: bool = False
    """Also rewrite dotted names in strings whose call says what they mean (mock.patch, import_module, getattr)."""
    docs: bool = False
    """Also rewrite code in documentation: doctests here, fences in Markdown and reST elsewhere."""
    configs: bool = False
    """Also rewrite dotted names in configuration files."""
    deps: bool = False
    """Also add orpo-compat to dependency lists."""
    pin_defaults: bool = False
    """Write a default that moved since ``trl_version`` at the call sites that rely on it."""
    drop_trl: bool = False
    """Drop trl from dependency lists when nothing else needs it."""
    first_party: frozenset[str] = frozenset()
    """Top-level packages that the repository itself provides."""
    lent: frozenset[str] = frozenset()
    """Names of modules that other files read by way of the one at hand, so that its imports of them stay."""
    trl_version: str | None = None
    """The TRL release the repository is pinned to, if it is pinned to one."""
