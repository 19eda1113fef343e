"""``migrate --verify-subclass``: prove parity of the repository's own subclass, not of the two trainers alone.

The class is trained twice in fresh processes: in theirs deriving from TRL's trainer, in ours from orpo_compat's, as
the switch would leave it. Both run from a copy of the tree made of links, with the class's own file cut down to what
the class needs, so that a training script is not run. Nothing is written into the tree.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orpo_compat.cli.console import say
from orpo_compat.cli.migrate_options import Request

if TYPE_CHECKING:
    from codemods.plan import Plan
    from parity.gate import GateResult, Trainers

_PART = "orpo_compat_subclass"
_LOADER = "orpo_compat_tested"
_LOADER_TEXT = '''"""Made by orpo-compat migrate --verify-subclass: the class under test and the config it takes."""

import importlib
import sys

_module = importlib.import_module({module!r})
TestedTrainer = getattr(_module, {trainer!r})


def _config():
    if {config!r}:
        return getattr(_module, {config!r})
    for base in TestedTrainer.__mro__:
        if base.__module__.partition(".")[0] in ("trl", "orpo_compat"):
            found = getattr(sys.modules[base.__module__], "ORPOConfig", None)
            if found is not None:
                return found
    raise TypeError("{trainer} derives from no ORPOTrainer of TRL or orpo_compat")


TestedConfig = _config()
'''


@dataclass(frozen=True, slots=True)
class Subclass:
    """One class to verify: the file that defines it, its name, and the config class beside it, if not ORPOConfig."""

    path: str
    trainer: str
    config: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.trainer}"


def wanted(asked: Sequence[str], sources: Mapping[str, bytes], paths: Sequence[str]) -> list[Subclass]:
    """The subclasses that ``asked`` names: ``FILE:CLASS[:CONFIG]``, or ``all`` for every one found in Python files.

    Raises:
        typer.BadParameter: a name of another form, a file that is not in the tree, or nothing found for ``all``.
    """
    found: list[Subclass] = []
    for text in asked:
        if text == "all":
            found += _all(sources, paths)
            continue
        path, *names = text.split(":")
        if path not in sources or not 1 <= len(names) <= 2:
            known = ", ".join(str(one) for one in _all(sources, paths)) or "none found"
            raise typer.BadParameter(f"--verify-subclass takes FILE:CLASS[:CONFIG] or all, got {text!r}; here: {known}")
        found.append(Subclass(path, *names))
    if not found:
        raise typer.BadParameter("--verify-subclass all: no class here derives from ORPOTrainer")
    return list(dict.fromkeys(found))


def _all(sources: Mapping[str, bytes], paths: Sequence[str]) -> Iterator[Subclass]:
    """Classes at the top of Python files that derive from the trainer."""
    import ast

    from codemods.module_graph import Graph

    python = {path: source for path, source in sources.items() if path.endswith(".py")}
    graph = Graph(python, frozenset(paths))
    for path, module in graph.modules.items():
        for node in module.tree.body:
            derives = isinstance(node, ast.ClassDef) and any(graph.meaning(module, base) for base in node.bases)
            # The graph tells whose class a base is, not which of the two; a dataclass is a config.
            if isinstance(node, ast.ClassDef) and derives and not node.decorator_list and "Config" not in node.name:
                yield Subclass(path, node.name)


def judge_subclasses(plan: Plan, request: Request) -> Iterator[tuple[Subclass, GateResult]]:
    """Train each subclass on both sides and yield what was concluded.

    Raises:
        ParityError: there is no TRL, or a side could not be trained.
    """
    from codemods.definitions import NoSuchClass
    from codemods.discover import discover
    from codemods.journal import HOME
    from parity.gate import judge_switch
    from parity.reference import find_reference

    found = discover(plan.root)
    before = {item.path: item.source for item in found.candidates}
    after = before | {file.path: file.result for file in plan.files}
    reference = find_reference(python=request.reference_python, root=plan.root)
    for subclass in wanted(request.verify_subclass, before, found.paths):
        say(f"{subclass}: trained as it is with TRL, and as it will be")
        with tempfile.TemporaryDirectory(prefix="orpo-compat-subclass-") as folder:
            theirs, ours = (Stage(plan.root, Path(folder) / side, found.paths) for side in ("theirs", "ours"))
            try:
                theirs.fill(_with_trl(after, set(before), reference.trl), subclass)
                ours.fill(after, subclass)
            except (NoSuchClass, SyntaxError) as error:
                raise typer.BadParameter(f"{subclass} cannot be read: {error!r}") from error
            yield (
                subclass,
                judge_switch(
                    plan.root,
                    evidence_dir=plan.root / HOME / "evidence",
                    reference_python=request.reference_python,
                    trainers=trainers(ours, theirs, subclass),
                    report=say,
                ),
            )


def _with_trl(after: Mapping[str, bytes], paths: set[str], release: str) -> dict[str, bytes]:
    """The switched files taken back to where the reference keeps ORPO, which may not be where the script looks."""
    from codemods.catalog import backward
    from codemods.options import Direction, Options
    from codemods.plan import rewrite_one

    home = backward("auto", release if release != "unknown" else None).target
    options = Options(trl_version=release)
    return {path: rewrite_one((path, after[path], options, Direction.REVERSE, home))[0] for path in paths}


def trainers(ours: Stage, theirs: Stage, subclass: Subclass) -> Trainers:
    """What the two arms import, and from where."""
    from parity.gate import Trainers

    name = f"{_LOADER}:TestedTrainer"
    folders = [stage.search_path(subclass) for stage in (ours, theirs)]
    return Trainers(ours=name, theirs=name, ours_path=folders[0], theirs_path=folders[1])


@dataclass(frozen=True, slots=True)
class Stage:
    """A copy of the tree for one side, made of links to its files."""

    root: Path
    folder: Path
    paths: Sequence[str]

    def fill(self, files: Mapping[str, bytes], subclass: Subclass) -> None:
        """Link every file, write those in ``files`` instead, and put the class's definitions beside its file."""
        from codemods.definitions import definitions_for
        from codemods.inventory import python_of

        for path in self.paths:
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if path in files:
                place.write_bytes(files[path])
            elif (self.root / path).is_file():
                place.symlink_to((self.root / path).resolve())
        names = [subclass.trainer, *([subclass.config] if subclass.config else [])]
        text, _ = python_of(subclass.path, files[subclass.path])
        home = self.folder / subclass.path
        home.with_name(f"{_PART}.py").write_text(definitions_for(text, names), encoding="utf-8")
        module = ".".join([*self._package(subclass), _PART])
        loader = _LOADER_TEXT.format(module=module, trainer=subclass.trainer, config=subclass.config)
        (self.folder / f"{_LOADER}.py").write_text(loader, encoding="utf-8")

    def _package(self, subclass: Subclass) -> list[str]:
        """The packages that the class's file lies in, outermost first."""
        parts = subclass.path.split("/")[:-1]
        first = len(parts)
        while first and "/".join([*parts[:first], "__init__.py"]) in self.paths:
            first -= 1
        return parts[first:]

    def search_path(self, subclass: Subclass) -> tuple[str, ...]:
        """The stage's root, its source root, and the folder the class's module is imported from."""
        above = len(subclass.path.split("/")) - 1 - len(self._package(subclass))
        home = self.folder.joinpath(*subclass.path.split("/")[:above])
        folders = [home, self.folder, *(self.folder / name for name in ("src", "lib"))]
        return tuple(dict.fromkeys(str(folder) for folder in folders))
