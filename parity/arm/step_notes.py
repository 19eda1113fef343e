"""What is written of one optimizer step: gradients, norms, the optimizer's groups and state, weights.

Tensors go to one safetensors file per step, by the names and in the layout of the newest transformers.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from .digests import file_digest
from .names import fuse_experts, fused_name, is_single_expert, plain_name
from .samples import norm_of, sample_of


def trained_parameters(trainer: Any) -> list[tuple[str, Any]]:
    """Return the parameters that train, by plain names."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return [(plain_name(name), p) for name, p in model.named_parameters() if p.requires_grad]


def optimizer_state(trainer: Any) -> Any:
    """Return the optimizer's state by parameter, out of accelerate's wrapper."""
    return getattr(trainer.optimizer, "optimizer", trainer.optimizer).state


class StepNotes:
    """Notes one step at its three moments: gradients are there, they are clipped, the step is taken."""

    def __init__(self, trainer: Any, folder: Path, limit: int) -> None:
        self.trainer, self.folder, self.limit = trainer, folder, limit
        self._pre: dict[str, Any] = {}
        self._post: dict[str, Any] = {}

    def on_gradients(self) -> None:
        """Note the gradients as the last backward pass of the step left them."""
        self._pre = self._gradients(keep=True)

    def on_clipped(self) -> None:
        """Note the gradients' norms as the optimizer will see them, and its groups."""
        self._post = self._gradients(keep=False)
        self._post["groups"] = self._groups()

    def on_taken(self) -> dict[str, Any]:
        """Write the step that has just been taken: gradients, optimizer state, weights; return what to say of it."""
        from safetensors.torch import save_file

        tensors, norms = dict(self._pre["samples"]), {"grad": self._pre["norms"]}
        for kind, named in self._kinds().items():
            for name, value in fuse_experts(named):
                tensors[f"{kind}/{name}"] = sample_of(value, self.limit)
                norms.setdefault(kind, {})[name] = norm_of(value)
        step = self.trainer.state.global_step - 1
        path = self.folder / f"step-{step:05d}.safetensors"
        save_file(tensors, str(path))
        return {
            "step": step,
            "file": path.name,
            "file_digest": file_digest(path),
            "grad_norm_before_clip": math.sqrt(sum(n * n for n in self._pre["norms"].values())),
            "grad_norm_after_clip": math.sqrt(sum(n * n for n in self._post["norms"].values())),
            "no_gradient": self._pre["missing"],
            "groups": self._post["groups"],
            "norms": norms,
        }

    def _gradients(self, keep: bool) -> dict[str, Any]:
        import torch

        gradients, missing = [], []
        for name, parameter in trained_parameters(self.trainer):
            if parameter.grad is not None:
                gradients.append((name, parameter.grad))
            elif is_single_expert(name):
                gradients.append((name, torch.zeros_like(parameter)))  # no token chose it
            else:
                missing.append(fused_name(name))
        samples, norms = {}, {}
        for name, gradient in fuse_experts(gradients):
            norms[name] = norm_of(gradient)
            if keep:
                samples["grad/" + name] = sample_of(gradient, self.limit)
        return {"samples": samples, "norms": norms, "missing": missing}

    def _groups(self) -> list[dict[str, Any]]:
        names = {id(parameter): name for name, parameter in trained_parameters(self.trainer)}
        groups = []
        for group in self.trainer.optimizer.param_groups:
            members = sorted({fused_name(names.get(id(parameter), "?")) for parameter in group["params"]})
            settings = {key: group.get(key) for key in ("lr", "betas", "eps", "weight_decay") if key in group}
            members_digest = hashlib.sha256("\n".join(members).encode()).hexdigest()[:16]
            groups.append(dict(settings, num_params=len(members), members=members_digest))
        return groups

    def _kinds(self) -> dict[str, list[tuple[str, Any]]]:
        """Return weights and optimizer state by kind, then by name."""
        import torch

        state, parameters = optimizer_state(self.trainer), trained_parameters(self.trainer)
        kinds: dict[str, list[tuple[str, Any]]] = {"weight": []}
        for name, parameter in parameters:
            kinds["weight"].append((name, parameter))
            for key, value in (state.get(parameter) or {}).items():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    kinds.setdefault(key, []).append((name, value))
        for named in kinds.values():
            there = {name for name, _ in named}
            # An expert that no token has chosen yet has no state where it had no gradient.
            for name, parameter in parameters:
                if name not in there and is_single_expert(name):
                    named.append((name, torch.zeros_like(parameter)))
        return kinds
