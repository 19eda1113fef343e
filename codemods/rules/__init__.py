"""One shape of source, one file, one test file of the same stem.

A rule module has ``RULE``, a description with an example, and ``apply``, which reads a ``Context`` and adds decisions
or findings to it; ``ALSO`` describes what else it reports. Modules are found by name: adding a rule touches no other.
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
    """A rule and what carries it out; ``also`` describes further findings that it makes."""

    rule: Rule
    apply: Callable[[Context], None]
    also: tuple[Rule, ...] = ()


@cache
def all_rules() -> tuple[LoadedRule, ...]:
    """Every rule of this package, in the order they run."""
    found = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "RULE"):
            found.append(LoadedRule(module.RULE, module.apply, getattr(module, "ALSO", ())))
    return tuple(sorted(found, key=lambda one: (one.rule.phase, one.rule.code)))


def described() -> tuple[Rule, ...]:
    """Every description there is, for the documentation."""
    return tuple(rule for loaded in all_rules() for rule in (loaded.rule, *loaded.also))
