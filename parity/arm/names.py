"""One name and one layout for every parameter, whichever release of transformers and whichever wrapper holds it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_EXPERT = re.compile(r"(.*)\.(?:block_sparse_moe|mlp)\.experts\.(\d+)\.(w[123]|(?:gate|up|down)_proj)\.weight")
_ROLES = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}


def plain_name(name: str) -> str:
    """Return a parameter's name without the wrappers that compilers and data parallelism add."""
    for prefix in ("module.", "_orig_mod."):
        while name.startswith(prefix):
            name = name[len(prefix) :]
    return name


def fused_name(name: str) -> str:
    """Return the name under which transformers 5 holds a parameter: a layer's experts are two tensors there."""
    expert = _EXPERT.fullmatch(name)
    if expert is None:
        return name.replace(".block_sparse_moe.", ".mlp.")
    role = _ROLES.get(expert[3], expert[3])
    return f"{expert[1]}.mlp.experts.{'down_proj' if role == 'down_proj' else 'gate_up_proj'}"


def fuse_experts(named: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return tensors by the names and in the layout of transformers 5, whichever release named them."""
    import torch

    plain: list[tuple[str, Any]] = []
    experts: dict[str, dict[str, dict[int, Any]]] = {}
    for name, tensor in named:
        expert = _EXPERT.fullmatch(name)
        if expert is None:
            plain.append((fused_name(name), tensor))
        else:
            role = _ROLES.get(expert[3], expert[3])
            experts.setdefault(fused_name(name), {}).setdefault(role, {})[int(expert[2])] = tensor.detach()
    for name, roles in experts.items():
        stacked = {role: torch.stack([by_number[n] for n in sorted(by_number)]) for role, by_number in roles.items()}
        order = [role for role in ("gate_proj", "up_proj", "down_proj") if role in stacked]
        plain.append((name, torch.cat([stacked[role] for role in order], dim=1)))
    return plain


def is_single_expert(name: str) -> bool:
    """Whether a parameter is one matrix of one expert, as transformers held them before 5."""
    return _EXPERT.fullmatch(name) is not None
