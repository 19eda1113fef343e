"""``ORPOConfig``: every argument of ORPO training, with TRL 1.16's defaults and every spelling TRL ever had.

The fields below are ORPO's: TRL's first, then ours, each with the help text that parsers and ``docs/config.md`` show.
Everything else comes from ``TrainingArguments``, and from ``spellings.py`` for the arguments it has lost.
``precision.py`` settles the number format, ``defaults.py`` knows what older releases started from, ``refusals.py``
answers a wrong name. This module decides what is valid; it knows no model and no data.
"""

# No "from __future__ import annotations": HfArgumentParser and numeric_strings read the annotations as types.

import dataclasses
import inspect
import logging
from abc import ABCMeta
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, TypeVar, get_args, get_origin

from transformers import TrainingArguments

from orpo_compat.defaults import defaults_of
from orpo_compat.errors import ConfigError
from orpo_compat.precision import Precision, settle, this_cpu, this_device
from orpo_compat.refusals import unknown_argument
from orpo_compat.setters import OlderSetters
from orpo_compat.spellings import (
    BEFORE_5,
    DECLARED,
    FLAG,
    MOVED,
    WATCHED,
    carry,
    first_process,
    modernize,
)
from orpo_compat.switches import Dropout, DropoutAction, as_dropout

logger = logging.getLogger(__name__)
_said: set[str] = set()

Config = TypeVar("Config", bound="ORPOConfig")


class Suggesting(ABCMeta):
    """Lets a config class, and every dataclass derived from it, answer an unknown argument with a suggestion.

    A metaclass, because each dataclass gets an ``__init__`` of its own: that one stays as generated, with real
    parameters for whoever inspects it. Derived from ``ABCMeta`` so that a subclass may inherit an abstract class too.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
        if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
            for name in kwargs:
                if name not in parameters:
                    raise unknown_argument(cls.__name__, name, [known for known in parameters if known != "self"])
        return super().__call__(*args, **kwargs)

    @property
    def __signature__(cls) -> inspect.Signature:
        full = inspect.signature(cls.__init__)  # type: ignore[misc]
        return full.replace(parameters=list(full.parameters.values())[1:], return_annotation=full.empty)


@dataclass(repr=False)
class ORPOConfig(OlderSetters, metaclass=Suggesting):
    """The arguments of an ``ORPOTrainer``: those of ``TrainingArguments`` and the fields listed in ``docs/config.md``.

    Defaults are TRL 1.16's; ``ORPOConfig.for_trl("0.9.6")`` gives those of another release. ``bf16`` is on where the
    device computes bfloat16 natively, and off elsewhere without an error.

    Raises:
        ConfigError: a value that the field cannot have, or two spellings of one argument that disagree.
        UnknownArgument: a ``TypeError`` for a name that neither TRL nor transformers ever had.
    """

    _VALID_DICT_FIELDS = [*TrainingArguments._VALID_DICT_FIELDS, "model_init_kwargs"]  # noqa: RUF012 (theirs is plain)

    # Defaults that TRL sets differently from TrainingArguments.

    learning_rate: float = field(default=1e-6, metadata={"help": "Initial learning rate of the optimizer."})
    logging_steps: float = field(
        default=10, metadata={"help": "Log every so many update steps; below 1, a share of the whole run."}
    )
    gradient_checkpointing: bool = field(
        default=True,
        metadata={"help": "Recompute activations in the backward pass: less memory, about a fifth slower."},
    )
    bf16: bool | None = field(  # type: ignore[assignment]
        default=None,
        metadata={
            "help": "Compute in bfloat16 (mixed precision). Unset: yes where the device does so natively (a CPU only "
            "with AMX) and fp16 is off; otherwise float32, with one line in the log.",
            **FLAG,
        },
    )

    # TRL's own fields.

    beta: float = field(
        default=0.1,
        metadata={"help": "Weight of the odds-ratio term; lambda in the paper, alpha in its authors' code."},
    )
    max_length: int | None = field(
        default=1024,
        metadata={"help": "Longest prompt and response together, in tokens. None means 512, as in TRL."},
    )
    max_prompt_length: int | None = field(
        default=None,
        metadata={
            "help": "Longest prompt, in tokens. Giving it selects the truncation rule of TRL up to 0.27: an over-long "
            "pair has its prompt cut to this length first. Unset: the rule of TRL 1.15, which cuts the response."
        },
    )
    max_completion_length: int | None = field(
        default=None,
        metadata={"help": "Longest response of an encoder-decoder model, in tokens. None means 128, as in TRL."},
    )
    truncation_mode: Literal["keep_end", "keep_start"] | None = field(
        default=None,
        metadata={
            "help": "Which end of a prompt survives when the prompt must be cut. Unset means keep_end, the default of "
            "every TRL release that had the field."
        },
    )
    disable_dropout: Dropout = field(
        default=True,
        metadata={
            "help": "Set every dropout of the model to 0. True includes the adapters' lora_dropout, as in TRL; 'base' "
            "spares the adapters; False leaves the model as it is.",
            **FLAG,
            "action": DropoutAction,
            "aliases": ["--no_disable_dropout", "--no-disable-dropout"],
        },
    )
    label_pad_token_id: int = field(
        default=-100, metadata={"help": "Label of positions that carry no loss. PyTorch's loss expects -100."}
    )
    padding_value: int | None = field(
        default=None, metadata={"help": "Token id that pads inputs. Unset: the tokenizer's pad token, or else its EOS."}
    )
    generate_during_eval: bool = field(
        default=False,
        metadata={
            "help": "At each evaluation, generate responses to some prompts: written to generations.jsonl in "
            "output_dir (which push_to_hub uploads) and shown by W&B, Comet and TensorBoard where report_to names them."
        },
    )
    is_encoder_decoder: bool | None = field(
        default=None,
        metadata={
            "help": "Whether the model that model_init returns is an encoder-decoder. Unset: ask the model.",
            **FLAG,
        },
    )
    model_init_kwargs: dict[str, Any] | str | None = field(
        default=None,
        metadata={
            "help": "Arguments of from_pretrained when the model is given by name (JSON on the command line). The "
            "number format may be called dtype or torch_dtype; revision also selects the tokenizer."
        },
    )
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Allow a model given by name to run code from its repository."}
    )
    dataset_num_proc: int | None = field(
        default=None, metadata={"help": "Processes that prepare the dataset. Unset: one."}
    )

    # Ours.

    packing: Literal["auto", "always", "never"] = field(
        default="auto",
        metadata={
            "help": "Compute a pair as one row without padding, the prompt once. auto: where the model is shown to "
            "give the same numbers that way; always: or stop; never: TRL's padded batch."
        },
    )
    tokens_per_pass: int | str | None = field(
        default="auto",
        metadata={
            "help": "Most tokens of one packed forward pass; a pair is never split. auto: 512 on a CPU, 4096 "
            "on CUDA, fewer where memory is short; None: the whole batch in one pass."
        },
    )
    padding: Literal["longest", "max_length"] = field(
        default="longest",
        metadata={"help": "Pad a padded batch to its longest row, or always to max_length (one shape for compilers)."},
    )
    nll_scope: Literal["prompt_and_response", "response"] = field(
        default="prompt_and_response",
        metadata={"help": "Tokens of the chosen text that the likelihood term covers. TRL's includes the prompt."},
    )
    loss_normalization: Literal["microbatch", "global"] = field(
        default="microbatch",
        metadata={
            "help": "Average the loss within each micro-batch and then over them, as TRL does, or over all tokens and "
            "pairs of an update step, so that accumulation and ranks do not change it."
        },
    )
    nan_policy: Literal["raise", "skip"] = field(
        default="raise",
        metadata={
            "help": "A pair whose loss is not finite: stop and name the rows, or leave the pair out and go on. In TRL "
            "one such step makes every weight NaN, so stopping loses nothing."
        },
    )
    beta_schedule: Literal["constant", "linear", "cosine"] = field(
        default="constant", metadata={"help": "How beta moves from beta_start to beta over the run."}
    )
    beta_start: float | None = field(
        default=None, metadata={"help": "Beta at the first step of a linear or cosine beta_schedule. Unset: 0."}
    )

    def __post_init__(self) -> None:
        self.__dict__.pop("_settled", None)
        self._read_numbers()
        self._drop_masks()
        modernize(self)
        self._validate()
        self._settle_precision()
        self._settle_checkpointing()
        super().__post_init__()  # type: ignore[no-untyped-call]
        self._settled = True

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an argument; one in an older spelling is translated after construction too."""
        if name in WATCHED and value is not None and self.__dict__.get("_settled"):
            carry(self, DECLARED[name], value)
        else:
            super().__setattr__(name, value)

    def _read_numbers(self) -> None:
        """Turn numbers that arrived as text into numbers: YAML reads ``1e-6``, without a point, as a string."""
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if not isinstance(value, str) or entry.name not in _NUMERIC:
                continue
            try:
                setattr(self, entry.name, _NUMERIC[entry.name](value))
            except ValueError:
                if entry.name != "tokens_per_pass" or value != "auto":
                    raise ConfigError(f"{entry.name}={value!r} is not a number") from None

    def _drop_masks(self) -> None:
        """Forget a token that is only the mask that ``to_dict`` writes in its place."""
        for name in ("hub_token", "push_to_hub_token"):
            if getattr(self, name) == f"<{name.upper()}>":
                setattr(self, name, None)

    def _validate(self) -> None:
        """Refuse values that no setting can have; transformers checks its own fields afterwards."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name}={getattr(self, name)!r} is none of {', '.join(map(repr, choices))}")
        for name in ("max_length", "max_prompt_length", "max_completion_length", "dataset_num_proc", "tokens_per_pass"):
            value = getattr(self, name)
            if value is not None and value != "auto" and (not isinstance(value, Integral) or value < 1):
                raise ConfigError(f"{name}={value!r} is not a whole number of at least 1 (or None)")
        for name in ("beta", "beta_start"):
            value = getattr(self, name)
            if (value is not None or name == "beta") and not (
                isinstance(value, Real) and 0 <= float(value) < float("inf")
            ):
                raise ConfigError(f"{name}={value!r} is not a finite number of at least 0")
        if self.beta_start is not None and self.beta_schedule == "constant":
            raise ConfigError(
                f"beta_start={self.beta_start!r} needs beta_schedule='linear' or 'cosine'; it is 'constant'"
            )
        try:
            self.disable_dropout = as_dropout(self.disable_dropout)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _settle_precision(self) -> None:
        names = [entry.name for entry in dataclasses.fields(Precision)]
        wish = Precision(**{name: getattr(self, name) for name in names})
        settled, notes = settle(wish, this_device(), this_cpu())
        for name in names:
            setattr(self, name, getattr(settled, name))
        for note in notes:
            if note not in _said and first_process():
                _said.add(note)
                logger.warning(note)

    def _settle_checkpointing(self) -> None:
        """Fill in transformers' newer name of ``gradient_checkpointing``, which is TRL's and in good standing here."""
        if BEFORE_5 and self.gradient_checkpointing and self.gradient_checkpointing_kwargs is None:
            self.gradient_checkpointing_kwargs = {"use_reentrant": False}  # what transformers 5 does by itself
        if "activation_checkpointing" not in self.__dataclass_fields__:
            return
        if self.activation_checkpointing is None or not self.gradient_checkpointing:
            self.activation_checkpointing = self.gradient_checkpointing
        if self.activation_checkpointing_kwargs is None:
            self.activation_checkpointing_kwargs = self.gradient_checkpointing_kwargs

    def to_dict(self) -> dict[str, Any]:
        """All arguments, ready for JSON; older spellings, whose values have moved, are left out."""
        values: dict[str, Any] = super().to_dict()  # type: ignore[no-untyped-call]
        return {name: value for name, value in values.items() if name not in MOVED}

    def __str__(self) -> str:
        """All arguments, one a line, tokens masked; without the older names that hold nothing."""
        spent = tuple(f"{name}=" for name in MOVED)
        lines = super().__str__().split("\n")  # type: ignore[no-untyped-call]
        return "\n".join(line for line in lines if not line.startswith(spent))

    __repr__ = __str__

    @classmethod
    def for_trl(cls: type[Config], release: str, **arguments: Any) -> Config:
        """A config that starts from the defaults of one TRL release, ``"0.8.2"`` to ``"1.16.0"``.

        Args:
            release: the TRL version that the run was written for.
            arguments: as to the constructor; they win over the release's defaults.

        Raises:
            ConfigError: no such release.
        """
        return cls(**{**defaults_of(release), **arguments})

    @classmethod
    def from_training_arguments(cls: type[Config], arguments: TrainingArguments) -> Config:
        """A config with the values of plain ``TrainingArguments`` or another trainer's, and our defaults for the rest.

        Returns ``arguments`` itself where it already is one. Its learning rate, logging steps and precision are kept as
        they are: whoever built it has settled them.
        """
        if isinstance(arguments, cls):
            return arguments
        ours = {entry.name for entry in dataclasses.fields(cls) if entry.init}
        theirs = [entry.name for entry in dataclasses.fields(arguments) if entry.init and entry.name in ours]
        return cls(**{name: getattr(arguments, name) for name in theirs})


def _choices() -> dict[str, tuple[object, ...]]:
    """Each field that takes one of a few words, and the words; read from its annotation."""
    chosen = {}
    for entry in dataclasses.fields(ORPOConfig):
        kinds = [entry.type, *get_args(entry.type)]
        words = tuple(word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))
        if words and entry.name in ORPOConfig.__annotations__:
            chosen[entry.name] = (*words, None) if type(None) in kinds else words
    return chosen


def _numeric() -> dict[str, type]:
    """Each field that takes a number and no text, and the type to read it with."""
    found: dict[str, type] = {"tokens_per_pass": int}
    for entry in dataclasses.fields(ORPOConfig):
        kinds = get_args(entry.type) or (entry.type,)
        if str not in kinds and (float in kinds or int in kinds):
            found[entry.name] = float if float in kinds else int
    return found


_CHOICES = _choices()
_NUMERIC = _numeric()
