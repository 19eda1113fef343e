"""Sharded weights on two CPU processes over gloo. Oracle: one process on the same global batch.

accelerate shards only where it finds an accelerator and falls back to DDP on CPUs; `choose_fsdp` sets the one field
that decides it. The wrapping, the gathering and the collectives are torch's own. FSDP1 saves no full state dict on a
CPU (torch 2.13 ends there with a segmentation fault), so its weights are read by `summon_full_params`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from packaging.version import Version

from tests.orpo_compat.launching import (
    LAUNCH,
    Done,
    Planned,
    accelerate,
    assert_same_weights,
    forked,
    launch,
    torchrun,
)

COMMON = {"loss_normalization": "global", "max_steps": 2, "train_sampling_strategy": "sequential"}
ONE = {**COMMON, "per_device_train_batch_size": 4}
TIED = {"model": {"tie_word_embeddings": True}}


def variables(config: str) -> dict[str, str]:
    """What `accelerate launch --config_file` puts into the environment of each process."""
    values = yaml.safe_load((LAUNCH / config).read_text())["fsdp_config"]
    return {"ACCELERATE_USE_FSDP": "true", **{name.upper(): str(value).lower() for name, value in values.items()}} | {
        name.upper(): values[name]
        for name in ("fsdp_auto_wrap_policy", "fsdp_state_dict_type", "fsdp_backward_prefetch")
        if name in values
    }


def sharded(config: str, **settings: Any) -> Planned:
    return Planned(2, {**COMMON, "sharded": True, **settings}, env=variables(config))


def assert_same_course(one: Done, two: Done, model: str) -> None:
    record = two.record()
    assert (record["path"], record["engine"].rpartition(".")[2]) == ("packed", "FSDP")
    assert record["model"] == model
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    ours, theirs = two.weights, one.weights
    assert_same_weights({name: weight for name, weight in theirs.items() if name in ours}, ours)
    assert len(ours) >= len(theirs) - 1  # FSDP1 names a tied weight once


@pytest.mark.skipif(Version(torch.__version__) < Version("2.7"), reason="torch 2.6's FSDP2 runs on no CPU")
def test_fsdp2_with_tied_embeddings_equals_one_process(tmp_path: Path) -> None:
    runs = forked(tmp_path, {"one": Planned(1, {**ONE, **TIED}), "two": sharded("fsdp2.yaml", **TIED)})
    assert_same_course(runs["one"], runs["two"], "FSDPLlamaForCausalLM")


CASES: dict[str, dict[str, Any]] = {
    "full": {},
    "tied": TIED,
    "lora": {"lora": True},
    "lora tied": {**TIED, "lora": True},
    "accumulated": {"gradient_accumulation_steps": 2},
    "evaluated": {"evaluate": 8, "eval_strategy": "steps", "eval_steps": 1, "generate_during_eval": True},
    "skipping": {"nan_policy": "skip", "broken": ":", "rows": [0, 1, 2, 3]},
}


@pytest.mark.slow
@pytest.mark.parametrize("config", ["fsdp2.yaml", "fsdp1.yaml"])
def test_every_way_of_training_equals_one_process(config: str, tmp_path: Path) -> None:
    plans: dict[str, Planned] = {}
    for name, settings in CASES.items():
        plans[f"one {name}"] = Planned(1, {**ONE, **settings})
        plans[f"two {name}"] = sharded(config, **settings)
    runs = forked(tmp_path, plans)
    for name, settings in CASES.items():
        wrapper = "PeftModelForCausalLM" if settings.get("lora") else "LlamaForCausalLM"
        model = f"FSDP{wrapper}" if config == "fsdp2.yaml" else "FullyShardedDataParallel"
        assert_same_course(runs[f"one {name}"], runs[f"two {name}"], model)


@pytest.mark.slow
def test_fsdp2_started_by_accelerate_saves_weights_that_load_without_it(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    one = launch(torchrun(1), tmp_path / "one", {**ONE, **TIED})
    two = launch(accelerate("fsdp2.yaml"), tmp_path / "two", {**COMMON, **TIED, "sharded": True, "save": True})
    assert_same_course(one, two, "FSDPLlamaForCausalLM")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "two" / "model")
    assert_same_weights(one.weights, loaded.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_fsdp2_resumes_where_it_was(lora: bool, tmp_path: Path) -> None:
    settings = {"lora": lora, "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    first = forked(tmp_path / "a", {"whole": sharded("fsdp2.yaml", **settings)})["whole"]
    middle = str(first.folder / "ours" / "checkpoint-2")
    again = forked(tmp_path / "b", {"rest": sharded("fsdp2.yaml", **{**settings, "resume": middle})})["rest"]
    assert again.losses == pytest.approx(first.losses[2:], rel=1e-6)
    assert_same_weights(first.weights, again.weights, within=1e-6)
