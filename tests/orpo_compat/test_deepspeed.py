"""ZeRO-2 and ZeRO-3 on DeepSpeed's CPU accelerator, two processes. Oracle: one process on the same global batch.

Runs where deepspeed is installed (it compiles a small communication kernel on its first run: g++ is needed).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.orpo_compat.launching import Planned, assert_same_weights, forked

COMMON = {"loss_normalization": "global", "max_steps": 2, "train_sampling_strategy": "sequential"}
ONE = {**COMMON, "per_device_train_batch_size": 4}
ON_CPU = {"DS_ACCELERATOR": "cpu", "CROSS_RANK": "0", "CROSS_SIZE": "1", "LOCAL_SIZE": "2"}
CASES: dict[str, dict[str, Any]] = {
    "full": {},
    "tied": {"model": {"tie_word_embeddings": True}},
    "lora": {"lora": True},
    "accumulated": {"gradient_accumulation_steps": 2},
    "evaluated": {"evaluate": 8, "eval_strategy": "steps", "eval_steps": 1},
}


def zero(stage: int) -> dict[str, Any]:
    return {
        "zero_optimization": {"stage": stage, "stage3_gather_16bit_weights_on_model_save": True},
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_every_way_of_training_equals_one_process(stage: int, tmp_path: Path) -> None:
    pytest.importorskip("deepspeed")
    plans: dict[str, Planned] = {}
    for name, settings in CASES.items():
        plans[f"one {name}"] = Planned(1, {**ONE, **settings})
        plans[f"two {name}"] = Planned(2, {**COMMON, **settings, "deepspeed": zero(stage), "save": True}, env=ON_CPU)
    runs = forked(tmp_path, plans)
    for name in CASES:
        one, two = runs[f"one {name}"], runs[f"two {name}"]
        record = two.record()
        assert (record["path"], record["engine"].rpartition(".")[2]) == ("packed", "DEEPSPEED")
        assert two.losses == pytest.approx(one.losses, rel=1e-5), name
        assert_same_weights(one.weights, two.weights)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_it_resumes_where_it_was(stage: int, tmp_path: Path) -> None:
    pytest.importorskip("deepspeed")
    settings = {**COMMON, "deepspeed": zero(stage), "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    first = forked(tmp_path / "a", {"whole": Planned(2, settings, env=ON_CPU)})["whole"]
    middle = str(first.folder / "ours" / "checkpoint-2")
    again = forked(tmp_path / "b", {"rest": Planned(2, {**settings, "resume": middle}, env=ON_CPU)})["rest"]
    assert again.losses == pytest.approx(first.losses[2:], rel=1e-6)
    assert_same_weights(first.weights, again.weights, within=1e-6)


def test_an_adapter_keeps_the_base_s_dtype_under_zero_3_alone() -> None:
    """ZeRO-3 gathers a layer's parameters through one buffer; a float32 adapter on a bfloat16 base fails there."""
    from types import SimpleNamespace

    import torch
    from peft import LoraConfig

    from orpo_compat.preparation import attach_adapter
    from tests.conftest import tiny_llama

    def dtypes(stage: int | None) -> set[torch.dtype]:
        plugin = None if stage is None else SimpleNamespace(zero_stage=stage)
        args = SimpleNamespace(deepspeed_plugin=plugin, gradient_checkpointing=False, bf16=True)
        adapter = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
        wrapped, _ = attach_adapter(tiny_llama().to(torch.bfloat16), adapter, args)
        return {parameter.dtype for parameter in wrapped.parameters()}

    assert dtypes(3) == {torch.bfloat16}
    assert dtypes(2) == dtypes(None) == {torch.bfloat16, torch.float32}
