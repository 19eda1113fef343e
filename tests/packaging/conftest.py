"""One wheel, one bare machine, built once for all tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.matrix.stacks import ROOT, environment
from tests.packaging.builds import build, copy_tree, run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    folder = tmp_path_factory.mktemp("built")
    return build(copy_tree(folder / "tree"), folder / "out")


@pytest.fixture(scope="session")
def bare(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine with the wheel and what pip brought along with it, nothing else. The interpreter's folder."""
    home = tmp_path_factory.mktemp("bare") / "venv"
    assert run(sys.executable, "-m", "venv", home).returncode == 0
    done = run(home / "bin" / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", built[0])
    assert done.returncode == 0, done.stderr
    return home / "bin"


def layered(below: Path, wheel: Path, home: Path) -> Path:
    """An environment that sees another one's packages, with the wheel alone installed on top. Its bin folder."""
    assert run(sys.executable, "-m", "venv", home).returncode == 0
    (below_site,) = below.parents[1].glob("lib/python*/site-packages")
    (own_site,) = home.glob("lib/python*/site-packages")
    (own_site / "below.pth").write_text(f"{below_site}\n", encoding="utf-8")
    done = run(home / "bin" / "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel)
    assert done.returncode == 0, done.stderr
    return home / "bin"


@pytest.fixture(scope="session")
def oldest(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel on the lower bound of every declared dependency."""
    return layered(environment("oldest"), built[0], tmp_path_factory.mktemp("oldest") / "venv")


@pytest.fixture(scope="session")
def newest(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel on the newest release of every declared dependency."""
    return layered(environment("newest"), built[0], tmp_path_factory.mktemp("newest") / "venv")


@pytest.fixture(scope="session")
def with_parity(bare: Path, built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bare machine after ``pip install orpo-compat[parity]``."""
    home = tmp_path_factory.mktemp("parity") / "venv"
    binaries = layered(bare / "python", built[0], home)
    wanted = f"orpo-compat[parity] @ {built[0].as_uri()}"
    done = run(binaries / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wanted)
    assert done.returncode == 0, done.stderr
    return binaries


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder whose own modules have the names of ours and of Python's, and say so when they are imported."""
    folder = tmp_path / "crowded"
    for name in ("codemods", "parity", "trl", "transformers"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise SystemExit('{name} of this folder was imported')\n")
    for name in ("trace", "yaml", "rich", "typing_extensions"):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name} of this folder was imported')\n")
    (folder / "pairs.csv").write_text(
        "prompt,chosen,rejected\n" + "".join(f"Say {n}.,It is {n}.,No {n}!\n" for n in range(8)), encoding="utf-8"
    )
    return folder
