"""Real ``kill -9`` at a chosen system call, and full disks at a chosen write.

A forked child counts the calls that change the file system and kills itself at the n-th, before or after it, or in
the middle of a write. Nothing in the code under test knows of this.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import signal
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

CHANGING = ("open", "write", "fsync", "replace", "mkdir", "unlink", "ftruncate", "fchmod", "chmod", "rename", "rmdir")


@contextlib.contextmanager
def counting(hook: Callable[[int, str, Callable[..., Any], tuple[Any, ...]], Any]) -> Iterator[None]:
    """Route every changing call through ``hook(number, name, real, arguments)``."""
    seen = [0]

    def routed(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            seen[0] += 1
            return hook(seen[0], name, lambda *given: real(*given, **named), arguments)

        return call

    # Python 3.10's paths hold some of the functions themselves.
    held = getattr(pathlib, "_NormalAccessor", None)
    with contextlib.ExitStack() as stack:
        for name in CHANGING:
            call = routed(name, getattr(os, name))
            if held is not None and getattr(held, name, None) is getattr(os, name):
                stack.enter_context(mock.patch.object(held, name, staticmethod(call)))
            stack.enter_context(mock.patch.object(os, name, call))
        yield


def _killer(moment: int, when: str) -> Callable[[int, str, Callable[..., Any], tuple[Any, ...]], Any]:
    def hook(number: int, name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if number != moment:
            return real(*arguments)
        if when == "torn" and name == "write":
            descriptor, content = arguments
            real(descriptor, bytes(content)[: len(content) // 2])
        elif when == "after":
            with contextlib.suppress(OSError):
                real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    return hook


def killed_at(moment: int, when: str, work: Callable[[], object]) -> bool:
    """Run ``work`` in a child that dies at its ``moment``-th changing call; ``False`` if it got to its end."""
    return _killed(work, _killer(moment, when))


def killed_before_replacing(name: str, work: Callable[[], object]) -> bool:
    """Run ``work`` in a child that dies when it is about to rename something onto a path that ends in ``name``."""

    def hook(number: int, call: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if call == "replace" and os.fspath(arguments[1]).endswith(name):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    return _killed(work, hook)


def _killed(work: Callable[[], object], hook: Callable[..., Any]) -> bool:
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), counting(hook):
            work()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the child failed instead of being killed or finishing"
    return False


@contextlib.contextmanager
def full_disk(*, from_write: int, writes: int = 10**9) -> Iterator[None]:
    """Make ``writes`` calls of ``os.write``, from the given one on, fail with ENOSPC."""
    seen = [0]

    def hook(number: int, name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if name == "write":
            seen[0] += 1
            if from_write <= seen[0] < from_write + writes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    with counting(hook):
        yield
