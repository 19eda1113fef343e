"""A launched process that did its work ends well, whatever threads a broken run left behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Standing in for what gloo leaves: an exit handler that aborts, as a joinable thread's end does.
WORK = """
import atexit, os, sys
from parity.arm.launch import end
atexit.register(os.abort)
print("done")
end(int(sys.argv[1]))
"""


def ended(code: int, **surroundings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RANK"} | surroundings
    return subprocess.run(
        [sys.executable, "-c", WORK, str(code)], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("code", [0, 1])
def test_under_a_launcher_nothing_comes_after_the_work(code: int) -> None:
    done = ended(code, RANK="1")
    assert done.returncode == code
    assert done.stdout == "done\n"


def test_alone_the_interpreter_says_its_good_bye() -> None:
    assert ended(0).returncode < 0
