"""Whether a file that an option names can be written, asked before the work whose result is to go there.

Makes the file's folder; leaves no file behind. What is written there is each command's own business.
"""

from __future__ import annotations

from pathlib import Path

from orpo_compat.errors import OutputError


def require_writable(option: str, path: Path | None) -> None:
    """Check that a file can be written; an existing one keeps its bytes. ``None`` and ``-`` (stdout) always can.

    Raises:
        OutputError: it cannot, because of its folder, its permissions, or what is there already.
    """
    if path is None or str(path) == "-":
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise OutputError(
            f"{option} {path}: cannot be written ({error.strerror or error}).\n"
            "  Next: give a file in a folder that you may write to."
        ) from error
