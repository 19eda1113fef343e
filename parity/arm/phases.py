"""How long a phase took and how far it raised the memory of this process.

The high-water mark is reset at a phase's start where the system can do that; the event says whether it could.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .events import Events


def reset_peak() -> bool:
    """Start a new high-water mark of resident memory; false where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return True
    except OSError:
        return False


def memory() -> dict[str, Any]:
    """Return resident bytes now and at the peak since the last reset, and the accelerator's peaks."""
    found: dict[str, Any] = {"rss": None, "rss_peak": None, "resettable": Path("/proc/self/clear_refs").exists()}
    try:
        with Path("/proc/self/status").open(encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        found["rss"] = int(fields["VmRSS"].split()[0]) * 1024
        found["rss_peak"] = int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        import resource

        scale = 1 if sys.platform == "darwin" else 1024
        found["rss_peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda") and torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cuda_allocated_peak"] = torch.cuda.max_memory_allocated()
        found["cuda_reserved_peak"] = torch.cuda.max_memory_reserved()
    return found


@contextmanager
def phase(events: Events, name: str, **content: Any) -> Iterator[None]:
    """Measure one phase: wall seconds, and the memory peak reached within it."""
    reset_peak()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    before, started = memory(), time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    events.write("phase", phase=name, seconds=seconds, rss_before=before["rss"], **memory(), **content)
