"""Fits a question to the machine: how many steps, pairs and characters a model of this size can afford.

Every choice comes back with a sentence for the report: a smaller question proves less. Nothing is measured here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from parity.catalog import ModelSource
from parity.errors import SpecError

_SMALL = 20_000_000


@dataclass(frozen=True, slots=True)
class Fit:
    """What was chosen, and why in words."""

    threads: int
    steps: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    max_row_chars: int = 0
    notes: tuple[str, ...] = ()


def usable_cpus() -> int:
    """Return the processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def estimate_parameters(source: ModelSource) -> int:
    """Estimate a model's parameters from its architecture; 0 where only the hub knows it."""
    import json

    try:
        config = (
            json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
            if source.folder is not None
            else source.read_config()
        )
    except (OSError, ValueError, SpecError):
        return 0
    hidden = int(config.get("hidden_size") or config.get("d_model") or config.get("n_embd") or 0)
    layers = int(config.get("num_hidden_layers") or config.get("num_layers") or config.get("n_layer") or 0)
    inner = int(config.get("intermediate_size") or config.get("d_ff") or 4 * hidden)
    heads = max(int(config.get("num_attention_heads") or config.get("num_heads") or 1), 1)
    shared = int(config.get("num_key_value_heads") or heads) / heads
    attention = hidden * hidden * (2 + 2 * shared)
    embeddings = int(config.get("vocab_size") or 0) * hidden * (1 if config.get("tie_word_embeddings", True) else 2)
    return int(layers * (attention + 3 * hidden * inner) + embeddings)


def fit(source: ModelSource, *, steps: int | None) -> Fit:
    """Choose what fits: small models take the scenario as it is, on one thread."""
    size = estimate_parameters(source)
    if source.embedded or 0 < size <= _SMALL:
        return Fit(threads=1, steps=steps)
    cpus = usable_cpus()
    chosen = steps or 3
    settings = {"per_device_train_batch_size": 1, "per_device_eval_batch_size": 1, "learning_rate": 1e-4}
    about = f"about {size / 1e6:.0f} million parameters" if size else "a size that is not known beforehand"
    note = (
        f"scaled to this machine ({about}, {cpus} processors): {chosen} steps, 1 pair per micro-batch, "
        "texts cut to 160 characters, learning rate 1e-4, sampled tensors"
    )
    return Fit(threads=cpus, steps=chosen, settings=settings, max_row_chars=160, notes=(note,))
