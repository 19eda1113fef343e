"""The wheel on a bare machine: no TRL, no test tool, no source tree. Every command answers there.

So it does on the lower bounds of the dependencies and on their newest releases, and from inside a folder full of
modules with the same names.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.packaging.builds import run

# Installing torch and all that comes with it may take its time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
COMMANDS = (
    "migrate", "scan", "parity", "train", "data", "data inspect", "plan", "diagnose", "doctor", "eval", "generate",
    "compare",
)  # fmt: skip
SCRIPT = ("orpo-compat",)
MODULE = ("python", "-m", "orpo_compat")


def started(bin_folder: Path, how: tuple[str, ...]) -> list[str]:
    return [str(bin_folder / how[0]), *how[1:]]


def machine(request: pytest.FixtureRequest, name: str) -> Path:
    folder: Path = request.getfixturevalue(name)
    return folder


def test_the_bare_machine_has_no_trl_and_its_packages_agree(bare: Path) -> None:
    assert run(bare / "python", "-c", "import trl").returncode == 1
    done = run(bare / "pip", "check")
    assert done.returncode == 0, done.stdout


def test_every_command_is_listed(bare: Path) -> None:
    shown = run(bare / "orpo-compat", "--help").stdout
    assert all(command in shown for command in COMMANDS if " " not in command)


@pytest.mark.parametrize("on", ["bare", "oldest"])
def test_every_command_explains_itself(on: str, request: pytest.FixtureRequest, crowded: Path) -> None:
    for command in COMMANDS:
        done = run(machine(request, on) / "orpo-compat", *command.split(), "--help", cwd=crowded)
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout


@pytest.mark.parametrize("how", [SCRIPT, MODULE], ids=["script", "module"])
@pytest.mark.parametrize("on", ["bare", "oldest", "newest"])
def test_work_is_done_in_a_folder_with_modules_of_the_same_names(
    on: str, how: tuple[str, ...], request: pytest.FixtureRequest, crowded: Path
) -> None:
    program = started(machine(request, on), how)
    (crowded / "job.py").write_text("from trl import ORPOConfig, ORPOTrainer\n", encoding="utf-8")
    scanned = run(*program, "scan", "job.py", cwd=crowded)
    # The folder's own trl is what an import there means: said, and left alone.
    assert scanned.returncode == 3, scanned.stderr
    assert "OC113" in scanned.stdout + scanned.stderr
    planned = run(*program, "plan", "--model", "1B", "--json", cwd=crowded)
    assert json.loads(planned.stdout)["ours"]["fits"] is True
    trained = run(*program, "train", "--model", "tiny", "--data", "pairs.csv", "--output", "out", "--max-steps", "2",
                  cwd=crowded)  # fmt: skip
    assert trained.returncode in (0, 3), trained.stderr
    assert (crowded / "out").is_dir()
    assert "was imported" not in scanned.stderr + planned.stderr + trained.stderr


@pytest.mark.parametrize("on", ["bare", "oldest", "newest"])
def test_doctor_finds_nothing_wrong(on: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    done = run(machine(request, on) / "orpo-compat", "doctor", "--offline", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    found = {each["subject"]: each["state"] for each in json.loads(done.stdout)["findings"]}
    assert found["trl"] == "missing"
    assert "trouble" not in found.values()


def test_parity_without_trl_says_how_to_get_it(bare: Path, tmp_path: Path) -> None:
    done = run(bare / "orpo-compat", "parity", "--model", "tiny", cwd=tmp_path)
    assert done.returncode == 4
    assert "orpo-compat[parity]" in done.stderr


@pytest.mark.skipif(find_spec("trl") is None, reason="TRL needs a newer Python")
def test_parity_runs_after_installing_the_extra(with_parity: Path, tmp_path: Path) -> None:
    done = run(with_parity / "orpo-compat", "parity", "--model", "tiny", "--steps", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EQUIVALENT" in done.stdout + done.stderr or "IDENTICAL" in done.stdout + done.stderr


def test_a_strictly_typed_program_checks_against_the_installed_wheel(bare: Path, tmp_path: Path) -> None:
    program = Path(__file__).with_name("consumer.py")
    copied = tmp_path / "consumer.py"
    copied.write_text(program.read_text(encoding="utf-8"), encoding="utf-8")
    checked = run(sys.executable, "-m", "mypy", "--strict", "--python-executable", bare / "python",
                  "--cache-dir", tmp_path / "cache", copied.name, cwd=tmp_path)  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    wrong = copied.read_text(encoding="utf-8").replace("beta=0.1", 'beta="high"')
    copied.write_text(wrong, encoding="utf-8")
    refused = run(sys.executable, "-m", "mypy", "--strict", "--python-executable", bare / "python",
                  "--cache-dir", tmp_path / "cache", copied.name, cwd=tmp_path)  # fmt: skip
    assert "arg-type" in refused.stdout
