"""Folders and git repositories for the tests to work on, and snapshots to compare them by."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

PLAIN = {
    "train.py": b"from trl import ORPOConfig, ORPOTrainer\n\nORPOTrainer(args=ORPOConfig('out'))\n",
    "pkg/__init__.py": b"",
    "pkg/mixed.py": b"import os\nfrom trl import DPOTrainer, ORPOTrainer  # noqa: F401\n\nx = (DPOTrainer,)\n",
    "pkg/deep.py": b"def f():\r\n    from trl.trainer.orpo_config import ORPOConfig as C\r\n    return C",
    "other.py": b"print('nothing of ours')\n",
    "README.md": b"Just words.\n",
}
"""A small tree in which three files change: plain, split, and CRLF without a final newline."""

SWITCHED = {
    "train.py": b"from orpo_compat import ORPOConfig, ORPOTrainer\n\nORPOTrainer(args=ORPOConfig('out'))\n",
    "pkg/mixed.py": b"import os\nfrom trl import DPOTrainer  # noqa: F401\n"
    b"from orpo_compat import ORPOTrainer  # noqa: F401\n\nx = (DPOTrainer,)\n",
    "pkg/deep.py": b"def f():\r\n    from orpo_compat import ORPOConfig as C\r\n    return C",
}
"""What those three become."""


def make_tree(root: Path, files: Mapping[str, bytes] = PLAIN) -> Path:
    """Write ``files`` below ``root`` and return it."""
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return root


def git(root: Path, *arguments: str) -> str:
    """Run git in ``root`` with an identity of its own and no configuration of this machine."""
    settings = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **settings}).stdout


def make_repository(root: Path, files: Mapping[str, bytes] = PLAIN) -> Path:
    """A git repository with ``files`` committed."""
    make_tree(root, files)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "config", "user.name", "A")
    git(root, "config", "user.email", "a@example.org")
    git(root, "config", "core.autocrlf", "false")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Start")
    return root


def snapshot(root: Path, *, journal: bool = False) -> dict[str, tuple[int, bytes]]:
    """Mode and bytes (or link target) of everything below ``root``, git's and usually the journal's folder left out."""
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != ".git" and (journal or name != ".orpo-compat")]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in [*files, *links]:
            place = Path(folder) / name
            status = place.lstat()
            content = os.fsencode(place.readlink()) if stat.S_ISLNK(status.st_mode) else place.read_bytes()
            found[place.relative_to(root).as_posix()] = (status.st_mode, content)
    return found


def contents(root: Path) -> dict[str, bytes]:
    """The bytes of everything below ``root`` by path."""
    return {path: content for path, (_, content) in snapshot(root).items()}
