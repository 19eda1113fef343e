"""The driver stands alone: run by path, in an interpreter without packages, beside modules of the same names."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from parity.process import DRIVER

SOURCES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DRIVER.glob("*.py"))}

STANDINS = {
    "torch.py": (
        "class cuda:\n    is_available = staticmethod(lambda: False)\n"
        "class distributed:\n    is_available = staticmethod(lambda: False)\n"
    ),
    "transformers/__init__.py": "",
    "transformers/trainer.py": "",
    "datasets.py": "def disable_progress_bars(): pass\n",
    # Named as one of the driver's own modules is.
    "events.py": (
        "import dataclasses\n@dataclasses.dataclass\nclass ORPOConfig:\n    beta: float = 0.1\n"
        "class ORPOTrainer:\n    pass\n"
    ),
}


@pytest.fixture(params=["folder", "file"])
def driver(request) -> Path:
    """Both spellings that Python takes for a folder run by path."""
    return DRIVER if request.param == "folder" else DRIVER / "__main__.py"


def _said(driver: Path, folder: Path, path: list[str]) -> list[dict[str, object]]:
    """Run a job without runs in an interpreter without installed packages; return what the arm said."""
    job = {"arm": "theirs", "trainer": "events:ORPOTrainer", "plan": "none", "out": str(folder / "out"), "runs": []}
    (folder / "job.json").write_text(json.dumps({**job, "path": path}))
    command = [sys.executable, "-S", "-E", "-B", str(driver), str(folder / "job.json")]
    subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=60)
    return [json.loads(line) for line in (folder / "out" / "arm.jsonl").read_text().splitlines()]


def test_the_driver_starts_without_any_package_and_names_the_one_it_lacks(driver, tmp_path):
    said = _said(driver, tmp_path, [])
    assert [event["event"] for event in said] == ["failed"]
    assert said[0]["message"] == "No module named 'torch'"


def test_the_trainers_modules_are_not_shadowed_by_the_drivers_of_the_same_name(driver, tmp_path):
    for name, source in STANDINS.items():
        (tmp_path / "lib" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / name).write_text(source)
    assert "events.py" in SOURCES
    said = _said(driver, tmp_path, [str(tmp_path / "lib")])
    assert [event["event"] for event in said] == ["phase", "phase", "arm", "done"], said
    assert said[2]["trainer_file"] == str(tmp_path / "lib" / "events.py")
    assert said[2]["config_fields"] == ["beta"]


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_parses_on_the_oldest_python_a_reference_may_have(name):
    ast.parse(SOURCES[name], feature_version=(3, 8))


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_imports_the_standard_library_and_its_neighbours_alone_when_it_is_loaded(name):
    modules = set()
    for node in ast.parse(SOURCES[name]).body:
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module.split(".")[0])
    assert modules <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_names_nothing_of_ours(name):
    imported = [node for node in ast.walk(ast.parse(SOURCES[name])) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert not {name for name in names if name.split(".")[0] in ("parity", "orpo_compat", "codemods")}


def test_no_module_is_named_as_one_of_the_standard_library():
    """Python itself imports some before the driver can take its folder off the search path."""
    assert not {Path(name).stem for name in SOURCES} & set(sys.stdlib_module_names)
