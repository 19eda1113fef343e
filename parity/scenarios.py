"""The scenarios: which settings, rows and model each question is asked at.

A scenario is data. ``base`` is what the migration gate asks; the others press one mechanism each. ``repo_settings``
fills a scenario from a repository's own call sites instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from parity.errors import SpecError
from parity.spec import Spec

# Chosen so that every mechanism leaves a mark within a few steps: decay, clipping and the schedule all act, and beta
# keeps each trainer's own default so that the default is judged as well.
_COMMON: dict[str, Any] = {
    "learning_rate": 2e-3,
    "weight_decay": 0.1,
    "max_grad_norm": 1.0,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0,
    "per_device_train_batch_size": 2,
    "per_device_eval_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "gradient_checkpointing": False,
    "optim": "adamw_torch",
    "bf16": False,
}

_LORA = {
    "r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.1,
    "target_modules": ["q_proj", "v_proj"],
    "bias": "none",
    "task_type": "CAUSAL_LM",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One mechanism to press."""

    name: str
    presses: str
    """What it would notice, in a sentence for the report."""
    shape: str = "strings"
    model: str = "tiny"
    settings: dict[str, Any] = field(default_factory=dict)
    lora: dict[str, Any] | None = None
    dtype: str = "float32"
    steps: int | None = None


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("base", "the loss, its gradient, clipping, decay, the schedule, accumulation over two, evaluation"),
        Scenario(
            "accumulation",
            "the scale of loss and gradient over four micro-batches",
            settings={"gradient_accumulation_steps": 4},
        ),
        Scenario("lora", "adapters: which weights train, their dropout, what is saved", lora=_LORA),
        Scenario("chat", "conversational rows through the chat template", shape="chat"),
        Scenario("implicit", "rows whose prompt is only what chosen and rejected share", shape="implicit"),
        Scenario("over-length", "rows longer than max_length", shape="long", settings={"max_length": 64}),
        Scenario(
            "warmup-clip",
            "warm-up, a cosine schedule and hard clipping",
            settings={"warmup_steps": 3, "max_grad_norm": 0.25, "lr_scheduler_type": "cosine"},
            steps=6,
        ),
        Scenario(
            "evaluation",
            "every metric of an evaluation over uneven batches",
            settings={"per_device_eval_batch_size": 4},
        ),
        Scenario("moe", "the router's auxiliary loss", model="tiny-moe"),
        Scenario("encoder-decoder", "encoder-decoder models", model="tiny-t5", settings={"max_completion_length": 48}),
        Scenario("bf16", "weights in bfloat16; reported, never a gate", dtype="bfloat16"),
    )
}


def make_spec(
    scenario: str,
    *,
    model: str | None = None,
    weights: str = "auto",
    steps: int | None = None,
    seed: int = 20,
    threads: int = 1,
    processes: int = 1,
    data: str | None = None,
    settings: dict[str, Any] | None = None,
    notes: tuple[str, ...] = (),
    max_row_chars: int = 0,
    device: str = "cpu",
) -> Spec:
    """Return the spec of a scenario; ``settings`` win over the scenario's own.

    Raises:
        SpecError: an unknown scenario.
    """
    chosen = SCENARIOS.get("base" if scenario == "repo" else scenario)
    if chosen is None:
        raise SpecError(f"no scenario {scenario!r}; there are {', '.join([*SCENARIOS, 'repo'])}")
    num_eval_rows = 10 if scenario == "evaluation" else 4
    given = {**_COMMON, **chosen.settings, **(settings or {})}
    if processes > 1:  # a last batch that is not full is filled with rows seen before, which TRL leaves out again
        whole = int(given["per_device_eval_batch_size"]) * processes
        num_eval_rows = -(-num_eval_rows // whole) * whole
    return Spec(
        model=model or chosen.model,
        weights=weights,
        scenario=scenario,
        shape=chosen.shape,
        data=data,
        steps=steps or chosen.steps or 4,
        seed=seed,
        num_eval_rows=num_eval_rows,
        dtype=chosen.dtype,
        threads=threads,
        processes=processes,
        settings=given,
        lora=chosen.lora,
        notes=notes,
        max_row_chars=max_row_chars,
        device=device,
    )
