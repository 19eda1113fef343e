"""The map of TRL's modules, held against the TRL that is installed."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from codemods.catalog import CLASSES, FORWARD, HELPER_HOMES, ORPO_MODULES, OUR_SOURCES, SOURCES, backward


def _file(module: str) -> Path | None:
    top = find_spec("trl")
    assert top is not None
    assert top.origin is not None
    path = Path(top.origin).parent.joinpath(*module.split(".")[1:])
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def _names(module: str) -> set[str]:
    """What can be imported from a module of TRL, by reading it: definitions, imports and lazy listings."""
    path = _file(module)
    assert path is not None, module
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.add(node.value)
    return found


@pytest.mark.parametrize("module", [module for module in sorted(SOURCES) if "experimental" in module])
def test_the_experimental_modules_have_the_classes(module: str) -> None:
    assert SOURCES[module] <= _names(module)


@pytest.mark.parametrize("module", [module for module in sorted(SOURCES) if "experimental" not in module])
def test_the_old_modules_have_lost_them(module: str) -> None:
    assert _file(module) is None or not CLASSES & _names(module)


@pytest.mark.parametrize(("name", "home"), [(name, home) for name, home in HELPER_HOMES.items() if home])
def test_helpers_live_where_the_advice_says(name: str, home: str) -> None:
    assert name in _names(home)


def test_the_packages_on_the_way_are_known() -> None:
    assert FORWARD.packages == {*SOURCES, "trl.experimental"}
    assert FORWARD.modules == ORPO_MODULES
    assert FORWARD.moves("trl.trainer.ORPOTrainer")
    assert not FORWARD.moves("trl.trainer.orpo_config.ORPOTrainer")
    assert not FORWARD.moves("trl.SFTTrainer")


def test_the_way_back_has_the_same_rule_turned_round() -> None:
    move = backward("trl.experimental.orpo")
    assert (move.source_root, move.target_root) == ("orpo_compat", "trl")
    assert set(move.sources) == set(OUR_SOURCES)
    with pytest.raises(ValueError, match="cannot move ORPO back"):
        backward("trl.trainer.orpo_config")
