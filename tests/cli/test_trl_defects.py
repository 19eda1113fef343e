"""What `doctor` says of TRL, asked of the installed TRL itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from peft import LoraConfig

from orpo_compat.cli.trl_defects import OBSTACLES, obstacles
from tests.conftest import tiny_llama


@pytest.fixture
def make(tmp_path: Path, tokenizer: Any, pairs: Dataset) -> Callable[..., Any]:
    """Build TRL's trainer with something changed."""
    theirs = pytest.importorskip("trl.experimental.orpo")

    def build(**changed: Any) -> Any:
        config = theirs.ORPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none")
        plain = {"model": tiny_llama(), "args": config, "train_dataset": pairs, "processing_class": tokenizer}
        return theirs.ORPOTrainer(**{**plain, **changed})

    return build


def test_arguments_left_out_raise(make: Callable[..., Any]) -> None:
    with pytest.raises(AttributeError, match="model_init_kwargs"):
        make(args=None)


def test_a_dict_of_evaluation_sets_raises(make: Callable[..., Any], pairs: Dataset) -> None:
    with pytest.raises(AttributeError, match="map"):
        make(eval_dataset={"first": pairs})


def test_a_stream_raises(make: Callable[..., Any], pairs: Dataset) -> None:
    with pytest.raises(TypeError, match="num_proc"):
        make(train_dataset=pairs.to_iterable_dataset())


def test_model_init_raises(make: Callable[..., Any]) -> None:
    with pytest.raises(AttributeError):
        make(model=None, model_init=tiny_llama)


def test_lora_dropout_is_set_to_zero(make: Callable[..., Any]) -> None:
    trainer = make(peft_config=LoraConfig(r=2, lora_dropout=0.5, target_modules=["q_proj"]))
    rates = {module.p for name, module in trainer.model.named_modules() if name.endswith("lora_dropout.default")}
    assert rates == {0}


def test_obstacles_are_those_of_one_release() -> None:
    assert len(obstacles("1.16.0")) == len(OBSTACLES)
    assert not any("model_init" in each.what for each in obstacles("0.9.4"))
    assert obstacles("2.0.0") == []
