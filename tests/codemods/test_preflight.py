"""Each check on its own: it passes, or it names what stands in the way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from codemods import preflight
from codemods.discover import discover
from codemods.errors import LockHeld, NoSpace, NotWritable, ShadowedPackage
from codemods.local_packages import find_local_packages
from codemods.locks import exclusive
from codemods.options import Options
from codemods.plan import make_plan
from tests.codemods.trees import PLAIN, contents, make_tree


def test_full_disk_is_refused_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(discover(make_tree(tmp_path)), Options())
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 3, 7))  # type: ignore[attr-defined]
    with pytest.raises(NoSpace, match="has 7 bytes free and the run needs"):
        preflight.check_space(tmp_path, plan.files)


def test_read_only_folder_is_refused_and_named(tmp_path: Path) -> None:
    make_tree(tmp_path)
    (tmp_path / "pkg").chmod(0o555)
    with pytest.raises(NotWritable, match="pkg"):
        preflight.check_writable(tmp_path, ["pkg/deep.py"])
    (tmp_path / "pkg").chmod(0o755)
    preflight.check_writable(tmp_path, ["pkg/deep.py"])


def test_shadowing_is_refused_only_when_there_is_something_to_hide(tmp_path: Path) -> None:
    quiet = make_plan(discover(make_tree(tmp_path / "q", {"trl/__init__.py": b"", "a.py": b"x = 1\n"})), Options())
    preflight.check_not_shadowed(quiet)
    loud = make_plan(
        discover(make_tree(tmp_path / "l", {"trl/__init__.py": b"", "a.py": b"from trl import ORPOTrainer\n"})),
        Options(),
    )
    with pytest.raises(ShadowedPackage, match="trl"):
        preflight.check_not_shadowed(loud)


@pytest.mark.parametrize(
    ("paths", "file", "expected"),
    [
        (["trl/__init__.py"], "a.py", {"trl"}),
        (["trl.py"], "sub/a.py", {"trl"}),
        (["src/trl/__init__.py"], "tests/a.py", {"trl"}),
        (["orpo_compat/__init__.py"], "a.py", {"orpo_compat"}),
        (["third_party/trl/__init__.py"], "a.py", set()),
        (["third_party/trl/__init__.py"], "third_party/x/a.py", {"trl"}),
        (["pkg/__init__.py", "pkg/trl/__init__.py"], "pkg/a.py", set()),
        (["pkg/__init__.py", "pkg/trl.py"], "pkg/a.py", set()),
        (["examples/trl/train.py"], "examples/a.py", set()),
        (["mytrl/__init__.py", "trl_utils.py"], "a.py", set()),
    ],
)
def test_which_files_a_local_package_shadows(paths: list[str], file: str, expected: set[str]) -> None:
    assert find_local_packages([*paths, file]).shadowing(file) == expected


def test_a_local_package_owns_its_own_files() -> None:
    local = find_local_packages(["vendor/trl/__init__.py", "vendor/trl/trainer/orpo_trainer.py"])
    assert local.owns("vendor/trl/trainer/orpo_trainer.py")
    assert not local.owns("vendor/trlx/a.py")


def test_two_threads_do_not_hold_one_lock(tmp_path: Path) -> None:
    refused: list[BaseException] = []

    def second() -> None:
        try:
            with exclusive(tmp_path / "lock"):
                pass
        except LockHeld as error:
            refused.append(error)

    with exclusive(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1
    with exclusive(tmp_path / "lock"):
        pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"keep\n")
    (tmp_path / "lock").symlink_to(target)
    with pytest.raises(OSError, match="lock"), exclusive(tmp_path / "lock"):
        pass
    assert target.read_bytes() == b"keep\n"


def test_without_posix_everything_but_writing_works(tmp_path: Path) -> None:
    """A Python that lacks what Windows lacks: the preview works, the switch is refused with a way to go on."""
    make_tree(tmp_path / "tree")
    script = """
import os, sys
sys.modules["fcntl"] = None
for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "sched_getaffinity", "listxattr"):
    delattr(os, name)
from orpo_compat.cli.app import app
app()
"""
    command = [sys.executable, "-c", script, "migrate", str(tmp_path / "tree"), "--no-verify", "--yes"]
    preview = subprocess.run(
        [*command, "--diff", str(tmp_path / "p.patch")], capture_output=True, text=True, check=False
    )
    assert preview.returncode == 0, preview.stderr
    assert b"+from orpo_compat import" in (tmp_path / "p.patch").read_bytes()
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 6
    assert "git apply" in refused.stderr
    assert contents(tmp_path / "tree") == PLAIN
