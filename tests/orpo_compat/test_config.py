"""Oracles: what each TRL release declared (``data/trl_config_fields.json``, read from its source), and TRL's parser."""

from __future__ import annotations

import abc
import copy
import dataclasses
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from transformers import HfArgumentParser, TrainingArguments

from orpo_compat.config import ORPOConfig
from orpo_compat.errors import ConfigError, UnknownArgument

RELEASES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "trl_config_fields.json").read_text(encoding="utf-8")
)
NEWEST = RELEASES["1.16.0"]
ANOTHER: dict[str, Any] = {
    "max_length": 300,
    "max_prompt_length": 100,
    "max_completion_length": 90,
    "beta": 0.7,
    "disable_dropout": False,
    "label_pad_token_id": -99,
    "padding_value": 3,
    "truncation_mode": "keep_start",
    "generate_during_eval": True,
    "is_encoder_decoder": True,
    "model_init_kwargs": {"torch_dtype": "float32"},
    "dataset_num_proc": 2,
    "learning_rate": 3e-4,
    "logging_steps": 7,
    "bf16": False,
    "gradient_checkpointing": False,
    "lr_scheduler_kwargs": {"num_cycles": 2},
    "use_liger_kernel": True,
    "torch_empty_cache_steps": 5,
    "trust_remote_code": True,
}
"""For each field that any release declared, a value that is no release's default."""


@dataclasses.dataclass
class Extended(ORPOConfig):
    extra: int = 0


class Abstract(abc.ABC):
    @abc.abstractmethod
    def describe(self) -> str: ...


@pytest.mark.parametrize("release", RELEASES)
def test_the_keywords_of_every_release_construct_with_their_defaults(release: str, tmp_path: Path) -> None:
    config = ORPOConfig(str(tmp_path), **RELEASES[release])
    for name, default in RELEASES[release].items():
        if name != "bf16":  # None means "choose"
            assert getattr(config, name) == default, name


@pytest.mark.parametrize("release", RELEASES)
def test_the_keywords_of_every_release_construct_with_other_values(release: str, tmp_path: Path) -> None:
    given = {name: ANOTHER[name] for name in RELEASES[release]}
    config = ORPOConfig(str(tmp_path), **given)
    assert {name: getattr(config, name) for name in given} == given


@pytest.mark.parametrize("name", NEWEST)
def test_an_unset_field_has_the_default_of_the_newest_release(name: str) -> None:
    declared = {field.name: field.default for field in dataclasses.fields(ORPOConfig)}
    assert declared[name] == NEWEST[name]


def test_nothing_but_an_output_folder_is_needed(tmp_path: Path) -> None:
    config = ORPOConfig(output_dir=str(tmp_path))
    assert isinstance(config, TrainingArguments)
    assert config.bf16 in (True, False)
    assert config.gradient_checkpointing is True


def test_every_field_explains_itself() -> None:
    silent = [field.name for field in dataclasses.fields(ORPOConfig) if not field.metadata.get("help")]
    theirs = [field.name for field in dataclasses.fields(TrainingArguments) if not field.metadata.get("help")]
    assert set(silent) <= set(theirs)


def test_the_signature_lists_every_field_by_name() -> None:
    for signature in (inspect.signature(ORPOConfig), inspect.signature(ORPOConfig.__init__)):
        parameters = [name for name in signature.parameters if name != "self"]
        assert parameters == [field.name for field in dataclasses.fields(ORPOConfig) if field.init]
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in inspect.signature(ORPOConfig).parameters.values())
    assert inspect.getfullargspec(ORPOConfig.__init__).varkw is None
    assert "max_prompt_length" in ORPOConfig.__init__.__code__.co_varnames


def test_a_subclass_has_its_own_signature() -> None:
    assert "extra" in inspect.signature(Extended).parameters
    assert "extra" not in inspect.signature(ORPOConfig).parameters


def test_arguments_filtered_by_the_signature_keep_their_effect(tmp_path: Path) -> None:
    wanted = {
        "output_dir": str(tmp_path),
        "beta": 0.2,
        "max_prompt_length": 9,
        "evaluation_strategy": "no",
        "nonsense": 1,
    }
    known = inspect.signature(ORPOConfig.__init__).parameters
    config = ORPOConfig(**{name: value for name, value in wanted.items() if name in known})
    assert (config.beta, config.max_prompt_length) == (0.2, 9)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("lerning_rate", "'learning_rate'"),
        ("max_lenght", "'max_length'"),
        ("per-device-train-batch-size", "'per_device_train_batch_size'"),
        ("evaluation_stratergy", "'evaluation_strategy'"),
        ("loss_type", "one loss"),
        ("ref_model_init_kwargs", "no reference model"),
        ("precompute_ref_log_probs", "no reference model"),
        ("max_seq_length", "max_length"),
        ("desirable_weight", "KTO"),
        ("orpo_beta", "write beta"),
        ("lambda", "lambda_"),
        ("evaluation_steps", "eval_steps"),
        ("model_name_or_path", "ORPOTrainer"),
        ("qqqq", "docs/config.md"),
    ],
)
def test_a_name_nobody_had_is_a_type_error_with_advice(name: str, answer: str) -> None:
    with pytest.raises(TypeError) as caught:
        ORPOConfig(**{name: 1})
    assert isinstance(caught.value, UnknownArgument)
    said = str(caught.value)
    assert said.startswith(f"ORPOConfig.__init__() got an unexpected keyword argument '{name}'")
    assert answer in said.removeprefix(f"ORPOConfig.__init__() got an unexpected keyword argument '{name}'")


def test_a_subclass_names_itself_and_suggests_its_own_fields() -> None:
    with pytest.raises(TypeError, match=r"Extended\.__init__.*Did you mean 'extra'"):
        Extended(exttra=1)


@pytest.mark.parametrize("alias", ["alpha", "lambda_", "orpo_alpha"])
def test_an_alias_of_beta_sets_beta(alias: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    assert ORPOConfig(str(tmp_path), **{alias: 0.25}).beta == 0.25
    assert ORPOConfig(str(tmp_path), beta=0.25, **{alias: 0.25}).beta == 0.25
    with pytest.raises(ConfigError, match=rf"{alias}=0.5 and beta=0.25 disagree"):
        ORPOConfig(str(tmp_path), beta=0.25, **{alias: 0.5})
    assert not [warning for warning in recwarn if alias in str(warning.message)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"packing": "yes"}, "packing='yes' is none of 'auto', 'always', 'never'"),
        ({"nll_scope": "chosen"}, "nll_scope='chosen'"),
        ({"loss_normalization": "token"}, "loss_normalization='token'"),
        ({"nan_policy": "ignore"}, "nan_policy='ignore' is none of 'raise', 'skip'"),
        ({"padding": "left"}, "padding='left'"),
        ({"truncation_mode": "keep_middle"}, "truncation_mode='keep_middle' is none of 'keep_end', 'keep_start', None"),
        ({"beta_schedule": "step"}, "beta_schedule='step'"),
        ({"beta_start": 0.1}, "beta_start=0.1 needs beta_schedule"),
        ({"beta": -0.1}, "beta=-0.1 is not a finite number of at least 0"),
        ({"beta": float("nan")}, "beta=nan"),
        ({"beta": None}, "beta=None"),
        ({"beta": "a lot"}, "beta='a lot' is not a number"),
        ({"max_length": 0}, "max_length=0 is not a whole number of at least 1"),
        ({"max_prompt_length": 1.5}, "max_prompt_length=1.5"),
        ({"tokens_per_pass": "many"}, "tokens_per_pass='many' is not a number"),
        ({"tokens_per_pass": 0}, "tokens_per_pass=0"),
        ({"disable_dropout": "adapters"}, "disable_dropout='adapters' is none of True, False, 'base'"),
        ({"evaluation_strategy": "steps", "eval_strategy": "epoch"}, "disagree"),
    ],
)
def test_a_value_that_cannot_be_names_field_value_and_choices(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ORPOConfig(str(tmp_path), **given)
    assert said in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path: Path) -> None:
    config = ORPOConfig(str(tmp_path), learning_rate="5e-6", beta="1e-1", max_length="256", warmup_ratio="0.1")
    assert (config.learning_rate, config.beta, config.max_length) == (5e-6, 0.1, 256)
    assert config.get_warmup_steps(100) == 10
    assert ORPOConfig(str(tmp_path), tokens_per_pass="4096").tokens_per_pass == 4096
    assert ORPOConfig(str(tmp_path), tokens_per_pass=None).tokens_per_pass is None


def awkward(tmp_path: Path, cls: type[ORPOConfig] = ORPOConfig) -> ORPOConfig:
    return cls(
        str(tmp_path),
        beta=0.3,
        disable_dropout="base",
        evaluation_strategy="steps",
        eval_steps=5,
        warmup_ratio=0.1,
        no_cuda=True,
        split_batches=True,
        model_init_kwargs={"dtype": "float32"},
        overwrite_output_dir=True,
        hub_token="secret",
    )


def test_pickling_copying_and_replacing_keep_every_value(tmp_path: Path) -> None:
    config = awkward(tmp_path)
    assert pickle.loads(pickle.dumps(config)) == config
    assert copy.deepcopy(config) == config
    assert copy.copy(config) == config
    assert dataclasses.replace(config) == config
    assert dataclasses.replace(config, beta=0.4) != config
    assert dataclasses.replace(config, evaluation_strategy="steps") == config


def test_a_dict_or_json_rebuilds_the_config_without_its_secrets(tmp_path: Path) -> None:
    config = awkward(tmp_path)
    as_json = config.to_json_string()
    assert "secret" not in as_json
    rebuilt = ORPOConfig(**json.loads(as_json))
    assert rebuilt == dataclasses.replace(config, hub_token=None)
    assert ORPOConfig(**config.to_dict()) == rebuilt
    assert not {"evaluation_strategy", "alpha"} & set(config.to_dict())


def test_printing_shows_the_values_and_neither_tokens_nor_spent_names(tmp_path: Path) -> None:
    for shown in (str(awkward(tmp_path)), repr(awkward(tmp_path))):
        assert "beta=0.3,\n" in shown
        assert "overwrite_output_dir=True" in shown
        assert "secret" not in shown
        assert "evaluation_strategy=" not in shown


def test_replacing_gradient_checkpointing_takes_effect(tmp_path: Path) -> None:
    off = dataclasses.replace(ORPOConfig(str(tmp_path)), gradient_checkpointing=False)
    assert off.gradient_checkpointing is False
    assert getattr(off, "activation_checkpointing", False) is False


def test_the_default_checkpointing_warns_of_nothing(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    ORPOConfig(str(tmp_path), gradient_checkpointing_kwargs={"use_reentrant": False})
    assert not [warning for warning in recwarn if "checkpointing" in str(warning.message)]


def test_a_users_dataclass_inherits_everything(tmp_path: Path) -> None:
    config = awkward(tmp_path, Extended)
    assert isinstance(config, Extended)
    assert config.extra == 0
    assert Extended(str(tmp_path), extra=3).extra == 3
    assert config.use_cpu is True
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_users_subclass_may_change_a_default_and_keep_its_own_constructor(tmp_path: Path) -> None:
    @dataclasses.dataclass
    class Warmer(ORPOConfig):
        beta: float = 0.5

        def __post_init__(self) -> None:
            super().__post_init__()
            self.evaluation_strategy = "epoch"

    class Loose(ORPOConfig):
        def __init__(self, name: str, **rest: Any) -> None:
            super().__init__(**rest)
            self.name = name

    warmer = Warmer(str(tmp_path))
    assert (warmer.beta, warmer.eval_strategy) == (0.5, "epoch")
    loose = Loose("mine", output_dir=str(tmp_path), beta=0.2)
    assert (loose.name, loose.beta) == ("mine", 0.2)


def test_a_subclass_may_be_abstract() -> None:
    @dataclasses.dataclass
    class Both(ORPOConfig, Abstract):
        extra: int = 1

    with pytest.raises(TypeError, match="abstract"):
        Both()


def test_attributes_can_be_set_later_in_either_spelling(tmp_path: Path) -> None:
    config = ORPOConfig(str(tmp_path))
    config.learning_rate = 2e-5
    config.my_own_note = "kept"
    config.evaluation_strategy = "epoch"
    config.alpha = 0.9
    assert (config.learning_rate, config.my_own_note) == (2e-5, "kept")
    assert (config.eval_strategy, config.beta) == ("epoch", 0.9)


def test_transformers_own_setters_work(tmp_path: Path) -> None:
    config = ORPOConfig(str(tmp_path)).set_training(learning_rate=1e-4, batch_size=2, num_epochs=4)
    assert (config.learning_rate, config.per_device_train_batch_size, config.num_train_epochs) == (1e-4, 2, 4)


def test_plain_training_arguments_keep_their_values(tmp_path: Path) -> None:
    plain = TrainingArguments(str(tmp_path), per_device_train_batch_size=3, eval_strategy="steps", seed=7)
    config = ORPOConfig.from_training_arguments(plain)
    assert isinstance(config, ORPOConfig)
    assert (config.learning_rate, config.logging_steps, config.gradient_checkpointing) == (5e-5, 500, False)
    assert (config.per_device_train_batch_size, config.seed, config.bf16) == (3, 7, False)
    assert (config.beta, config.max_length) == (0.1, 1024)
    assert ORPOConfig.from_training_arguments(config) is config


def test_a_command_line_sets_every_kind_of_field(tmp_path: Path) -> None:
    line = (
        f"--output_dir {tmp_path} --beta 0.3 --max_prompt_length 64 --bf16 --no_cuda --disable_dropout base "
        "--evaluation_strategy steps --warmup_ratio 0.1 --packing never --tokens_per_pass 2048 "
        "--truncation_mode keep_start --report_to none --no_gradient_checkpointing --generate_during_eval "
        "--overwrite_output_dir --is_encoder_decoder"
    )
    parsed = HfArgumentParser(ORPOConfig).parse_args_into_dataclasses(
        [*line.split(), "--model_init_kwargs", '{"dtype": "float32"}']
    )
    config = parsed[0]
    assert (config.beta, config.max_prompt_length, config.bf16, config.use_cpu) == (0.3, 64, True, True)
    assert (config.disable_dropout, config.eval_strategy, config.get_warmup_steps(100)) == ("base", "steps", 10)
    assert (config.packing, config.tokens_per_pass, config.truncation_mode) == ("never", 2048, "keep_start")
    assert (config.gradient_checkpointing, config.generate_during_eval, config.is_encoder_decoder) == (
        False,
        True,
        True,
    )
    assert config.model_init_kwargs == {"dtype": "float32"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], True),
        (["--disable_dropout"], True),
        (["--disable_dropout", "False"], False),
        (["--no_disable_dropout"], False),
    ],
)
def test_dropout_keeps_the_flags_of_a_boolean(words: list[str], expected: bool, tmp_path: Path) -> None:
    parsed = HfArgumentParser(ORPOConfig).parse_args_into_dataclasses(["--output_dir", str(tmp_path), *words])
    assert parsed[0].disable_dropout is expected


def test_the_help_of_a_command_line_renders() -> None:
    text = HfArgumentParser(ORPOConfig).format_help()
    assert "--nan_policy" in text
    assert "--no_disable_dropout" in text


def test_trls_parser_reads_a_yaml_file(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    file = tmp_path / "run.yaml"
    file.write_text(
        f"output_dir: {tmp_path}\nlearning_rate: 5e-6\nbeta: 0.2\nmax_prompt_length: 100\nwarmup_ratio: 0.1\n"
        "evaluation_strategy: steps\neval_steps: 4\nno_cuda: true\ndisable_dropout: base\nbf16: false\n",
        encoding="utf-8",
    )
    (config,) = trl.TrlParser(ORPOConfig).parse_args_and_config(["--config", str(file), "--beta", "0.4"])
    assert (config.learning_rate, config.beta, config.max_prompt_length) == (5e-6, 0.4, 100)
    assert (config.eval_strategy, config.get_warmup_steps(100), config.use_cpu) == ("steps", 10, True)
    assert config.disable_dropout == "base"


def test_a_yaml_file_can_be_read_without_trl(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"output_dir: {tmp_path}\nlearning_rate: 5e-6\norpo_alpha: 0.2\n", encoding="utf-8")
    (config,) = HfArgumentParser(ORPOConfig).parse_yaml_file(file)
    assert (config.learning_rate, config.beta) == (5e-6, 0.2)
