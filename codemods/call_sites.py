"""Calls of ORPOTrainer and ORPOConfig that scopes and imports prove to be those and no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from codemods.context import Context


@dataclass(frozen=True, eq=False)
class CallSite:
    """One proven call."""

    call: cst.Call
    name: str
    """``ORPOTrainer`` or ``ORPOConfig``."""

    @property
    def keywords(self) -> dict[str, cst.Arg]:
        """Keyword arguments that are written out."""
        return {arg.keyword.value: arg for arg in self.call.args if arg.keyword is not None}

    @property
    def positional(self) -> int:
        """How many arguments are passed by position."""
        return sum(arg.keyword is None and not arg.star for arg in self.call.args)

    @property
    def unpacks(self) -> bool:
        """Whether ``*args`` or ``**kwargs`` pass arguments that cannot be seen."""
        return any(arg.star for arg in self.call.args)


def call_sites(context: Context) -> Iterator[CallSite]:
    """Every proven call, in source order."""
    for fact in context.survey.calls:
        assert isinstance(fact.node, cst.Call)
        name = context.names.is_moved_class(fact.node.func, fact.scope)
        if name is not None:
            yield CallSite(fact.node, name)
