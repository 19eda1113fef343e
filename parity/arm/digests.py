"""Digests of tensors, files and tokenized rows: what says that two arms held the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def tensor_bytes(tensor: Any) -> bytes:
    import torch

    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def digest_of(named: Iterable[tuple[str, Any]]) -> str:
    """Hash tensors by name, dtype, shape and bytes, in the order of their names."""
    whole = hashlib.sha256()
    for name, tensor in sorted(named, key=lambda item: item[0]):
        whole.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        whole.update(tensor_bytes(tensor))
    return whole.hexdigest()


def file_digest(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            whole.update(block)
    return whole.hexdigest()


def folder_digest(folder: Path) -> str:
    """Hash the names and bytes of a folder's Python files."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        whole.update(f"{path.name}|{file_digest(path)}|".encode())
    return whole.hexdigest()


def token_digests(dataset: Any) -> list[str]:
    """Return a digest of each tokenized row, over the lists of numbers it holds."""
    digests = []
    for row in dataset:
        numbers = {key: value for key, value in row.items() if key.endswith(("_ids", "_labels")) and value is not None}
        digests.append(hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16])
    return digests
