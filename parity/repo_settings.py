"""Reads the literal ``ORPOConfig`` arguments at a repository's call sites, so that parity is proved at those settings.

Only literals are taken: a name or an expression is not guessed at, it is reported. What would not fit this machine
(lengths, batch, steps) is capped, and every cap is said. It reads source with ``ast`` and runs none of it.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity.catalog import find_model
from parity.fit import fit
from parity.scenarios import make_spec
from parity.spec import Spec

_SKIPPED_FOLDERS = {
    ".git",
    ".venv",
    "venv",
    "env",
    "node_modules",
    "__pycache__",
    ".orpo-compat",
    "site-packages",
    "build",
    "dist",
}
_MOST_BYTES = 2_000_000

CAPS = {
    "max_length": 512,
    "max_prompt_length": 256,
    "max_completion_length": 256,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 8,
}
_TAKEN = {
    "beta",
    "learning_rate",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
    "lr_scheduler_type",
    "warmup_steps",
    "warmup_ratio",
    "gradient_accumulation_steps",
    "per_device_train_batch_size",
    "max_length",
    "max_prompt_length",
    "max_completion_length",
    "truncation_mode",
    "disable_dropout",
    "gradient_checkpointing",
    "seed",
    "optim",
}
# Settings of the machine or the run, which say nothing about the numbers.
_LEFT_OUT = {
    "output_dir",
    "report_to",
    "run_name",
    "logging_steps",
    "save_steps",
    "eval_steps",
    "num_train_epochs",
    "max_steps",
}
_OPTIMIZERS = {"adamw_torch", "adamw_torch_fused", "sgd", "adafactor", "adagrad", "rmsprop", "adamw_hf"}


@dataclass(frozen=True, slots=True)
class CallSite:
    """One call of ``ORPOConfig`` in the repository."""

    path: str
    line: int
    literals: dict[str, Any] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    """Arguments whose values are not literals."""


def _python_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in sorted(files):
            if name.endswith(".py"):
                yield Path(folder) / name


def _called_name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _names_of_config(tree: ast.AST) -> set[str]:
    """Return what ``ORPOConfig`` is called in a module, aliases included."""
    names = {"ORPOConfig"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname for alias in node.names if alias.name == "ORPOConfig" and alias.asname}
    return names


def _literal(value: ast.expr, constants: dict[str, Any]) -> Any:
    """Return the value of a literal, or of a name that the module binds to one once; raises ValueError otherwise."""
    if isinstance(value, ast.Name) and value.id in constants:
        return constants[value.id]
    return ast.literal_eval(value)


def _constants(tree: ast.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for node in ast.walk(tree):
        for target in getattr(node, "targets", []) if isinstance(node, ast.Assign) else []:
            if isinstance(target, ast.Name):
                counts[target.id] = counts.get(target.id, 0) + 1
    for statement in tree.body:
        if (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            name = statement.targets[0].id
            try:
                value = ast.literal_eval(statement.value)
            except ValueError:
                continue
            if counts[name] == 1:
                found[name] = value
    return found


def find_call_sites(root: Path) -> list[CallSite]:
    """Return every call of ``ORPOConfig`` under ``root`` with its literal keyword arguments, in path order."""
    sites = []
    for path in _python_files(root):
        try:
            source = path.read_bytes()
            if b"ORPOConfig" not in source or len(source) > _MOST_BYTES:
                continue
            tree = ast.parse(source)
        except (OSError, SyntaxError, ValueError):
            continue
        names, constants = _names_of_config(tree), _constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called_name(node) in names:
                sites.append(_read_site(node, path.relative_to(root).as_posix(), constants))
    return sites


def _read_site(call: ast.Call, path: str, constants: dict[str, Any]) -> CallSite:
    literals: dict[str, Any] = {}
    unread = []
    for keyword in call.keywords:
        if keyword.arg is None:
            unread.append("**")
            continue
        try:
            literals[keyword.arg] = _literal(keyword.value, constants)
        except (ValueError, TypeError, SyntaxError):
            unread.append(keyword.arg)
    return CallSite(path, call.lineno, literals, tuple(unread))


def settings_of(site: CallSite) -> tuple[dict[str, Any], list[str]]:
    """Return the settings a call site proves parity at, and in sentences what was capped or left out."""
    settings = {name: value for name, value in site.literals.items() if name in _TAKEN}
    notes = [f"settings of {site.path}:{site.line}"]
    for name, cap in CAPS.items():
        value = settings.get(name)
        if isinstance(value, int) and value > cap:
            settings[name] = cap
            notes.append(f"{name} {value} capped at {cap}")
    if settings.get("optim", "adamw_torch") not in _OPTIMIZERS:
        notes.append(f"optim {settings.pop('optim')!r} needs another machine; adamw_torch used")
    ignored = sorted(set(site.literals) - _TAKEN - _LEFT_OUT)
    if ignored:
        notes.append("not taken over: " + ", ".join(ignored))
    if site.unread:
        notes.append("not literal, left at its default: " + ", ".join(site.unread))
    return settings, notes


def spec_for_repository(
    root: Path,
    *,
    report: Callable[[str], None],
    model: str | None = None,
    steps: int | None = None,
    processes: int = 1,
) -> Spec:
    """Return the question asked at the settings of a repository's own call sites.

    The call site with the most literal settings is taken; a repository without any is asked at the base settings.
    """
    sites = find_call_sites(root)
    if not sites:
        report("no ORPOConfig call found in the repository; using the base scenario's settings")
        said = ("no ORPOConfig call found; base settings",)
        return make_spec("repo", model=model, steps=steps, processes=processes, notes=said)
    site = max(sites, key=lambda found: len(settings_of(found)[0]))
    settings, notes = settings_of(site)
    seed = settings.pop("seed", 20)
    if len(sites) > 1:
        notes.append(f"{len(sites)} call sites found; the one with the most literal settings is used")
    chosen = fit(find_model(model or "tiny"), steps=steps)
    for note in notes:
        report(note)
    return make_spec(
        "repo",
        model=model,
        steps=chosen.steps,
        seed=seed if isinstance(seed, int) and 0 <= seed < 2**31 else 20,
        threads=max(chosen.threads // processes, 1),
        processes=processes,
        settings={**settings, **chosen.settings},
        notes=(*notes, *chosen.notes),
        max_row_chars=chosen.max_row_chars,
    )
