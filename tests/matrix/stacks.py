"""What each stack is made of, and its environment: exactly the declared dependencies, nothing for testing in it.

The oldest stack is not a list of its own: it is every lower bound of ``pyproject.toml``, so a bound that is not true
fails. The newest one is ``newest.txt``, pinned so that a release of tomorrow does not fail a change of today.
torch is held to the build that ``constraints.txt`` names in both: older and newer ones exist for CPUs on no index that
everyone can reach, and a CUDA build takes gigabytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomlkit
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from parity.environments import cache_folder, ensure_environment

ROOT = Path(__file__).resolve().parents[2]
NEWEST = Path(__file__).with_name("newest.txt")
STACKS = ("oldest", "newest")
TEST_TOOLS = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "nbformat", "protobuf", "sentencepiece")


def dependencies() -> list[Requirement]:
    """The declared dependencies, in the order of ``pyproject.toml``."""
    return [Requirement(line) for line in _project()["dependencies"]]


def lowest_python() -> tuple[int, int]:
    """The lower bound of ``requires-python``."""
    (bound,) = SpecifierSet(_project()["requires-python"])
    major, minor = Version(bound.version).release[:2]
    return major, minor


def _project() -> dict[str, Any]:
    return dict(tomlkit.parse((ROOT / "pyproject.toml").read_text(encoding="utf-8")).unwrap()["project"])


def constraints() -> dict[str, str]:
    """The pins of ``constraints.txt`` by name."""
    return _pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))


def _pins(text: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return dict(line.split("==", 1) for line in lines if line)


def floor(requirement: Requirement) -> str:
    """The lower bound of a dependency.

    Raises:
        ValueError: it has none.
    """
    bounds = [specifier.version for specifier in requirement.specifier if specifier.operator == ">="]
    if len(bounds) != 1:
        raise ValueError(f"pyproject.toml: {requirement} needs exactly one lower bound (>=)")
    return bounds[0]


def packages(stack: str) -> tuple[str, ...]:
    """What pip installs for a stack: a pin for every declared dependency."""
    torch = f"torch=={constraints()['torch']}"
    others = [requirement for requirement in dependencies() if requirement.name != "torch"]
    if stack == "oldest":
        return (torch, *(f"{each.name}=={floor(each)}" for each in others))
    newest = _pins(NEWEST.read_text(encoding="utf-8"))
    return (torch, *(f"{each.name}=={newest[each.name]}" for each in others))


def environment(stack: str, *, report: Callable[[str], None] = print) -> Path:
    """The interpreter of a stack's environment, built if it is not there yet."""
    home = _folder() / f"{stack}-py{sys.version_info[0]}{sys.version_info[1]}"
    return ensure_environment(home, packages(stack), report=report)


def tools_folder(*, report: Callable[[str], None] = print) -> Path:
    """The site-packages folder of what tests need and the package does not."""
    pinned = constraints()
    wanted = tuple(f"{name}=={pinned[name]}" for name in TEST_TOOLS)
    home = _folder() / f"tools-py{sys.version_info[0]}{sys.version_info[1]}"
    ensure_environment(home, wanted, report=report)
    (site,) = home.glob("lib/python*/site-packages")
    return site


def show_tools(python: Path) -> None:
    """Let an environment, and every process started in it, find the test tools behind its own packages."""
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    (site / "tools.pth").write_text(f"{tools_folder()}\n", encoding="utf-8")


def _folder() -> Path:
    return cache_folder() / "stacks"
