"""The container's steps, read from its Dockerfile and run in order in a virtual environment. No image is built."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.matrix.stacks import ROOT
from tests.packaging.builds import run
from tests.packaging.conftest import layered

DOCKERFILE = ROOT / "examples" / "container" / "Dockerfile"
KNOWN = {"ARG", "FROM", "ENV", "COPY", "RUN", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_every_line_is_an_instruction_in_the_order_that_layers_want() -> None:
    words = [word for word, _ in instructions()]
    assert set(words) <= KNOWN
    assert words.index("ARG") < words.index("FROM") < words.index("COPY") < words.index("RUN")
    # Nothing is installed as the user that runs, and nothing runs as root.
    assert "RUN" not in words[words.index("USER") :]
    assert words[-2:] == ["ENTRYPOINT", "CMD"]


def test_the_entry_point_is_a_list_so_that_signals_reach_the_program() -> None:
    found = dict(instructions())
    assert json.loads(found["ENTRYPOINT"]) == ["orpo-compat"]
    assert json.loads(found["CMD"]) == ["--help"]


def test_no_version_is_written_twice() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN" and " install " in rest]
    assert runs
    assert all("--constraint" in rest and "==" not in rest for rest in runs)


@pytest.mark.slow
def test_the_steps_run_in_order(bare: Path, built: tuple[Path, Path], tmp_path: Path) -> None:
    binaries = layered(bare / "python", built[0], tmp_path / "opt")
    (binaries / "orpo-compat").unlink()
    copied = tmp_path / "install"
    copied.mkdir()
    for path in (ROOT / "constraints.txt", built[0]):
        shutil.copy(path, copied)
    # The packages are there already, one environment below; the wheel is to be installed all the same.
    again = {"PIP_FORCE_REINSTALL": "1", "PIP_NO_DEPS": "1"}
    for word, rest in instructions():
        if word != "RUN" or rest.startswith("useradd"):
            continue
        command = re.sub("^python ", f"{bare / 'python'} ", rest).replace("/tmp/install", str(copied))
        done = run("bash", "-ec", command, cwd=tmp_path, VIRTUAL_ENV=str(binaries.parent),
                   **(again if ".whl" in rest else {}))  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert run(binaries / "orpo-compat", "--help").returncode == 0
