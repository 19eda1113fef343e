"""Everything that holds or configures ORPO code: what a file is, and how to rewrite it whatever it is."""

from __future__ import annotations

from codemods.containers.dispatch import rewrite_file
from codemods.containers.kind import Kind, kind_of

__all__ = ["Kind", "kind_of", "rewrite_file"]
