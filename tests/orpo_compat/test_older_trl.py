"""Ours in this environment against older TRL releases in theirs, number by number.

``ORPO_COMPAT_OLDER_TRL`` names interpreters that have one, separated like PATH; without it there is nothing to run.
``python -m tests.orpo_compat.test_older_trl PYTHON ...`` prints the table of ``docs/releases.md``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import CHAT_TEMPLATE, PAIRS, make_tokenizer

OLDER = [path for path in os.environ.get("ORPO_COMPAT_OLDER_TRL", "").split(os.pathsep) if path]
ARM = Path(__file__).with_name("older_arm.py")

DECODER = {
    "vocab_size": 384,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
T5 = {
    "type": "t5",
    "vocab_size": 384,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 4,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
}
SETTINGS: dict[str, Any] = {
    "beta": 0.25,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "max_length": 128,
    "max_prompt_length": 64,
    "bf16": False,
    "gradient_checkpointing": False,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "max_steps": 4,
    "optim": "adamw_torch",
    "weight_decay": 0.1,
    "max_grad_norm": 0.0,  # clipping would hide the scale of a gradient
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "seed": 11,
}
SCENARIOS: dict[str, dict[str, Any]] = {
    "base": {},
    "accumulation": {"settings": {"gradient_accumulation_steps": 2, "max_steps": 2}},
    "lora": {"lora": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}},
    "chat": {"shape": "chat"},
    "over-length": {"settings": {"max_length": 20, "max_prompt_length": 8}},
    "keep_start": {"settings": {"max_length": 20, "max_prompt_length": 8, "truncation_mode": "keep_start"}},
    "t5": {"model": T5, "settings": {"max_completion_length": 24}},
    "moe": {
        "model": {"type": "mixtral", **DECODER, "num_local_experts": 4, "num_experts_per_tok": 2},
        "config": {"output_router_logits": True, "router_aux_loss_coef": 0.1},
    },
}
# The same with every weight decayed in both arms, norms included; see DECAYS_MIXTRAL_NORMS.
SCENARIOS["moe, norms decayed"] = {**SCENARIOS["moe"], "decay_norms": True}
NO_CHAT_BEFORE = (0, 12)
# Before 4.53, transformers spares only the norm classes it lists from weight decay, and Mixtral's is not among them.
DECAYS_MIXTRAL_NORMS = ("4.45", "4.46")


@dataclass(frozen=True)
class Distance:
    """How far two runs are apart, relative to the reference's size; ``weights`` relative to how far they moved."""

    loss: float
    metrics: float
    evaluation: float
    gradient: float
    scale: float
    """Norm of our first gradient over theirs."""
    weights: float


def rows(shape: str) -> list[dict[str, Any]]:
    texts = [dict(zip(PAIRS, values, strict=True)) for values in zip(*PAIRS.values(), strict=True)]
    if shape != "chat":
        return texts
    role = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    return [{c: [{"role": role[c], "content": text.strip()}] for c, text in row.items()} for row in texts]


def run(python: str, job: dict[str, Any], folder: Path) -> None:
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    quiet = {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [python, str(ARM), str(path)],
        env={**os.environ, **quiet},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{job['arm']} under {python}:\n{done.stderr[-3000:]}")


def versions(python: str) -> tuple[str, str]:
    """TRL's and transformers' versions under an interpreter."""
    ask = "from importlib.metadata import version as v; print(v('trl'), v('transformers'))"
    trl, transformers = subprocess.check_output([python, "-c", ask], text=True).split()
    return trl, transformers


def compare(python: str, scenario: str, folder: Path) -> Distance:
    """Train both arms from one set of weights, which the older environment writes."""
    chosen = SCENARIOS[scenario]
    make_tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))
    data = rows(chosen.get("shape", "strings"))
    job = {
        "model": {"type": "llama", **DECODER},
        **chosen,
        "settings": {**SETTINGS, **chosen.get("settings", {})},
        "tokenizer": str(folder / "tokenizer.json"),
        "chat_template": CHAT_TEMPLATE,
        "folder": str(folder / "model"),
        "rows": data,
        "eval_rows": data[:4],
    }
    results: dict[str, Any] = {}
    run(python, {**job, "arm": "make"}, folder)
    for arm, interpreter in (("theirs", python), ("ours", sys.executable)):
        run(interpreter, {**job, "arm": arm, "out": str(folder / arm), "result": str(folder / f"{arm}.pt")}, folder)
        results[arm] = torch.load(folder / f"{arm}.pt", weights_only=True)
        results[arm]["saved"] = load_file(next((folder / arm / "trained").glob("*.safetensors")))
    return distance(results["theirs"], results["ours"], folder / "model", adapter="lora" in chosen)


def relative(theirs: float, ours: float) -> float:
    return abs(theirs - ours) / max(abs(theirs), 1e-2)


def flat(tensors: dict[str, torch.Tensor], names: list[str]) -> torch.Tensor:
    return torch.cat([tensors[name].double().flatten() for name in names])


def distance(theirs: dict[str, Any], ours: dict[str, Any], start: Path, *, adapter: bool) -> Distance:
    def worst(names: set[str]) -> float:
        pairs = zip(theirs["logs"], ours["logs"], strict=True)
        return max(relative(float(t[name]), float(o[name])) for t, o in pairs for name in names)

    preference = {name for name in theirs["logs"][0] if "/" in name or name.startswith(("nll", "log_odds"))}
    # Padding is never read by ours, so the mean logit of padded batches is another number.
    preference -= {"logits/chosen", "logits/rejected"}
    evaluated = {f"eval_{name}" for name in preference} | {"eval_loss"}
    first = theirs["gradients"][0], ours["gradients"][0]
    names = sorted(first[0].keys() & first[1].keys())
    assert names
    gradients = [flat(side, names) for side in first]
    saved = sorted(theirs["saved"])
    assert saved == sorted(ours["saved"])
    before = {} if adapter else load_file(next(start.glob("*.safetensors")))
    ends = [flat(side["saved"], saved) for side in (theirs, ours)]
    begun = flat(before, saved) if before else torch.zeros_like(ends[0])
    return Distance(
        loss=worst({"loss"}),
        metrics=worst(preference),
        evaluation=max(relative(theirs["evaluation"][name], ours["evaluation"][name]) for name in evaluated),
        gradient=float((gradients[0] - gradients[1]).norm() / gradients[0].norm()),
        scale=float(gradients[1].norm() / gradients[0].norm()),
        weights=float((ends[0] - ends[1]).norm() / (ends[0] - begun).norm()),
    )


@pytest.mark.slow
@pytest.mark.skipif(not OLDER, reason="ORPO_COMPAT_OLDER_TRL names no interpreter")
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("python", OLDER)
def test_losses_gradients_and_weights_equal_those_of_an_older_trl(python: str, scenario: str, tmp_path: Path) -> None:
    release, transformers = versions(python)
    if scenario == "chat" and tuple(map(int, release.split(".")[:2])) < NO_CHAT_BEFORE:
        pytest.skip("that release reads no messages")
    found = compare(python, scenario, tmp_path)
    if scenario == "accumulation" and transformers.startswith(("4.46", "4.47")):
        # These transformers do not divide the gradient by the accumulation steps, here two.
        assert found.loss < 1e-5
        assert found.scale == pytest.approx(0.5, rel=1e-5)
        return
    if scenario == "moe" and transformers.startswith(DECAYS_MIXTRAL_NORMS):
        # One update on equal gradients parts them, and nothing else does: see the next scenario.
        assert found.gradient < 1e-5
        assert found.weights > 1e-3
        return
    assert found.loss < 1e-5  # they log four decimals
    assert max(found.metrics, found.evaluation) < 1e-4
    assert found.gradient < 1e-5
    assert found.weights < 1e-3


def main(pythons: list[str]) -> None:
    """Print one row of the table for each release and scenario."""
    print("| TRL | transformers | scenario | loss | metrics | evaluation | first gradient | weights |")
    print("|---|---|---|---|---|---|---|---|")
    for python in pythons:
        release, transformers = versions(python)
        for scenario in SCENARIOS:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found = compare(python, scenario, Path(folder))
                except AssertionError as error:
                    print(f"| {release} | {transformers} | {scenario} | {str(error).strip().splitlines()[-1]} |")
                    continue
            numbers = (found.loss, found.metrics, found.evaluation, found.gradient, found.weights)
            cells = " | ".join(f"{number:.0e}" for number in numbers)
            note = "" if abs(found.scale - 1) < 1e-3 else f" (ours x {found.scale:.4g})"
            print(f"| {release} | {transformers} | {scenario} | {cells}{note} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
