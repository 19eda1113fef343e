"""Report scripts whose PEP 723 header asks for trl and not for orpo-compat.

``uv run script.py`` installs what the ``# /// script`` block lists; with ``trl<0.29`` pinned there for ORPO's sake, as
TRL's own example scripts do, the migrated import would fail.
"""

from __future__ import annotations

import re

from codemods.context import Context
from codemods.rules import Example, Phase, Rule

RULE = Rule(
    code="OC120",
    title="PEP 723 header without orpo-compat",
    why="the script's own environment is built from the header",
    message="the header stays; `--deps` adds the dependency",
    example=Example(
        '# /// script\n# dependencies = ["trl<0.29"]\n# ///\nfrom trl import ORPOTrainer\n',
        '# /// script\n# dependencies = ["trl<0.29"]\n# ///\nfrom orpo_compat import ORPOTrainer\n',
    ),
    phase=Phase.REPORT,
)

_BLOCK = re.compile(rb"(?m)^# /// script[ \t]*\r?$\n((?:^#(?:[ \t].*)?\r?$\n?)+?)^# ///[ \t]*\r?$")
_TRL = re.compile(rb"""["']trl(?![\w-])""")
_OURS = re.compile(rb"orpo[-_.]compat", re.IGNORECASE)


def apply(context: Context) -> None:
    """Look for the block when anything in the file changes."""
    match = _BLOCK.search(context.source.utf8)
    if match is None or not context.forward or not any(plan.changes for plan in context.plans.values()):
        return
    trl = _TRL.search(match.group(1))
    if trl is not None and not _OURS.search(match.group(1)):
        context.report(
            "OC120",
            match.start(1) + trl.start(),
            "The script's header lists trl, and not orpo-compat, which it imports now.",
            'Add "orpo-compat" to its dependencies; --deps does.',
        )
