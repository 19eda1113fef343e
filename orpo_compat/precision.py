"""Which number format a run computes in: what was asked for, met with what the device can do.

``settle`` takes a wish and a device, and gives a decision and the sentences to say about it. ``this_device`` looks at
the machine. An unset ``bf16`` is never an error (TRL's default raises on a machine without a GPU); an explicit one that
no device could honour still is, and transformers raises it. Nothing here touches a model or an accelerator.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from transformers.utils.import_utils import (
    is_torch_bf16_gpu_available,
    is_torch_tf32_available,
    is_torch_xla_available,
)


@dataclass(frozen=True)
class Device:
    """What a run would compute on. ``bf16`` is native support; an emulated bfloat16 is slower than float32."""

    kind: str
    bf16: bool = False
    tf32: bool = False


@dataclass(frozen=True)
class Precision:
    """The four precision arguments of ``TrainingArguments`` and ``use_cpu``, as asked for or as settled."""

    bf16: bool | None = None
    fp16: bool = False
    bf16_full_eval: bool = False
    tf32: bool | None = None
    use_cpu: bool = False


def settle(wish: Precision, device: Device, cpu: Device) -> tuple[Precision, list[str]]:
    """Decide the precision of a run.

    Args:
        wish: what the user passed; ``bf16=None`` means "choose".
        device: the accelerator, or the CPU where there is none.
        cpu: the CPU itself, used when the wish says ``use_cpu``.

    Returns:
        The settled arguments (``bf16`` is a bool) and one sentence for each wish that was not taken literally.
    """
    notes: list[str] = []
    target = cpu if wish.use_cpu else device
    if wish.fp16 and not wish.bf16 and target.kind == "cpu":
        notes.append("fp16=True needs an accelerator and there is none: training in float32 instead")
        wish = replace(wish, fp16=False, bf16=False)
    if wish.bf16 is None:
        chosen = not wish.fp16 and target.bf16
        if not chosen and not wish.fp16 and not launched_with():
            notes.append(
                f"bfloat16 does not pay on this device ({target.kind}): training in float32; "
                "pass bf16=True or fp16=True to choose otherwise"
            )
        wish = replace(wish, bf16=chosen)
    if (wish.bf16 or wish.bf16_full_eval) and target.kind == "cpu":
        wish = replace(wish, use_cpu=True)  # the device is the CPU either way; transformers wants it said
    if wish.tf32 and not target.tf32:
        notes.append(f"tf32=True has no effect on this device ({target.kind}): TF32 needs an Ampere or newer GPU")
        wish = replace(wish, tf32=None)
    return wish, notes


def launched_with() -> str | None:
    """The mixed precision that ``accelerate launch`` was told to use; transformers takes it where no argument says."""
    said = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    return None if said == "no" else said


def this_device() -> Device:
    """The accelerator that transformers would pick on this machine, or the CPU."""
    if os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes", "on"):
        return this_cpu()
    if is_torch_xla_available():
        return Device("xla", bf16=True)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None:
        return this_cpu()
    if accelerator.type == "cuda":
        return Device("cuda", torch.cuda.is_bf16_supported(including_emulation=False), is_torch_tf32_available())
    return Device(accelerator.type, is_torch_bf16_gpu_available(), is_torch_tf32_available())


@cache
def this_cpu() -> Device:
    """The CPU. Its bfloat16 counts only with AMX: without those tiles autocast makes a step slower, not faster."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        flags = ""
    return Device("cpu", bf16="amx_bf16" in flags and torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
