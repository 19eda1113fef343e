"""What may stand for a dataset where a trainer is built, and what to say about the rest.

Turns lists of rows into datasets; refuses paths, splits and emptiness before anything is tokenized. What a row holds,
``data`` decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

from orpo_compat.errors import DataError, WrongDataKind

_TOKENIZED = ("chosen_input_ids", "chosen_labels")


def accepted(data: Any, name: str) -> Any:
    """Return what was given as ``train_dataset`` or ``eval_dataset`` as something that can be tokenized.

    Args:
        data: a dataset, a stream, a list of rows, None; for evaluation a dict of these, too.
        name: ``train`` or ``eval``.

    Raises:
        WrongDataKind: a path, or a dict of splits to train on.
        DataError: there is no row.
    """
    argument = f"{name}_dataset"
    if data is None:
        return None
    if isinstance(data, (str, Path)):
        raise WrongDataKind(
            f"{argument} must be a dataset, got the {type(data).__name__} {str(data)!r}.\n"
            f"  Next: pass {argument}=load_dataset('json', data_files={str(data)!r}, split='train'), "
            "or use `orpo-compat train --data`, which reads files."
        )
    if isinstance(data, Mapping):
        if name == "train":
            raise WrongDataKind(
                f"{argument} must be one dataset, got a {type(data).__name__} with {_listed(data)}.\n"
                f"  Next: pass {argument}=data[{next(iter(data), 'train')!r}], or load with split=."
            )
        return type(data)({key: _rows(part, f"{argument}[{key!r}]") for key, part in data.items()})  # type: ignore[call-arg]
    return _rows(data, argument)


def _listed(data: Mapping[Any, Any]) -> str:
    return ", ".join(repr(key) for key in data) or "nothing in it"


def _rows(data: Any, what: str) -> Any:
    if isinstance(data, Sized) and len(data) == 0:
        raise DataError(
            f"{what} has no rows.\n  Next: look at what filtered or split it; ORPO needs one pair at least."
        )
    if (
        isinstance(data, (list, tuple))
        and isinstance(data[0], Mapping)
        and not any(key in data[0] for key in _TOKENIZED)
    ):
        from datasets import Dataset

        return Dataset.from_list([dict(row) for row in data])
    return data
