"""Writes small traces by hand, in the form the arm writes them, so that judging can be tested without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from parity.arm.digests import file_digest
from parity.arm.events import spell
from parity.trace import Trace, read_trace

Event = dict[str, Any]
NAMES = ("body.weight", "head.weight")


def _pair(seed: int) -> dict[str, list[int]]:
    return {
        "chosen": [1, 5 + seed, 6, 2],
        "chosen_labels": [-100, -100, 6, 2],
        "rejected": [1, 5 + seed, 7, 2],
        "rejected_labels": [-100, -100, 7, 2],
    }


def events_of(steps: int, padded: bool) -> list[Event]:
    """Return the events of an honest run of ``steps`` steps with one micro-batch each."""
    start: Event = {
        "event": "start",
        "plan": "p",
        "rows": "r",
        "weights": "w0",
        "num_parameters": 8,
        "dtype": "torch.float32",
        "device": "cpu",
        "trainable": list(NAMES),
        "tokens": {"train": ["a", "b"]},
    }
    events: list[Event] = [{"event": "run", "run": {"name": "base"}, "format": 1, "spec": "s"}, start]
    for step in range(steps):
        metrics = {
            "rewards/chosen": -0.1 - step,
            "rewards/rejected": -0.2 - step,
            "rewards/accuracies": 1.0,
            "rewards/margins": 0.1,
            "logps/chosen": -1.0 - step,
            "logps/rejected": -2.0 - step,
            "logits/chosen": 0.5,
            "logits/rejected": 0.25,
            "nll_loss": 3.0,
            "log_odds_ratio": -0.5,
            "log_odds_chosen": 0.25,
        }
        events.append({
            "event": "micro", "step": step, "micro": step, "last": True, "pairs": [_pair(step), _pair(step + 1)],
            "padded": padded, "chosen_logps": [-1.0, -1.5], "rejected_logps": [-2.0, -2.5],
            "odds_losses": [-0.05, -0.04], "loss": 3.5, "metrics": metrics, "path": "padded",
        })  # fmt: skip
        group = {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.1, "num_params": 2, "members": "m"}
        events.append({
            "event": "step", "step": step, "seconds": 0.5, "grad_norm_before_clip": 2.0, "grad_norm_after_clip": 1.0,
            "groups": [group], "no_gradient": [], "norms": {},
        })  # fmt: skip
        events.append({"event": "log", "step": step + 1, "logs": {"loss": 3.5, "grad_norm": 2.0, **metrics}})
    events.append({"event": "phase", "phase": "train", "seconds": 1.0, "rss_before": 100, "rss": 200, "rss_peak": 300})
    events.append({"event": "end", "weights": "w1", "saved_tensors": 2})
    return events


def tensors_of(step: int) -> dict[str, torch.Tensor]:
    """Return the tensors of one step."""
    return {
        f"{kind}/{name}": torch.full((4,), value + step)
        for kind, value in (("grad", 1.0), ("exp_avg", 2.0), ("exp_avg_sq", 3.0), ("weight", 4.0))
        for name in NAMES
    }


def write_trace(
    folder: Path,
    *,
    steps: int = 3,
    padded: bool = True,
    change: Callable[[list[Event]], object] | None = None,
    tensors: Callable[[int, dict[str, torch.Tensor]], object] | None = None,
) -> Trace:
    """Write a run into ``folder`` and read it back; ``change`` and ``tensors`` may edit it before it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    events = events_of(steps, padded)
    if change is not None:
        change(events)
    for event in events:
        if event["event"] != "step":
            continue
        content = tensors_of(event["step"])
        if tensors is not None:
            tensors(event["step"], content)
        event["file"] = f"step-{event['step']:05d}.safetensors"
        save_file(content, folder / event["file"])
        event["file_digest"] = file_digest(folder / event["file"])
    lines = [json.dumps(spell({**event, "n": number}), allow_nan=False) for number, event in enumerate(events)]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_trace(folder)


def first(events: list[Event], kind: str) -> Event:
    """Return the first event of a kind."""
    return next(event for event in events if event["event"] == kind)
