"""Arms that crash, hang, are killed or talk nonsense: each ends in one sentence that says which."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from parity import process
from parity.errors import ArmFailed
from parity.process import Job, arm_environment, run_arm


def _job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Job:
    driver = tmp_path / "driver.py"
    driver.write_text("import json, os, sys, time\njob = json.load(open(sys.argv[1]))\n" + source)
    monkeypatch.setattr(process, "DRIVER", driver)
    return Job("theirs", Path(sys.executable), "trl", tmp_path / "plan.json", tmp_path / "out", [{"name": "base"}])


SAY = "open(os.path.join(job['out'], 'arm.jsonl'), 'a').write(json.dumps({!r}) + '\\n')\n"
DONE = SAY.format({"event": "done", "n": 0})


def test_an_arm_that_is_done_gives_its_folder_and_its_events(tmp_path, monkeypatch):
    events = []
    job = _job(tmp_path, monkeypatch, DONE)
    assert run_arm(job, progress=lambda name, event: events.append((name, event["event"]))) == tmp_path / "out"
    assert events == [("arm", "done")]


def test_a_crash_is_told_in_its_own_words(tmp_path, monkeypatch):
    said = {"event": "failed", "error": "ImportError", "message": "no torch here"}
    job = _job(tmp_path, monkeypatch, SAY.format(said) + "sys.exit(1)\n")
    with pytest.raises(ArmFailed, match="ImportError: no torch here"):
        run_arm(job)


def test_an_arm_that_is_killed_is_said_to_be_killed(tmp_path, monkeypatch):
    with pytest.raises(ArmFailed, match="killed by signal 9"):
        run_arm(_job(tmp_path, monkeypatch, "os.kill(os.getpid(), 9)\n"))


def test_an_arm_that_hangs_is_stopped_with_its_children(tmp_path, monkeypatch):
    source = (
        "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\nprint(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    started = time.monotonic()
    with pytest.raises(ArmFailed, match="said nothing for 1 seconds"):
        run_arm(_job(tmp_path, monkeypatch, source), silence=1.0)
    assert time.monotonic() - started < 20
    child = int((tmp_path / "out" / "output.log").read_text().split()[0])
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _runs(child):
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_garbage_on_every_channel_is_no_answer(tmp_path, monkeypatch):
    source = "sys.stdout.buffer.write(bytes(range(256)))\n"
    source += "open(os.path.join(job['out'], 'arm.jsonl'), 'w').write('{{{\\n[1]\\n')\n"
    with pytest.raises(ArmFailed, match="without finishing"):
        run_arm(_job(tmp_path, monkeypatch, source))


def test_an_interpreter_that_is_none_is_named(tmp_path):
    job = Job("theirs", tmp_path / "python", "trl", tmp_path / "p", tmp_path / "out", [])
    with pytest.raises(ArmFailed, match="could not start"):
        run_arm(job)


def test_an_arm_starts_deterministic_offline_and_without_the_callers_settings(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("WORLD_SIZE", "2")
    environment = arm_environment(3)
    assert not {"PYTHONPATH", "ACCELERATE_MIXED_PRECISION", "WORLD_SIZE"} & set(environment)
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["PYTHONHASHSEED"] == "0"
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_an_arm_does_not_see_modules_of_the_folder_it_was_started_from(tmp_path, monkeypatch):
    for name in ("trace.py", "torch.py"):
        (tmp_path / name).write_text("raise RuntimeError('shadowed')\n")
    monkeypatch.chdir(tmp_path)
    job = _job(tmp_path, monkeypatch, DONE + "print(json.dumps(os.getcwd()))\n")
    run_arm(job)
    assert json.loads((tmp_path / "out" / "output.log").read_text()) == str(tmp_path / "out")


@pytest.mark.slow
def test_a_failure_in_the_second_process_is_told_with_its_number(tmp_path, monkeypatch):
    source = (
        "rank = int(os.environ['RANK'])\n"
        "folder = os.path.join(job['out'], f'rank-{rank}') if rank else job['out']\n"
        "os.makedirs(folder, exist_ok=True)\n"
        "said = {'event': 'failed', 'error': 'ValueError', 'message': 'its rows are bad'}\n"
        "if rank: open(os.path.join(folder, 'arm.jsonl'), 'a').write(json.dumps(said) + '\\n'); sys.exit(1)\n"
        "time.sleep(60)\n"
    )
    with pytest.raises(ArmFailed, match="rank 1: ValueError: its rows are bad"):
        run_arm(replace(_job(tmp_path, monkeypatch, source), processes=2))
