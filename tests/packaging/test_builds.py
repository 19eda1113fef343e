"""The wheel and the sdist: the same bytes each time, everything that is needed, nothing else."""

from __future__ import annotations

import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.builds import ROOT, build, copy_tree, run

pytestmark = pytest.mark.slow
PACKAGES = ("orpo_compat", "codemods", "parity")


def test_two_builds_have_the_same_bytes(built: tuple[Path, Path], tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "elsewhere")
    for number, path in enumerate(sorted(tree.rglob("*"), reverse=True)):
        os.utime(path, (1_600_000_000 + number,) * 2)
    again = build(tree, tmp_path / "out")
    assert [path.name for path in again] == [path.name for path in built]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_sdist_builds_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, sdist = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    assert build(tree, tmp_path / "out")[0].read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_the_three_packages_whole(built: tuple[Path, Path]) -> None:
    held = {name for name in zipfile.ZipFile(built[0]).namelist() if ".dist-info/" not in name}
    source = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == source
    assert {f"{package}/py.typed" for package in PACKAGES} <= held


def test_the_sdist_tests_itself(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    for needed in ("CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml"):
        assert (tree / needed).is_file()
    done = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_docs.py",
               "tests/orpo_compat/test_loss.py", "tests/cli/test_scan.py", cwd=tree, PYTHONPATH=str(tree))  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


def test_nothing_of_this_machine_is_inside(built: tuple[Path, Path]) -> None:
    root = str(ROOT).encode()
    with zipfile.ZipFile(built[0]) as wheel:
        assert not [name for name in wheel.namelist() if root in wheel.read(name)]
