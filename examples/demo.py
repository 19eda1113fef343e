"""The whole journey on the bundled repository: scan, prove, switch, train, roll back, compare every byte.

Run with ``make demo``. Works on a copy under ``.demo/``; needs no network and no GPU.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "examples" / "repo"
WORK = ROOT / ".demo"
REPO = WORK / "repo"
IDENTITY = ["-c", "user.name=demo", "-c", "user.email=demo@example.invalid"]
console = Console(highlight=False)


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file that belongs to the repository."""
    listed = run(["git", "ls-files", "-z"], folder, show=False).split("\0")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in listed if name}


def run(command: list[str], folder: Path, *, show: bool = True, accept: tuple[int, ...] = (0,)) -> str:
    """Run a command in a folder and return its output; leave if it exits otherwise than accepted."""
    if show:
        console.print(
            f"[bold]$ {' '.join(Path(command[0]).name if i == 0 else a for i, a in enumerate(command))}[/bold]"
        )
    done = subprocess.run(command, cwd=folder, stdout=None if show else subprocess.PIPE, text=True, check=False)
    if done.returncode not in accept:
        raise SystemExit(f"{' '.join(command)} exited with {done.returncode}, expected one of {accept}")
    return done.stdout or ""


def orpo_compat(*arguments: str, accept: tuple[int, ...] = (0,)) -> None:
    """Run our own command line on the demo repository. Exit code 3: done, with findings for a person to look at."""
    program = str(Path(sys.executable).with_name("orpo-compat"))
    run([program, *arguments], REPO, accept=accept)


def main() -> None:
    """Walk through the journey; any step that goes wrong ends it."""
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.copytree(SOURCE, REPO, ignore=shutil.ignore_patterns("__pycache__", ".orpo-compat"))
    run(["git", "init", "-q", "-b", "main"], REPO, show=False)
    run(["git", "add", "-A"], REPO, show=False)
    run(["git", *IDENTITY, "commit", "-qm", "A repository that trains with TRL"], REPO, show=False)
    before = digests(REPO)

    console.print(Rule("1. What the switch would change"))
    orpo_compat("migrate", ".", "--deps", "--dry-run", accept=(0, 3))
    console.print(Rule("2. The switch, after proving that the numbers are the same"))
    orpo_compat("migrate", ".", "--deps", accept=(0, 3))
    changed = [name for name, digest in digests(REPO).items() if digest != before[name]]
    console.print(f"{len(changed)} files changed: {', '.join(changed)}")
    console.print(Rule("3. The repository's own script, training with orpo_compat"))
    run([sys.executable, "train.py", "--steps", "4", "--output", str(WORK / "out")], REPO)
    console.print(Rule("4. And back"))
    orpo_compat("migrate", ".", "--rollback")
    after = digests(REPO)
    if after != before or run(["git", "status", "--porcelain"], REPO, show=False):
        raise SystemExit("the rollback did not give every byte back")
    console.print(f"[green]All {len(after)} files have their original sha256, and git status is clean.[/green]")


if __name__ == "__main__":
    main()
