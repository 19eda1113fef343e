"""Kills the real command at a random moment, over and over, and asks for every byte back.

python -m tests.codemods.random_kills 200 FOLDER   # so many kills, one line each; fails if one loses something

Each round switches a git repository, goes back, or resumes, and is shot with ``kill -9`` somewhere: anywhere in the
run, or while the journal is there and files are replaced. Then every file must be its old or its new self, and
``--resume`` or ``--rollback`` must bring a whole state; a last rollback brings the originals, and git sees no change.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

JOURNAL = ".orpo-compat"
STATE = tuple[bytes, int]
VICTIMS = ("migrate", "rollback", "resume")
MOMENTS = ("anywhere", "while writing")
CURES = ("--resume", "--rollback")

_SHAPES = (
    "from trl import ORPOConfig, ORPOTrainer, SFTTrainer\n\n\ndef run():\n    return ORPOTrainer(ORPOConfig())\n",
    "import trl\r\n\r\nargs = trl.ORPOConfig()\r\nother = trl.SFTConfig()\r\n",
    "# coding: latin-1\nfrom trl.trainer import ORPOConfig  # \u00e9\n",
    "def f():\n\tfrom trl.trainer.orpo_trainer import ORPOTrainer, X\n\treturn ORPOTrainer",
    "import os\n\nprint(os.name)\n",
)


@dataclass(frozen=True)
class Round:
    """Which command dies, when, and what is to mend it; ``seed`` decides the moment."""

    victim: str
    moment: str
    cure: str
    seed: int


def repository(root: Path, size: int) -> None:
    """A committed repository of ``size`` modules, with a notebook, a script, a link and a file of two names."""
    for number in range(size):
        path = root / f"package{number % 7}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _SHAPES[number % len(_SHAPES)] + f"# {number}\n" * (1 + number % 40) if number % 5 != 3 else _SHAPES[3]
        path.write_bytes(text.encode("latin-1"))
    cell = '{"cell_type": "code", "source": ["import trl\\n", "trl.ORPOConfig()"]}'
    (root / "nb.ipynb").write_text(f'{{"cells": [{cell}], "nbformat": 4}}')
    script = root / "train"
    script.write_text("#!/usr/bin/env python3\nfrom trl import ORPOTrainer\n")
    script.chmod(0o755)
    (root / "link.py").symlink_to("package0/module0.py")
    os.link(root / "package1" / "module1.py", root / "twin.py")
    _git(root, "init", "-q")
    _git(root, "add", "-A")
    _git(root, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "first")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def state(root: Path) -> dict[str, STATE]:
    """Bytes and permissions of every file outside the journal and git."""
    found = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in {".git", JOURNAL}]
        for name in files:
            path = Path(folder, name)
            found[str(path.relative_to(root))] = (path.read_bytes(), stat.S_IMODE(path.lstat().st_mode))
    return found


def command(root: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command line's ``migrate`` in a process group of its own."""
    line = [sys.executable, "-m", "orpo_compat", "migrate", str(root), "--yes", "-j", "1", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def finish(root: Path, *arguments: str) -> tuple[int, str]:
    """Run it to its end; exit codes 0 and 3 (findings remain) both mean that it was done."""
    process = command(root, *arguments)
    output, _ = process.communicate()
    said = output.decode(errors="replace")[-600:]
    if process.returncode not in (0, 3):
        raise AssertionError(f"{arguments} ended with {process.returncode}: {said}")
    return process.returncode, said


class Killer:
    """Knows how long the commands take here, and shoots one at a moment the seed decides."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kills = 0
        self.before = state(root)
        self.lasts: dict[str, float] = {}
        self.writes: dict[str, float] = {}
        for victim, arguments in (("migrate", ("--no-verify",)), ("rollback", ("--rollback",))):
            started = time.monotonic()
            process = command(root, *arguments)
            begun = self._journal_appears(process)
            process.communicate()
            self.lasts[victim] = time.monotonic() - started
            self.writes[victim] = time.monotonic() - begun
            if victim == "migrate":
                self.after = state(root)
        self.lasts["resume"], self.writes["resume"] = self.lasts["rollback"], self.writes["rollback"]
        assert state(root) == self.before != self.after

    def _journal_appears(self, process: subprocess.Popen[bytes]) -> float:
        """Wait until something new is in the journal's folder, or the command has ended."""
        known = self._entries()
        while self._entries() == known and process.poll() is None:
            time.sleep(0.001)
        return time.monotonic()

    def _entries(self) -> set[str]:
        # What vanishes while it is listed is passed over by os.walk.
        return {f"{folder}/{name}" for folder, dirs, files in os.walk(self.root / JOURNAL) for name in dirs + files}

    def shoot(self, one: Round, *arguments: str) -> bool:
        """Whether the command died of it, rather than being done before."""
        chance = random.Random(f"{one}").random()
        process = command(self.root, *arguments)
        if one.moment == "while writing":
            self._journal_appears(process)
            time.sleep(chance * self.writes[one.victim])
        else:
            time.sleep(chance * self.lasts[one.victim])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        died = process.returncode == -signal.SIGKILL
        self.kills += died
        return died

    def run(self, one: Round) -> str:
        """One round, from the originals to the originals. What it was like at the moment of death."""
        if one.victim == "rollback":
            finish(self.root, "--no-verify")
        died = self.shoot(one, *(("--rollback",) if one.victim == "rollback" else ("--no-verify",)))
        if one.victim == "resume":
            self.check_each("after the first death")
            died = self.shoot(one, "--resume")
        seen = self.check_each("after the kill")
        code, said = finish(self.root, one.cure)
        if state(self.root) not in (self.before, self.after):
            raise AssertionError(f"{one}: {one.cure} left a mix, exit code {code}: {said}")
        if state(self.root) != self.before:
            finish(self.root, "--rollback")
        if state(self.root) != self.before:
            raise AssertionError(f"{one}: not the original bytes")
        if changed := _git(self.root, "status", "--porcelain"):
            raise AssertionError(f"{one}: git sees {changed}")
        return seen if died else f"ended first, {seen}"

    def check_each(self, when: str) -> str:
        """Every file is its old or its new self; which of them there are."""
        now = state(self.root)
        kinds = Counter(self._kind(path, one) for path, one in now.items())
        lost = sorted(set(self.before) - set(now))
        if lost or kinds["neither"] - len(_temporary(now, self.before)) > 0:
            strange = [path for path, one in now.items() if self._kind(path, one) == "neither"]
            raise AssertionError(f"{when}: lost {lost}, neither old nor new {strange}")
        return "old" if not kinds["new"] else "new" if not kinds["old"] else "a mix"

    def _kind(self, path: str, one: STATE) -> str:
        if self.before.get(path) == self.after.get(path) == one:
            return "untouched"
        if self.before.get(path) == one:
            return "old"
        return "new" if self.after.get(path) == one else "neither"


def _temporary(now: Mapping[str, STATE], before: Mapping[str, STATE]) -> list[str]:
    """Files that were written and not yet renamed onto their place."""
    return [path for path in now if path not in before]


def rounds(count: int) -> list[Round]:
    """Every victim, moment and cure in turn."""
    table = [(victim, moment, cure) for victim in VICTIMS for moment in MOMENTS for cure in CURES]
    return [Round(*table[number % len(table)], seed=number) for number in range(count)]


def main(count: int, folder: Path) -> int:
    root = folder / "repository"
    repository(root, 60)
    killer = Killer(root)
    seen: Counter[str] = Counter()
    for one in rounds(count):
        seen[what := killer.run(one)] += 1
        print(f"{one.seed:4d} {one.victim:8} {one.moment:13} {one.cure:10} {what}", flush=True)
    print(f"{count} rounds, {killer.kills} commands killed before they ended, every file whole: {dict(seen)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), Path(sys.argv[2])))
