"""Weights are counted against models built by transformers without memory, and against published totals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from orpo_compat.errors import ModelError, PlanError
from orpo_compat.planning.models import find_shape
from orpo_compat.planning.shapes import KNOWN, known_shape, shape_from_config

BUNDLED = Path(__file__).resolve().parents[3] / "parity" / "models"
# From the files' own headers: the weights of each published checkpoint.
PUBLISHED = {
    "135M": 134_515_008,
    "0.5B": 494_032_768,
    "1B": 1_235_814_400,
    "1.5B": 1_543_714_304,
    "3B": 3_212_749_824,
    "7B": 7_241_732_096,
    "8B": 8_030_261_248,
    "14B": 14_770_033_664,
    "32B": 32_763_876_352,
    "70B": 70_553_706_496,
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_known_shapes_have_the_published_number_of_weights(size: str) -> None:
    # The Qwen models' attention has biases, which the shape leaves out.
    assert KNOWN[size].weights == pytest.approx(PUBLISHED[size], rel=1e-4)


def built(config: dict[str, Any]) -> torch.nn.Module:
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    model.tie_weights()
    return model


@pytest.mark.parametrize("name", ["SmolLM-135M", "Qwen2.5-0.5B", "tiny-moe"])
def test_a_configuration_gives_the_weights_of_the_model_built_from_it(name: str) -> None:
    config = json.loads((BUNDLED / f"{name}.json").read_text(encoding="utf-8"))
    model = built(config)
    assert shape_from_config(config, name).weights == pytest.approx(
        sum(p.numel() for p in model.parameters()), rel=2e-4
    )


def test_an_adapter_has_the_weights_that_peft_gives_it() -> None:
    from peft import LoraConfig, get_peft_model

    config = json.loads((BUNDLED / "SmolLM-135M.json").read_text(encoding="utf-8"))
    model = get_peft_model(built(config), LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert shape_from_config(config, "x").adapter_weights(16) == trained


def test_a_folder_is_read_without_the_hub(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((BUNDLED / "SmolLM-135M.json").read_text(encoding="utf-8"), encoding="utf-8")
    assert find_shape(str(tmp_path)).weights == PUBLISHED["135M"]


@pytest.mark.parametrize("name", ["8B", "8b", "Llama-3.1-8B", "meta-llama/Llama-3.1-8B"])
def test_a_model_is_found_by_size_name_or_hub_name(name: str) -> None:
    assert find_shape(name) is KNOWN["8B"]


def test_an_alias_of_train_is_known() -> None:
    assert find_shape("SmolLM-135M") is KNOWN["135M"]


def test_an_unknown_name_is_told_what_is_known() -> None:
    with pytest.raises(PlanError, match="135M"):
        find_shape("9B")


def test_a_hub_name_without_a_hub_says_what_to_give_instead() -> None:
    with pytest.raises(ModelError, match=r"folder with its config\.json"):
        find_shape("nobody/no-such-model")


def test_an_encoder_decoder_is_refused() -> None:
    config = json.loads((BUNDLED / "tiny-t5.json").read_text(encoding="utf-8"))
    with pytest.raises(PlanError, match="encoder-decoder"):
        shape_from_config({**config, "is_encoder_decoder": True}, "t5")


def test_a_configuration_without_sizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="num_hidden_layers"):
        shape_from_config({"hidden_size": 3}, "odd")
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(PlanError, match="not JSON"):
        find_shape(str(tmp_path))


def test_a_picture_model_is_planned_by_its_text_part() -> None:
    text = {"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 11}
    assert shape_from_config({"text_config": text, "hidden_size": 99}, "vision").hidden == 8


def test_nothing_else_is_known() -> None:
    assert known_shape("9B") is None
