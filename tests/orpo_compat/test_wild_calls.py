"""Calls and scripts as they stand in public repositories build here, or are refused with advice.

The scripts are in TRL's spellings; our codemod rewrites them, and what it wrote is run.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset
from peft import LoraConfig
from transformers import EarlyStoppingCallback, TrainerCallback

from codemods.rewrite import rewrite
from orpo_compat import ORPOConfig, ORPOTrainer
from tests.conftest import PAIRS, make_tokenizer, tiny_llama
from tests.orpo_compat.wild_calls import CONFIGS, SEEN, WRONG_CONFIGS, WRONG_TRAINERS

TRANSLATED = {
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "orpo_alpha": "beta",
    "lambda_": "beta",
    "no_cuda": "use_cpu",
}
NUMBERS = {"learning_rate", "logging_steps"}
# Met with what this machine can do, translated to another kind of value, or ignored with a warning.
OTHERWISE = {
    "bf16", "fp16", "tf32", "use_mps_device", "warmup_ratio", "group_by_length", "logging_dir", "save_safetensors",
    "overwrite_output_dir", "report_to", "remove_unused_columns", "use_cpu",
}  # fmt: skip


def pairs() -> Dataset:
    return Dataset.from_dict(PAIRS)


def test_every_keyword_seen_in_use_is_in_some_call() -> None:
    assert set(SEEN.split()) <= {name for call in CONFIGS.values() for name in call}
    assert len(CONFIGS) >= 40


@pytest.mark.parametrize("call", CONFIGS.values(), ids=CONFIGS)
def test_a_call_that_some_trl_accepts_builds_the_trainer(
    call: dict[str, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    config = ORPOConfig(**{"output_dir": "out", **call})
    trainer = ORPOTrainer(
        model=tiny_llama(),
        args=config,
        train_dataset=pairs(),
        eval_dataset=pairs(),
        tokenizer=make_tokenizer(),
    )
    for name, value in call.items():
        if name not in OTHERWISE:
            held = getattr(trainer.args, TRANSLATED.get(name, name))
            assert held == (float(value) if name in NUMBERS else value), name
    assert trainer.beta == config.beta
    assert all(row[-1] == 2 for row in trainer.train_dataset["chosen_input_ids"])  # EOS


@pytest.mark.parametrize(("call", "advice"), WRONG_CONFIGS.values(), ids=WRONG_CONFIGS)
def test_a_setting_no_trl_has_is_refused_with_advice(call: dict[str, Any], advice: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=advice) as raised:
        ORPOConfig(output_dir=str(tmp_path), **call)
    assert f"unexpected keyword argument '{next(iter(call))}'" in str(raised.value)


@pytest.mark.parametrize(("call", "advice"), WRONG_TRAINERS.values(), ids=WRONG_TRAINERS)
def test_a_trainer_argument_no_trl_has_is_refused_with_advice(call: dict[str, Any], advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        ORPOTrainer(model=None, train_dataset=None, **call)


def test_a_subclass_s_own_keywords_are_its_own(tmp_path: Path) -> None:
    class Scaled(ORPOTrainer):
        def __init__(self, *args: Any, scale: float, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.scale = scale

    common = {"model": tiny_llama(), "processing_class": make_tokenizer(), "train_dataset": pairs()}
    assert Scaled(scale=2.0, args=ORPOConfig(str(tmp_path)), **common).scale == 2.0
    with pytest.raises(TypeError, match=r"Scaled.*'beta'.*args=ORPOConfig\(beta="):
        Scaled(scale=2.0, beta=0.1)


def test_filtering_by_signature_finds_real_names() -> None:
    expected = "model args data_collator train_dataset eval_dataset processing_class model_init callbacks optimizers"
    for seen in (ORPOTrainer, ORPOTrainer.__init__):
        names = [name for name in inspect.signature(seen).parameters if name != "self"]
        assert names[:9] == expected.split()
        assert names[9:12] == ["preprocess_logits_for_metrics", "peft_config", "compute_metrics"]
        assert "tokenizer" in names


class Silent(TrainerCallback):
    pass


@pytest.mark.parametrize(
    "extra",
    [
        {"peft_config": LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")},
        {"peft_config": None, "callbacks": None, "eval_dataset": None},
        {"callbacks": [Silent(), EarlyStoppingCallback(early_stopping_patience=1)], "eval_dataset": pairs()},
        {"compute_metrics": lambda _: {}, "preprocess_logits_for_metrics": lambda logits, _: logits},
        {"ref_model": None, "data_collator": None},
        {"optimizers": (None, None), "model_init": None},
    ],
    ids=lambda extra: " ".join(extra),
)
@pytest.mark.parametrize("name", ["tokenizer", "processing_class"])
def test_what_stands_beside_the_usual_arguments_builds(extra: dict[str, Any], name: str, tmp_path: Path) -> None:
    args = ORPOConfig(str(tmp_path), eval_strategy="no", save_strategy="no")
    built = ORPOTrainer(tiny_llama(), args, train_dataset=pairs(), **{name: make_tokenizer()}, **extra)
    assert built.tokenizer is built.processing_class


SCRIPTS = {
    "notebook cell": """
        from trl import ORPOConfig, ORPOTrainer
        orpo_args = ORPOConfig(learning_rate=8e-6, beta=0.1, max_length=96, max_prompt_length=48, max_steps=1,
                               per_device_train_batch_size=2, evaluation_strategy="steps", eval_steps=0.5,
                               warmup_ratio=0.1, report_to="none", output_dir=folder, optim="adamw_torch")
        trainer = ORPOTrainer(model=model, args=orpo_args, train_dataset=dataset["train"],
                              eval_dataset=dataset["test"], peft_config=peft_config, tokenizer=tokenizer)
    """,
    "module attributes": """
        import trl
        config = trl.ORPOConfig(folder, max_steps=1, remove_unused_columns=False)
        trainer = trl.ORPOTrainer(model, config, None, dataset["train"], dataset["test"], tokenizer)
    """,
    "top level, then experimental": """
        try:
            from trl import ORPOConfig, ORPOTrainer
        except ImportError:
            from trl.experimental.orpo import ORPOConfig, ORPOTrainer
        trainer = ORPOTrainer(model=model, args=ORPOConfig(folder, max_steps=1), processing_class=tokenizer,
                              train_dataset=dataset["train"])
    """,
    "module paths and aliases": """
        from trl.trainer.orpo_config import ORPOConfig as Cfg
        from trl.trainer.orpo_trainer import ORPOTrainer as Base
        class OOMSkip:
            skipped = 0
        class Skipping(OOMSkip, Base):
            pass
        trainer = Skipping(model=model, args=Cfg(folder, max_steps=1), tokenizer=tokenizer,
                           train_dataset=dataset["train"])
    """,
    "either keyword": """
        from trl import ORPOTrainer, ORPOConfig
        kwargs = dict(model=model, args=ORPOConfig(output_dir=folder, max_steps=1), train_dataset=dataset["train"])
        try:
            trainer = ORPOTrainer(tokenizer=tokenizer, **kwargs)
        except TypeError:
            trainer = ORPOTrainer(processing_class=tokenizer, **kwargs)
    """,
    "filtered by signature": """
        import inspect
        from trl import ORPOConfig, ORPOTrainer
        def fitting(target, wanted):
            names = inspect.signature(target.__init__).parameters
            return {name: value for name, value in wanted.items() if name in names}
        args = ORPOConfig(**fitting(ORPOConfig, dict(output_dir=folder, max_steps=1, eval_strategy="no", nonsense=1)))
        trainer = ORPOTrainer(**fitting(ORPOTrainer, dict(model=model, args=args, tokenizer=tokenizer, alien=2,
                                                          train_dataset=dataset["train"])))
    """,
    "argument parser": """
        from dataclasses import dataclass, field
        from transformers import HfArgumentParser
        from trl import ORPOConfig, ORPOTrainer
        @dataclass
        class ScriptArguments:
            dataset: str = field(default="x/y")
        line = ["--output_dir", folder, "--max_steps", "1", "--max_prompt_length", "32", "--evaluation_strategy", "no",
                "--dataset", "a/b", "--bf16", "False", "--beta", "0.3", "--lr_scheduler_kwargs", "{}",
                "--truncation_mode", "keep_start"]
        script_args, orpo_args = HfArgumentParser((ScriptArguments, ORPOConfig)).parse_args_into_dataclasses(line)
        assert (script_args.dataset, orpo_args.beta, orpo_args.max_prompt_length) == ("a/b", 0.3, 32)
        trainer = ORPOTrainer(model, args=orpo_args, train_dataset=dataset["train"], processing_class=tokenizer)
    """,
    "trl's parser and yaml": """
        from trl import ModelConfig, ORPOConfig, ORPOTrainer, ScriptArguments, TrlParser
        parser = TrlParser((ScriptArguments, ORPOConfig, ModelConfig))
        script_args, training_args, model_args = parser.parse_args_and_config(
            ["--config", recipe, "--beta", "0.4"], return_remaining_strings=False)
        assert (training_args.beta, training_args.max_prompt_length, model_args.lora_r) == (0.4, 24, 4)
        trainer = ORPOTrainer(model, args=training_args, train_dataset=dataset["train"], processing_class=tokenizer)
    """,
    "a config of one's own": """
        from dataclasses import dataclass, field
        import trl
        import yaml
        from transformers import HfArgumentParser
        @dataclass
        class ORPOConfig(trl.ORPOConfig):
            hub_model_revision: str = field(default="main")
            logging_first_step: bool = field(default=True)
        given = yaml.safe_load(open(recipe))
        config, = HfArgumentParser(ORPOConfig).parse_dict(given, allow_extra_keys=True)
        assert (config.hub_model_revision, config.learning_rate, config.eval_strategy) == ("main", 5e-6, "no")
        trainer = trl.ORPOTrainer(model=model, args=config, train_dataset=dataset["train"], tokenizer=tokenizer)
    """,
    "mixins of a framework": """
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer
        from dataclasses import dataclass
        @dataclass
        class Mixed:
            sample_packing: bool = False
        @dataclass
        class FrameworkORPOConfig(Mixed, ORPOConfig):
            pass
        class SchedulerMixin:
            def create_scheduler(self, num_training_steps, optimizer=None):
                self.scheduled = num_training_steps
                return super().create_scheduler(num_training_steps, optimizer)
        class FrameworkORPOTrainer(SchedulerMixin, ORPOTrainer):
            tag_names = ["framework", "orpo"]
        trainer = FrameworkORPOTrainer(model=model, args=FrameworkORPOConfig(output_dir=folder, max_steps=1),
                                       train_dataset=dataset["train"], processing_class=tokenizer)
    """,
    "chosen by a name": """
        def setup(method):
            if method == "orpo":
                from trl import ORPOConfig as PrefConfig, ORPOTrainer as PrefTrainer
            else:
                raise ValueError(method)
            return PrefConfig, PrefTrainer
        Config, Trainer = setup("orpo")
        trainer = Trainer(model, Config(**{"output_dir": folder, "max_steps": 1}), None, dataset["train"],
                          None, tokenizer, None, [], (None, None), None, peft_config, None)
    """,
}


def execute(script: str, tmp_path: Path) -> dict[str, Any]:
    """Rewrite a script written for TRL and run what came out."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        yaml.safe_dump(
            {
                "output_dir": str(tmp_path / "run"),
                "max_steps": 1,
                "max_length": 96,
                "max_prompt_length": 24,
                "learning_rate": "5e-6",
                "evaluation_strategy": "no",
                "warmup_ratio": 0.1,
                "dataset_name": "x/y",
                "lora_r": 4,
            }
        )
    )
    found = rewrite(textwrap.dedent(script).encode(), path="train.py")
    assert found.changed
    assert b"orpo_compat" in found.result
    if b"from trl" in found.result:
        pytest.importorskip("trl")
    space: dict[str, Any] = {
        "__name__": "wild_script",
        "model": tiny_llama(),
        "tokenizer": make_tokenizer(),
        "dataset": {"train": pairs(), "test": pairs()},
        "peft_config": LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
        "folder": str(tmp_path / "run"),
        "recipe": str(recipe),
    }
    module = type(sys)("wild_script")
    module.__dict__.update(space)
    sys.modules["wild_script"] = module  # where dataclasses and pickle look
    exec(compile(found.result, "train.py", "exec"), module.__dict__)
    return module.__dict__


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_for_trl_runs_after_the_codemod(script: str, tmp_path: Path) -> None:
    try:
        trainer = execute(script, tmp_path)["trainer"]
        assert isinstance(trainer, ORPOTrainer)
        trainer.train()
    finally:
        sys.modules.pop("wild_script", None)
    assert trainer.state.global_step == 1
    assert trainer.state.log_history[-1]["train_loss"] > 0


def test_a_framework_may_delete_the_constructor_and_use_the_rest(tmp_path: Path, monkeypatch: Any) -> None:
    """As ms-swift does: its mixin sets the attributes, and TRL's steps do the work."""
    rows = ORPOTrainer(
        tiny_llama(), ORPOConfig(str(tmp_path)), train_dataset=pairs(), processing_class=make_tokenizer()
    ).train_dataset

    class FrameworkMixin:
        def __init__(self, model: Any, *args: Any, **kwargs: Any) -> None:
            from orpo_compat import PreferenceCollator

            self.beta = kwargs["args"].beta
            self.is_encoder_decoder = self.aux_loss_enabled = self.generate_during_eval = False
            self.label_pad_token_id, self.padding_value = -100, 0
            self.use_dpo_data_collator = True
            super().__init__(model, *args, data_collator=PreferenceCollator(pad_token_id=0), **kwargs)
            self.aux_loss_coef = 0.0

    class FrameworkORPO(FrameworkMixin, ORPOTrainer):
        pass

    monkeypatch.delattr(ORPOTrainer, "__init__")
    args = ORPOConfig(str(tmp_path), max_steps=2, logging_steps=1, remove_unused_columns=False, save_strategy="no")
    trainer = FrameworkORPO(tiny_llama(), args=args, train_dataset=rows, eval_dataset=rows)
    trainer.train()
    assert {"loss", "rewards/margins", "nll_loss"} <= trainer.state.log_history[0].keys()
    assert "eval_rewards/margins" in trainer.evaluate()
