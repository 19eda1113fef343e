"""``python -m orpo_compat`` is ``orpo-compat``.

``-m`` puts the working directory first on the path, where a repository's own ``parity/``, ``trl/`` or ``trace.py``
would be imported instead of ours or Python's. It is taken off, unless this package itself lives there.
"""

from __future__ import annotations

import sys
from pathlib import Path

_HOME = Path(__file__).resolve().parents[1]


def leave_working_directory(path: list[str]) -> None:
    """Take the working directory off the front of an import path, unless this package was found in it."""
    if path and Path(path[0] or ".").resolve() == Path.cwd() != _HOME:
        del path[0]


if __name__ == "__main__":
    leave_working_directory(sys.path)
    from orpo_compat.cli import main

    main()
