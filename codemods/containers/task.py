"""One file to rewrite and how: what every container passes to the rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from codemods.containers.mentions import Places
from codemods.edits import Edit, arranged, splice
from codemods.findings import Finding
from codemods.options import Direction, Options
from codemods.rewrite import Rewrite, rewrite


@dataclass(frozen=True)
class Task:
    """A file with the caller's wishes. `to` is the TRL module that gets the names back in reverse."""

    path: str
    source: bytes
    options: Options
    direction: Direction = Direction.FORWARD
    to: str = "trl"

    @cached_property
    def places(self) -> Places:
        """Lines and columns of the file."""
        return Places(self.source)

    @property
    def forward(self) -> bool:
        return self.direction is Direction.FORWARD

    @property
    def shadowed(self) -> bool:
        """Whether `trl` or `orpo_compat` is the repository's own package, so that nothing may move."""
        return bool(self.options.first_party & {"trl", "orpo_compat"})

    def apply_rules(self, text: bytes) -> Rewrite:
        """The rules' verdict on Python text that belongs to this file."""
        return rewrite(text, path=self.path, options=self.options, direction=self.direction, to=self.to)

    def unchanged(self, *findings: Finding) -> Rewrite:
        """The file as it is, with something to say about it."""
        return Rewrite(self.source, self.source, (), findings)

    def result(self, edits: tuple[Edit, ...], findings: tuple[Finding, ...]) -> Rewrite:
        """The file after `edits`; findings in order of place, each once."""
        in_order = sorted(dict.fromkeys(findings), key=lambda one: (one.line, one.column, one.code))
        kept = arranged(edits)
        return Rewrite(self.source, splice(self.source, kept), kept, tuple(in_order))
