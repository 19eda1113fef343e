"""``orpo-compat parity`` as a user meets it: real processes, from a folder that shadows everything it can."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from parity.process import DRIVER

ROOT = Path(__file__).parents[2]
NEEDS_TRL = pytest.mark.skipif(find_spec("trl") is None, reason="trains TRL's arm")
# What the console script does, without depending on where it was installed.
MAIN = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; sys.path.insert(0, {root!r}); "
    "from orpo_compat.cli import main; main()"
)


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with its own codemods, parity, trace and trl, all of which would raise."""
    for name in ("codemods/__init__.py", "parity/__init__.py", "trl/__init__.py", "trace.py", "torch.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise RuntimeError('shadowed')\n")
    return tmp_path


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", MAIN.format(root=str(ROOT)), "parity", *arguments]


def _environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "ORPO_COMPAT_CACHE": str(cache / "cache"), "COLUMNS": "120", "TERM": "dumb"}


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**_environment(folder), **environment}
    command = _command(*arguments)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400, env=env, check=False)


def test_help_names_every_option_without_importing_torch(elsewhere):
    found = _run(elsewhere, "--help")
    assert found.returncode == 0
    for option in ("--model", "--reference-python", "--scenario", "--self-test", "verify"):
        assert option in re.sub(r"\x1b\[[0-9;]*m", "", found.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "tyni"), "no model 'tyni'"),
        (("--scenario", "bass"), "no scenario 'bass'"),
        (("--weights", "maybe"), "weights must be auto, hub or random"),
        (("--reference", "trl>=1"), "one release such as trl==0.24.0"),
        pytest.param(("--packing", "never ever"), "packing must be auto, always or never", marks=NEEDS_TRL),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(elsewhere, arguments, said):
    found = _run(elsewhere, *arguments)
    assert found.returncode == 2, found.stderr
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def _fake_python(folder: Path, answer: str) -> str:
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{answer}\n")
    python.chmod(0o755)
    return str(python)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("echo 'ORPO-COMPAT-PROBE {\"has_trl\": false}'", "has no TRL"),
        ("head -c 200 /dev/urandom", "did not say which packages it has"),
        ("kill -9 $$", "did not say which packages it has"),
    ],
)
def test_without_a_reference_it_says_how_to_get_one_and_exits_4(elsewhere, answer, said):
    found = _run(elsewhere, "--reference-python", _fake_python(elsewhere, answer))
    assert found.returncode == 4, found.stderr
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_a_reference_that_has_trl_and_cannot_train_exits_4_and_shows_why(elsewhere):
    packages = '"trl": "1.0", "torch": "2", "transformers": "5", "datasets": "4", "has_trl": true'
    answer = (
        f"case \"$1\" in -I) echo 'ORPO-COMPAT-PROBE {{{packages}}}';; *) echo 'no libtorch.so here'; exit 7;; esac"
    )
    found = _run(elsewhere, "--reference-python", _fake_python(elsewhere, answer))
    assert found.returncode == 4, found.stderr
    assert "the arm 'theirs' failed" in found.stderr
    assert "no libtorch.so here" in found.stderr


@NEEDS_TRL
def test_a_whole_run_passes_verifies_and_notices_an_altered_byte(elsewhere):
    found = _run(
        elsewhere, "--steps", "2", "--json", "out/e.json", "--html", "out/r.html", "--markdown", "out/r.md",
        "--junit", "out/r.xml",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("embedded model tiny with seeded random weights")
    assert "EQUIVALENT" in found.stdout or "IDENTICAL" in found.stdout
    for name in ("e.json", "r.html", "r.md", "r.xml"):
        assert (elsewhere / "out" / name).stat().st_size > 500
    assert _run(elsewhere, "verify", "out/e.json").returncode == 0
    content = json.loads((elsewhere / "out" / "e.json").read_text())
    content["conclusion"]["headline"] = "all is well"
    (elsewhere / "out" / "e.json").write_text(json.dumps(content))
    again = _run(elsewhere, "verify", "out/e.json")
    assert again.returncode == 1
    assert "section 'conclusion' was altered" in again.stderr


def test_verifying_what_is_no_evidence_is_one_sentence(elsewhere):
    (elsewhere / "e.json").write_text("{}")
    found = _run(elsewhere, "verify", "e.json")
    assert found.returncode == 1
    assert "is no evidence" in found.stderr
    assert "Traceback" not in found.stderr


@NEEDS_TRL
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_arm_behind(elsewhere, how):
    process = subprocess.Popen(
        _command("--output", "out"),
        cwd=elsewhere,
        stderr=subprocess.PIPE,
        env=_environment(elsewhere),
        text=True,
        preexec_fn=_heed_interrupts,
    )
    deadline = time.monotonic() + 120
    while not (arms := _arms_under(elsewhere)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert arms
    process.send_signal(how)
    process.wait(60)
    if how is signal.SIGINT:
        assert process.returncode == 130
    deadline = time.monotonic() + 20
    while _arms_under(elsewhere) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not _arms_under(elsewhere)


def _heed_interrupts() -> None:
    """A shell starts what it puts in the background with SIGINT ignored, and children inherit that: undo it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _arms_under(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if str(DRIVER) in command and str(folder) in command:
            found.append(command)
    return found
