"""Oracles: the arguments given when ``data/training_args_trl_0.9.6.bin`` was written (TRL 0.9.6, transformers 4.45.2),
and TRL's own config object for a file of the newest release.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
import types
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments
from transformers.training_args import OptimizerNames

from orpo_compat.config import ORPOConfig
from orpo_compat.errors import PickleRefused
from orpo_compat.pickles import load_training_args

OLD = Path(__file__).parent / "data" / "training_args_trl_0.9.6.bin"
GIVEN_THEN: dict[str, Any] = {
    "output_dir": "out",
    "eval_strategy": "steps",
    "eval_steps": 50,
    "beta": 0.2,
    "max_length": 256,
    "max_prompt_length": 128,
    "learning_rate": 8e-6,
    "optim": "adamw_torch",
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 4,
    "use_cpu": True,
    "lr_scheduler_type": "cosine",
    "report_to": [],
    "remove_unused_columns": False,
}


class Touch:
    """Creates a file when it is unpickled, as an attack would."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_a_file_of_trl_0_9_6_gives_the_arguments_of_then() -> None:
    config = load_training_args(OLD)
    assert {name: getattr(config, name) for name in GIVEN_THEN} == GIVEN_THEN
    assert config.get_warmup_steps(100) == 10
    assert config.accelerator_config.dispatch_batches is False
    assert (config.bf16, config.gradient_checkpointing, config.logging_steps) == (False, False, 500)


def test_a_log_folder_that_the_old_class_made_up_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    config = load_training_args(OLD)
    assert "Aug01_10-00-00" not in str(getattr(config, "logging_dir", None))
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ


def test_no_trl_is_needed() -> None:
    script = (
        "import sys\n"
        "sys.modules['trl'] = None\n"
        "from orpo_compat.pickles import load_training_args\n"
        f"print(load_training_args({str(OLD)!r}).beta)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "0.2"


def test_a_folder_stands_for_its_file(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").write_bytes(OLD.read_bytes())
    assert load_training_args(tmp_path).beta == 0.2


def test_a_file_of_the_newest_trl_keeps_every_value(tmp_path: Path) -> None:
    theirs_class = pytest.importorskip("trl.experimental.orpo").ORPOConfig
    theirs = theirs_class(str(tmp_path), bf16=False, beta=0.3, optim="sgd", save_strategy="epoch", use_cpu=True)
    torch.save(theirs, tmp_path / "training_args.bin")
    ours = load_training_args(tmp_path)
    names = [field.name for field in dataclasses.fields(theirs)]
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}


@pytest.mark.parametrize(
    "module", ["trl.trainer.orpo_config", "trl.experimental.orpo.orpo_config", "UnslothORPOTrainer"]
)
def test_every_home_the_class_had_is_known(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "UnslothORPOConfig" if module.startswith("Unsloth") else "ORPOConfig"
    theirs = type(name, (), {"__module__": module})
    parents = list(accumulate(module.split(".")[:-1], "{}.{}".format))
    for parent in parents:  # pickle imports them first
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**{name: theirs}))
    saved = theirs()
    saved.__dict__ = {"output_dir": "there", "beta": 0.4, "optim": OptimizerNames.SGD, "framework": "pt"}
    torch.save(saved, tmp_path / "training_args.bin")
    config = load_training_args(tmp_path)
    assert (config.output_dir, config.beta, config.optim) == ("there", 0.4, "sgd")


def test_our_own_and_plain_arguments_are_read_too(tmp_path: Path) -> None:
    ours = ORPOConfig(str(tmp_path), beta=0.7, nll_scope="response", disable_dropout="base")
    torch.save(ours, tmp_path / "training_args.bin")
    assert load_training_args(tmp_path) == ours
    torch.save(TrainingArguments(str(tmp_path), seed=9), tmp_path / "training_args.bin")
    assert load_training_args(tmp_path).seed == 9


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_would_run_something_is_refused_before_it_does(legacy: bool, tmp_path: Path) -> None:
    target = tmp_path / "made"
    file = tmp_path / "training_args.bin"
    torch.save(Touch(target), file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(PickleRefused, match=r"mkdir") as caught:
        load_training_args(file)
    assert str(file) in str(caught.value)
    assert not target.exists()


def test_a_call_hidden_inside_a_config_is_refused(tmp_path: Path) -> None:
    config = ORPOConfig(str(tmp_path))
    config.note = Touch(tmp_path / "made")
    torch.save(config, tmp_path / "training_args.bin")
    with pytest.raises(PickleRefused):
        load_training_args(tmp_path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_bare_pickle_that_calls_is_refused(protocol: int, tmp_path: Path) -> None:
    file = tmp_path / "training_args.bin"
    file.write_bytes(pickle.dumps(Touch(tmp_path / "made"), protocol))
    with pytest.raises(PickleRefused):
        load_training_args(file)
    assert not (tmp_path / "made").exists()


class Widen:
    """Changes a global setting through a function of a package that such files do name."""

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.set_default_dtype, (torch.float64,)


@pytest.mark.parametrize("bare", [False, True])
def test_functions_of_a_known_package_are_not_run_either(bare: bool, tmp_path: Path) -> None:
    file = tmp_path / "training_args.bin"
    torch.save(Widen(), file)
    if bare:
        file.write_bytes(pickle.dumps(Widen()))
    try:
        with pytest.raises(PickleRefused):
            load_training_args(file)
        assert torch.get_default_dtype() == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("content", [{"beta": 0.1}, [1, 2], torch.device("cpu")])
def test_a_file_with_something_else_in_it_says_so(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "training_args.bin")
    with pytest.raises(PickleRefused, match="not the arguments of an ORPO run"):
        load_training_args(tmp_path)


def test_a_file_that_is_no_pickle_says_so(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").write_text("beta: 0.1\n", encoding="utf-8")
    with pytest.raises(PickleRefused, match="not a file that torch"):
        load_training_args(tmp_path)
    with pytest.raises(OSError):
        load_training_args(tmp_path / "missing.bin")
