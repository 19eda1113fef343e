"""The face of the package: what it offers, and that offering it costs nothing and needs no TRL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import orpo_compat

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_every_name_offered_is_there() -> None:
    assert all(getattr(orpo_compat, name) is not None for name in orpo_compat.__all__)
    assert orpo_compat.MerlinaORPOTrainer is orpo_compat.ORPOTrainer


def test_a_name_that_is_not_offered_is_answered_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"it offers .*ORPOTrainer"):
        _ = orpo_compat.DPOTrainer  # type: ignore[attr-defined]


def test_importing_the_package_loads_neither_torch_nor_transformers() -> None:
    loaded = run_python(
        "import sys, orpo_compat; print(sorted({'torch', 'transformers', 'libcst'} & set(sys.modules)))"
    )
    assert loaded.strip() == "[]"


def test_the_trainer_imports_where_trl_cannot_be() -> None:
    """None in sys.modules makes any import of trl raise ImportError."""
    code = "import sys; sys.modules['trl'] = None; import orpo_compat; print(orpo_compat.ORPOTrainer.__name__)"
    assert run_python(code).splitlines()[-1] == "ORPOTrainer"


def test_no_module_of_the_trainer_imports_trl() -> None:
    import ast

    for path in (ROOT / "orpo_compat").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "trl" for name in names), f"{path}:{node.lineno}"  # type: ignore[attr-defined]
