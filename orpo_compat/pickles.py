"""Reads an old ``training_args.bin``, written by TRL's trainer, into an ``ORPOConfig``; it needs no TRL and no trust.

    from orpo_compat.pickles import load_training_args
    config = load_training_args("old-run/checkpoint-500/training_args.bin")

The file is a pickle, which can run anything. Here it runs nothing: each class it names becomes an inert record of its
values, and a name outside the few packages that such a file has business with is refused. The values then go through
``ORPOConfig``'s constructor like any others, so older spellings are translated and the device is chosen anew.
"""

from __future__ import annotations

import pickle
from dataclasses import MISSING, fields
from os import PathLike
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from orpo_compat.config import ORPOConfig
from orpo_compat.errors import PickleRefused
from orpo_compat.spellings import SPELLINGS

CONFIG_CLASSES = frozenset(
    {
        ("trl.trainer.orpo_config", "ORPOConfig"),
        ("trl.experimental.orpo.orpo_config", "ORPOConfig"),
        ("UnslothORPOTrainer", "UnslothORPOConfig"),
        ("orpo_compat.config", "ORPOConfig"),
        ("transformers.training_args", "TrainingArguments"),
    }
)
"""Classes whose pickles are read: ORPO's in TRL <= 0.25 and its shims, in TRL >= 0.26, Unsloth's copy, ours, plain."""

_PACKAGES = frozenset({"transformers", "accelerate", "trl", "torch"})
_PLAIN = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "list"): list,
    ("builtins", "dict"): dict,
    ("builtins", "int"): int,
    ("builtins", "float"): float,
    ("builtins", "str"): str,
    ("builtins", "bool"): bool,
}


class Record:
    """Stands in for any object of the file: takes its constructor's arguments and its state, and does nothing."""

    origin: tuple[str, str] = ("", "")

    def __new__(cls, *values: Any, **named: Any) -> Record:
        record = super().__new__(cls)
        record.__dict__["values"] = values
        record.__dict__["state"] = dict(named)
        return record

    def __init__(self, *values: Any, **named: Any) -> None:
        """Accept what the real class would have been called with."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state if isinstance(state, dict) else {}

    def __setitem__(self, key: Any, value: Any) -> None:
        """Swallow the items of a mapping."""


def _member(owner: Any, name: str) -> Any:
    """``getattr`` as some Pythons pickle an enum's member with; the record of it keeps the name, in lower case."""
    return owner(name.lower()) if isinstance(owner, type) and issubclass(owner, Record) else Record()


class _Unpickler(pickle.Unpickler):
    """Resolves every class to a ``Record`` of its own, and refuses what no training arguments hold."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN:
            return _PLAIN[module, name]
        if (module, name) == ("builtins", "getattr"):
            return _member
        if (module, name) in CONFIG_CLASSES or module.partition(".")[0] in _PACKAGES:
            return type(name, (Record,), {"origin": (module, name)})
        raise PickleRefused(
            f"it names {module}.{name}, which training arguments never do. Nothing was run. "
            "If you trust the file, load it with TRL installed and save its to_dict() as JSON"
        )


def _load(file: Any, **options: Any) -> Any:
    return _Unpickler(file, **options).load()


def load_training_args(path: str | PathLike[str]) -> ORPOConfig:
    """Load the arguments of an old run.

    Args:
        path: a ``training_args.bin``, or the folder that holds it.

    Returns:
        The same arguments as an ``ORPOConfig``. What the old class computed for its machine (devices, plugins) is left
        out; so is a TensorBoard folder it made up itself.

    Raises:
        PickleRefused: the file holds something else than training arguments.
        OSError: the file cannot be read.
    """
    file = Path(path)
    file = file / "training_args.bin" if file.is_dir() else file
    # torch.load reads a file of the older, zipless format with ``load``, and everything else with ``Unpickler``.
    module = SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__=__name__)
    try:
        record = torch.load(file, map_location="cpu", weights_only=False, pickle_module=module)
    except PickleRefused as error:
        raise PickleRefused(f"{file}: {error}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, TypeError, KeyError) as error:
        raise PickleRefused(f"{file} is not a file that torch.save wrote: {error}") from error
    origin = getattr(record, "origin", None)
    if origin not in CONFIG_CLASSES:
        found = ".".join(origin) if origin else type(record).__name__
        raise PickleRefused(f"{file} holds a {found}, not the arguments of an ORPO run")
    return ORPOConfig(**_arguments(record.state))


def _arguments(state: dict[str, Any]) -> dict[str, Any]:
    """The constructor's arguments in the state of an old config, without those that say nothing."""
    silent = {row.name: row.inert for row in SPELLINGS}
    kept = {}
    for field in fields(ORPOConfig):
        if not field.init or field.name not in state:
            continue
        value = _plain(state[field.name])
        if value is not MISSING and value not in silent.get(field.name, ()):
            kept[field.name] = value
    folder = Path(str(state.get("output_dir"))) / "runs"
    if "logging_dir" in kept and folder in Path(kept["logging_dir"]).parents:
        del kept["logging_dir"]
    return kept


def _plain(value: Any) -> Any:
    """A value of the file without records: an enum's member becomes its text, a plugin's settings a dict."""
    if isinstance(value, Record):
        held = value.__dict__
        if held["state"]:
            return {key: _plain(inner) for key, inner in held["state"].items()}
        return held["values"][0] if len(held["values"]) == 1 else MISSING
    if isinstance(value, (list, tuple, set)):
        return type(value)(_plain(inner) for inner in value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
