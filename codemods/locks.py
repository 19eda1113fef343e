"""One run at a time on one tree: an advisory lock on a file, with the holder's process id written in it.

The kernel drops the lock when its holder dies, so a stale lock needs no clean-up and no guess about process ids;
the id in the file is only there for the message. Knows nothing about journals.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codemods.errors import LockHeld, NoLocks


def _holder(descriptor: int) -> str:
    written = os.pread(descriptor, 32, 0).split()
    return written[0].decode("ascii", "replace") if written else "unknown"


def locking() -> Any:
    """The module that locks files.

    Raises:
        NoLocks: this system (Windows) has none.
    """
    try:
        return importlib.import_module("fcntl")
    except ImportError:
        advice = "use --diff FILE and `git apply FILE`, or run it where there are (Linux, macOS, WSL)"
        raise NoLocks(f"this system has no file locks, so nothing is written here; {advice}") from None


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock at ``path`` (its folder exists) for the length of the block.

    Raises:
        LockHeld: another open of the file, in this process or any other, holds it.
        NoLocks: on a system without ``flock``.
    """
    fcntl = locking()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{path} is held by process {_holder(descriptor)}; wait for it to end, then run again (OC131)"
            raise LockHeld(message) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)
