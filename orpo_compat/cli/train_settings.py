"""What a training run is asked for: the command's own options, a YAML file, and the config fields beside them.

The command line wins over the file, the file over the defaults. Everything here is values; nothing is loaded.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orpo_compat.cli.config_options import config_options, given
from orpo_compat.cli.other_tools import adopt, counterpart
from orpo_compat.errors import ConfigError

DEFAULT_RANK = 16
"""Of an adapter asked for with --use-peft alone, as in TRL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """The options of `train` that are not fields of `ORPOConfig`; named as on the command line."""

    model: str = ""
    data: str = ""
    output: str = ""
    split: str | None = None
    eval_data: str | None = None
    eval_split: str | None = None
    eval_fraction: float | None = None
    """None: a tenth where there are at least twenty prompts, else nothing."""
    max_samples: int | None = None
    prompt_column: str | None = None
    chosen_column: str | None = None
    rejected_column: str | None = None
    system_column: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    as_chat: bool = False
    keep_identical: bool = False
    keep_duplicates: bool = False
    drop_overlength: bool = False
    tokenizer: str | None = None
    dtype: str | None = None
    attn: str | None = None
    load_in_4bit: bool = False
    chat_template: str | None = None
    use_peft: bool = False
    lora_r: int | None = None
    lora_alpha: int | None = None
    lora_dropout: float = 0.0
    lora_target_modules: str = "all-linear"
    use_dora: bool = False
    merge_lora: bool = False
    total_batch_size: int | None = None
    learning_rate_end: float | None = None
    resume: bool = False
    resume_from: str | None = None
    overwrite: bool = False
    health: bool = True
    live: bool = True
    plots: bool = True

    @property
    def adapter_rank(self) -> int | None:
        """The rank of the adapter to train; None trains all weights."""
        return self.lora_r or (DEFAULT_RANK if self.use_peft else None)

    def required(self) -> None:
        """Check that there is a model, data and an output folder.

        Raises:
            ConfigError: one of them is missing.
        """
        missing = [f"--{name}" for name in ("model", "data", "output") if not getattr(self, name)]
        if missing:
            raise ConfigError(
                f"{' and '.join(missing)} missing.\n"
                "  Next: orpo-compat train --model SmolLM-135M --data prefs.csv --output out/"
            )


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """Everything a run was asked for."""

    settings: TrainSettings
    config: dict[str, Any]
    """Fields of `ORPOConfig` that were given a value."""

    def as_yaml(self, *, without: Collection[str] = ()) -> str:
        """The request as a file that `--config` reads back; what was left at its default is not in it."""
        import yaml

        defaults = TrainSettings()
        asked = {
            field.name: value
            for field in dataclasses.fields(TrainSettings)
            if (value := getattr(self.settings, field.name)) != getattr(defaults, field.name)
            and field.name not in without
        }
        text: str = yaml.safe_dump({**asked, **self.config}, sort_keys=False, allow_unicode=True)
        return text


def read_request(options: Mapping[str, Any], config_file: Path | None) -> TrainRequest:
    """Join the file and the command line.

    Args:
        options: every option of the command, None where it was not given.
        config_file: a YAML file whose keys are option names, with hyphens or underscores.

    Raises:
        ConfigError: the file is missing, no mapping, or holds an unknown key or a value of the wrong kind.
    """
    merged = {**(_read_yaml(config_file) if config_file else {}), **_without_none(options)}
    if merged.get("resume") and merged.get("output"):
        merged = {**_earlier(Path(merged["output"])), **merged}
    own = {field.name: field for field in dataclasses.fields(TrainSettings)}
    values: dict[str, Any] = {name: _checked(own[name], value) for name, value in merged.items() if name in own}
    if values.get("eval_split") and not values.get("eval_data"):
        values["eval_data"] = values.get("data")
    return TrainRequest(TrainSettings(**values), given(merged))


def _without_none(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _earlier(folder: Path) -> dict[str, Any]:
    """What the run in this folder was asked for, so that `--resume` need not repeat it."""
    from orpo_compat.history import RUN_FILE

    try:
        record = json.loads((folder / RUN_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return _named(yaml_mapping(str(record.get("command", "")), folder / RUN_FILE), folder / RUN_FILE)


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file.\n  Next: give --config an existing YAML file.")
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 ({error.reason}).\n  Next: save it as UTF-8.") from error
    return _named(yaml_mapping(text, path), path)


def yaml_mapping(text: str, path: Path) -> dict[str, Any]:
    """The document as options and values, whatever their names.

    Raises:
        ConfigError: it is no YAML, or no mapping.
    """
    import yaml

    try:
        document = yaml.load(text, _loader())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({error}).\n  Next: one `option: value` per line.") from error
    if not isinstance(document, dict | None):
        raise ConfigError(f"{path}: not a mapping of options to values.\n  Next: one `option: value` per line.")
    return document or {}


def _named(document: dict[str, Any], path: Path) -> dict[str, Any]:
    known = [*(field.name for field in dataclasses.fields(TrainSettings)), *(o.name for o in config_options())]
    return {_known(key, known, path): value for key, value in adopt(document).items()}


def _loader() -> Any:
    """YAML that reads 1e-6 as the number it is; YAML 1.1 wants a dot in it."""
    import re

    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml ships no types
        pass

    number = re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    return Loader


def _known(key: str, known: list[str], path: Path) -> str:
    name = {"lambda": "lambda_"}.get(key, key)
    if name in known:
        return name
    if hint := counterpart(name):
        raise ConfigError(f"{path}: no option {key!r}.\n  Next: here that is {hint}")
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "`orpo-compat train --help` lists the options."
    raise ConfigError(f"{path}: no option {key!r}.\n  Next: {hint}")


def _checked(field: dataclasses.Field[Any], value: object) -> object:
    """A file's value in the option's kind."""
    wanted = str(field.type).split(" ")[0]
    kinds: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
    right = isinstance(value, kinds[wanted]) and (wanted == "bool" or not isinstance(value, bool))
    if value is None or right:
        return value
    raise ConfigError(
        f"{field.name}: {value!r} where {wanted} was expected.\n  Next: correct it in the file given to --config."
    )
