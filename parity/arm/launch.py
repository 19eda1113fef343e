"""What a launcher makes of this process: its rank, its folder, and when to end."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn


def rank() -> int:
    """Return which process of the launcher's this is; 0 where there is one."""
    return int(os.environ.get("RANK", "0"))


def own_folder(job: dict[str, Any]) -> Path:
    """Return where this process writes: the arm's folder, or a folder in it for each further process."""
    return Path(job["out"], f"rank-{rank()}") if rank() else Path(job["out"])


def leave_group() -> None:
    """Leave the process group, if a launcher started one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def end(code: int) -> NoReturn:
    """End this process: under a launcher at once, for a run that broke off leaves threads that abort a slower end."""
    if "RANK" in os.environ:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def end_with_parent(starter: int, every: float = 1.0) -> None:
    """End this process when those that started it are gone, so that a killed run leaves no trainer behind.

    Under a launcher the parent is the launcher, which outlives the process ``starter`` that started it.
    """
    parent = os.getppid()

    def alive(process: int) -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # it is there and somebody else's
        return True

    def wait() -> None:
        while os.getppid() == parent and alive(starter):
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
