"""Which files can matter: a search over the raw bytes, without decoding or parsing anything.

A file matters when it says both ``trl`` and ORPO, each as a word or part of one. Files in UTF-16 or UTF-32 are let
through so that they can be reported; everything else that lacks either word is done with at the speed of a grep.
"""

from __future__ import annotations

import re

from codemods.catalog import Move
from codemods.options import Options

_ORPO = re.compile(rb"orpo", re.IGNORECASE)
_TRL = re.compile(rb"(?<![A-Za-z0-9_])trl(?![A-Za-z0-9_])", re.IGNORECASE)
_OURS = re.compile(rb"(?<![A-Za-z0-9_])orpo_compat(?![A-Za-z0-9_])")
_SUPPRESSION = b"orpo-compat: ignore"


def concerns(source: bytes, move: Move, options: Options) -> bool:
    """Whether the file has to be looked at."""
    if not _ORPO.search(source):
        return _is_wide(source)
    if move.source_root == "trl":
        if _TRL.search(source) or _SUPPRESSION in source:
            return True
        return (options.modernize or options.pin_defaults) and _OURS.search(source) is not None
    return _OURS.search(source) is not None


def _is_wide(source: bytes) -> bool:
    """Whether zero bytes hide the words: UTF-16 and UTF-32 spell a letter with one or three of them."""
    if b"\0" not in source[:400]:
        return False
    narrow = source.replace(b"\0", b"")
    return _ORPO.search(narrow) is not None and _TRL.search(narrow) is not None
