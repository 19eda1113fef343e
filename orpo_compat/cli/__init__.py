"""The command line: one file per command, heavy imports inside the commands.

``orpo-compat --help`` must answer before anyone wonders, so nothing here imports torch, transformers or libcst.
"""

from __future__ import annotations

from orpo_compat.cli.app import main

__all__ = ["main"]
