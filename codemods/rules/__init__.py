"""One shape of source, one file, one test file of the same stem.

A rule module has ``RULE``, a description with an example, and ``apply``, which reads a ``Context`` and adds decisions
or findings to it. Modules are found by name; adding a rule touches no other file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codemods.context import Context
    from codemods.options import Options


class Phase(IntEnum):
    """When a rule runs: what refuses a file first, what looks at the outcome last."""

    REFUSE = 0
    DECIDE = 1
    REVISE = 2
    EDIT = 3
    REPORT = 4
    LAST = 5


@dataclass(frozen=True)
class Example:
    """Source before and after; ``after`` is None where the rule only reports."""

    before: str
    after: str | None
    options: Options | None = None


@dataclass(frozen=True)
class Rule:
    """What a rule is, for people: the table in the docs is made of these."""

    code: str
    title: str
    why: str
    message: str
    example: Example
    phase: Phase
    edits: bool = False


@dataclass(frozen=True)
class LoadedRule:
    """A rule and what carries it out."""

    rule: Rule
    apply: Callable[[Context], None]


@cache
def all_rules() -> tuple[LoadedRule, ...]:
    """Every rule of this package, in the order they run."""
    found = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "RULE"):
            found.append(LoadedRule(module.RULE, module.apply))
    return tuple(sorted(found, key=lambda one: (one.rule.phase, one.rule.code)))
