"""Makes sense of what an ``ORPOTrainer`` is called with: names from every era, things left out, contradictions.

Each function settles one argument and raises with the argument's name; nothing here trains.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import logging
from collections.abc import Callable
from dataclasses import fields
from os import PathLike
from typing import Any, ParamSpec

from torch import nn
from transformers import AutoTokenizer, TrainingArguments

from orpo_compat.collator import PreferenceCollator
from orpo_compat.config import ORPOConfig
from orpo_compat.errors import UnknownArgument
from orpo_compat.refusals import ADVICE

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")

_ARGS_NAMES = ("config", "orpo_config", "training_args", "training_arguments")
_TOKENIZER_NAMES = ("feature_extractor", "image_processor", "processor")


def advises_on_keywords(init: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Let a constructor answer a keyword it does not have with where that belongs; its signature stays as it is.

    Raises:
        TypeError: an unknown keyword.
    """
    known = [name for name in inspect.signature(init).parameters if name != "self"]

    @functools.wraps(init)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        for name in kwargs:
            if name not in known:
                said = f"{type(args[0]).__name__}.__init__() got an unexpected keyword argument '{name}'"
                raise UnknownArgument(f"{said}{_advice(name, known)}")
        init(*args, **kwargs)

    return checked


def _advice(name: str, known: list[str]) -> str:
    if name in {entry.name for entry in fields(ORPOConfig) if entry.init}:
        return f": it is a setting, pass args=ORPOConfig({name}=...)."
    for names, argument in ((_ARGS_NAMES, "args"), (_TOKENIZER_NAMES, "processing_class")):
        if name in names:
            return f": pass it as {argument}=."
    if ADVICE.get(name, "").startswith("write "):
        return f": it is a setting; in args=ORPOConfig(...) {ADVICE[name]}."
    if name in ADVICE:
        return f": {ADVICE[name]}."
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f". Did you mean '{near[0]}'?" if near else f". It takes {', '.join(known)}."


def one_of(name: str, value: Any, other_name: str, other: Any) -> Any:
    """Return whichever of two spellings of one argument was given.

    Raises:
        TypeError: both were.
    """
    if value is not None and other is not None:
        raise TypeError(f"{name} and {other_name} are two names of one argument; pass only {name}")
    return other if value is None else value


def refuse_reference_model(ref_model: object) -> None:
    """Raise if a reference model is given: ORPO's odds ratio compares the policy with itself."""
    if ref_model is not None:
        raise TypeError("ref_model must be None: ORPO has no reference model, which is what saves its memory")


def resolve_args(args: TrainingArguments | None) -> ORPOConfig:
    """Return an ``ORPOConfig`` whatever was passed.

    Raises:
        TypeError: ``args`` is no ``TrainingArguments``.
    """
    if args is None:
        return ORPOConfig(output_dir="tmp_trainer")
    if isinstance(args, ORPOConfig):
        return args
    if isinstance(args, TrainingArguments):
        return ORPOConfig.from_training_arguments(args)
    raise TypeError(f"args must be an ORPOConfig or a transformers.TrainingArguments, got {type(args).__name__}")


def text_config(model: nn.Module) -> Any:
    """Return the configuration that describes the language model, also of a multimodal one."""
    config: Any = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def resolve_tokenizer(processing_class: Any, model: nn.Module, config: ORPOConfig) -> Any:
    """Return the processing class, read from the model's own name if none was passed.

    Raises:
        TypeError: a name was passed.
        ValueError: none was passed and the model has no name to read one from.
    """
    if isinstance(processing_class, (str, PathLike)):
        name = str(processing_class)
        raise TypeError(
            f"processing_class must be a tokenizer or processor, got the {type(processing_class).__name__} {name!r}; "
            f"pass AutoTokenizer.from_pretrained({name!r})"
        )
    if processing_class is not None:
        return processing_class
    name = getattr(getattr(model, "config", None), "_name_or_path", "")
    if not name:
        raise ValueError("the model has no name to load a tokenizer by; pass processing_class=")
    keywords = config.model_init_kwargs
    revision = keywords.get("revision") if isinstance(keywords, dict) else None
    return AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=config.trust_remote_code)


def text_tokenizer(processing_class: Any) -> Any:
    """Return the tokenizer inside a processor, or the tokenizer itself."""
    return getattr(processing_class, "tokenizer", processing_class)


def padding_value(config: ORPOConfig, processing_class: Any) -> int:
    """Return the id that fills batches: the configured one, the tokenizer's padding, its EOS, or 0.

    Padding is masked everywhere, so a tokenizer without a padding token (TRL: an error) only needs *some* id.
    """
    tokenizer = text_tokenizer(processing_class)
    for candidate in (config.padding_value, tokenizer.pad_token_id, tokenizer.eos_token_id):
        if candidate is not None:
            return int(candidate)
    return 0


def completion_length(config: ORPOConfig, is_encoder_decoder: bool) -> int | None:
    """Return how long an encoder-decoder's responses may be; TRL's default is 128."""
    if config.max_completion_length is None and is_encoder_decoder:
        return 128
    return config.max_completion_length


def default_collator(
    config: ORPOConfig, *, pad_token_id: int, is_encoder_decoder: bool, max_length: int
) -> PreferenceCollator:
    """Return the collator that pads as TRL's does; with it every column of a row is kept."""
    config.remove_unused_columns = False
    return PreferenceCollator(
        pad_token_id=pad_token_id,
        is_encoder_decoder=is_encoder_decoder,
        label_pad_token_id=config.label_pad_token_id,
        pad_to=max_length if config.padding == "max_length" else None,
    )


class PreparedInit:
    """A ``model_init`` whose models come out prepared; keeps the first one it built for looking at.

    Args:
        build: The user's function, with or without a trial argument.
        prepare: What turns its result into a model ready to train.
    """

    def __init__(self, build: Callable[..., nn.Module], prepare: Callable[[nn.Module], nn.Module]) -> None:
        self._build = build
        self._prepare = prepare
        # The Trainer counts the parameters of what it calls, to know whether to hand it the trial.
        self.__signature__ = inspect.signature(build)

        self._probe: nn.Module | None = None

    def __call__(self, *trial: Any) -> nn.Module:
        """Build and prepare one model; the first is the one that was looked at."""
        model, self._probe = self._probe, None
        return self._prepare(self._build(*trial) if model is None else model)

    def probe(self) -> nn.Module:
        """Build a model to read its configuration from."""
        takes_trial = len(self.__signature__.parameters) > 0
        self._probe = self._build(None) if takes_trial else self._build()
        return self._probe
