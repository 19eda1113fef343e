"""The frozen question that both arms answer: model, rows, settings, seed. Its digest is in every artefact.

A spec holds plain values only, and its canonical JSON is what is hashed: two specs are the same question exactly if
their digests are equal. This module asks nothing and runs nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from parity.errors import SpecError

FORMAT = 1
"""Raised whenever a spec of the same text would mean another question."""


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One question. Settings carry the names of TRL 1.16's ``ORPOConfig``."""

    model: str
    """A name that ``catalog.find_model`` resolves."""
    weights: str
    """``auto``, ``hub`` or ``random``; ``plan`` reports which of disk, hub and random it became."""
    scenario: str = "base"
    shape: str = "strings"
    """How rows present a pair: strings, implicit, chat, long."""
    data: str | None = None
    """A JSON or JSONL file of rows instead of the embedded pairs."""
    steps: int = 4
    seed: int = 20
    num_eval_rows: int = 4
    max_row_chars: int = 0
    """Cut each text of the rows to so many characters, to fit a large model on a small machine; 0 leaves them."""
    dtype: str = "float32"
    device: str = "cpu"
    """``cpu``, where runs are bit-reproducible, or ``auto`` for what the trainers choose themselves."""
    attention: str = "sdpa"
    threads: int = 1
    processes: int = 1
    """Data-parallel processes of each arm, under one launcher."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of ``ORPOConfig``; those not named keep each trainer's own default, which is judged too."""
    lora: dict[str, Any] | None = None
    """Arguments of ``peft.LoraConfig``, or nothing for full training."""
    model_config: dict[str, Any] = field(default_factory=dict)
    """Attributes set on the loaded model's config."""
    notes: tuple[str, ...] = ()
    """What was scaled to this machine, in sentences that the report shows."""
    format: int = FORMAT

    def __post_init__(self) -> None:
        for name, low in (("steps", 1), ("threads", 1), ("processes", 1), ("num_eval_rows", 0)):
            value = getattr(self, name)
            if value < low:
                raise SpecError(f"{name} must be at least {low}, got {value}")
        if self.weights not in ("auto", "hub", "random"):
            raise SpecError(f"weights must be auto, hub or random, got {self.weights!r}")
        if self.dtype not in ("float32", "bfloat16"):
            raise SpecError(f"dtype must be float32 or bfloat16, got {self.dtype!r}")
        if self.device not in ("cpu", "auto"):
            raise SpecError(f"device must be cpu or auto, got {self.device!r}")
        canonical_json(self.settings)

    @property
    def batch_size(self) -> int:
        """Pairs per micro-batch."""
        return int(self.settings.get("per_device_train_batch_size", 8))

    @property
    def accumulation(self) -> int:
        """Micro-batches per optimizer step."""
        return int(self.settings.get("gradient_accumulation_steps", 1))

    @property
    def num_rows(self) -> int:
        """Training rows that the steps consume."""
        return self.steps * self.batch_size * self.accumulation * self.processes

    def as_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of this spec."""
        return digest_json(self.as_dict())

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Spec:
        """Rebuild a spec from ``as_dict``.

        Raises:
            SpecError: an unknown field, or a format newer than this release reads.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(set(plain) - known)
        if unknown:
            raise SpecError(f"unknown spec field {unknown[0]!r}; this release knows {', '.join(sorted(known))}")
        if plain.get("format", FORMAT) > FORMAT:
            raise SpecError(f"spec format {plain['format']} is newer than {FORMAT}; update orpo-compat")
        return cls(**{**plain, "notes": tuple(plain.get("notes", ()))})
