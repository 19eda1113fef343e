"""Arguments that transformers dropped since 4.40, and names for ``beta`` that people know from elsewhere.

``SPELLINGS`` is the whole list, as data. ``OlderSpellings`` is a dataclass between ``TrainingArguments`` and
``ORPOConfig`` that declares those rows which the installed transformers lacks, so they are real fields: parsers and
signatures see them. A row either moves its value to the modern argument, or keeps it and says once what will not
happen. This module knows no ORPO setting, and nothing of the names that were never arguments (``refusals.py``).
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers
from packaging.version import Version
from transformers import TrainingArguments
from transformers.training_args import OptimizerNames

from orpo_compat.errors import ConfigError, SpellingWarning

Mover = Callable[[Any, Any], None]
"""Writes a value, given under an older name, to the modern argument of a config."""

FLAG: dict[str, object] = {"nargs": "?", "const": True}
"""Metadata of an optional boolean: parsers then accept the bare flag, as they did when its default was ``False``."""

BEFORE_5 = Version(transformers.__version__) < Version("5.0.0")

_S = str | None
_B = bool | None
_F = float | None
_I = int | None


@dataclass(frozen=True)
class Spelling:
    """One older argument. ``inert`` values ask for nothing, and are passed over in silence."""

    name: str
    type: Any
    default: object
    last: str  # newest transformers release that has it; "" for a name that was never transformers'
    modern: str  # what to write today, or "" when nothing replaces it
    consequence: str = ""  # with no modern form: what happens instead
    move: Mover | None = None
    inert: tuple[object, ...] = (None, False)
    stays: bool = False  # moved, and still readable under the older name

    @property
    def parsing(self) -> dict[str, object]:
        """What an argument parser must be told so that a switch needs no value on the command line."""
        return FLAG if self.type == _B else {}

    @property
    def help(self) -> str:
        if not self.last:
            return f"Another name for {self.modern}."
        since = f"Accepted from transformers up to {self.last}. "
        return since + (f"Now: {self.modern}." if self.move else f"Ignored: {self.consequence}.")


def put(args: Any, old: str, new: str, value: Any) -> None:
    """Set ``args.new``. While the config is being built, refuse to overrule a different value given under ``new``."""
    given = getattr(args, new)
    if not vars(args).get("_settled") and given != _default(args, new) and given != value:
        shown = f"{old} and {new}" if new.endswith("token") else f"{old}={value!r} and {new}={given!r}"
        raise ConfigError(f"{shown} disagree; they are one argument, so pass {new} alone")
    setattr(args, new, value)


def _default(args: Any, name: str) -> object:
    for entry in dataclasses.fields(args):
        if entry.name == name:
            return entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()
    return None


def _to(new: str, translate: Callable[[Any], Any] = lambda value: value) -> Callable[[str], Mover]:
    return lambda old: lambda args, value: put(args, old, new, translate(value))


def warm_up_for_share(args: Any, value: Any) -> None:
    """``warmup_steps`` below 1 is a share of the run, and always won over the ratio."""
    if not 0 <= value <= 1:
        raise ConfigError(f"warmup_ratio={value!r} is not a share of the run; it lies between 0 and 1")
    if vars(args).get("_settled") or not args.warmup_steps:
        args.warmup_steps = min(value, math.nextafter(1.0, 0.0))  # 1.0 would mean one step


def _accelerator_config(key: str) -> Mover:
    def move(args: Any, value: Any) -> None:
        held = args.accelerator_config
        if isinstance(held, str):
            raise ConfigError(f"{key}={value!r} cannot be added to the accelerator_config file {held}; write it there")
        if held is None or isinstance(held, dict):
            args.accelerator_config = {**(held or {}), key: value}
        else:
            setattr(held, key, value)

    return move


def _fsdp_config(old: str, key: str) -> Mover:
    def move(args: Any, value: Any) -> None:
        held = args.fsdp_config
        if isinstance(held, str) and not held.startswith("{"):
            raise ConfigError(f"{old}={value!r} cannot be added to the fsdp_config file {held}; write {key} there")
        if isinstance(held, str):
            raise ConfigError(f"{old}={value!r} cannot be added to fsdp_config given as text; write {key} in it")
        args.fsdp_config = {**(held or {}), key: value}

    return move


def _hub_organization(args: Any, value: Any) -> None:
    name = args.hub_model_id or Path(args.output_dir or "trainer_output").name
    if "/" in name and not name.startswith(f"{value}/"):
        raise ConfigError(
            f"push_to_hub_organization={value!r} and hub_model_id={name!r} disagree; pass hub_model_id alone"
        )
    args.hub_model_id = name if "/" in name else f"{value}/{name}"


def _include_inputs(args: Any, value: Any) -> None:
    args.include_for_metrics = sorted({*args.include_for_metrics, "inputs"})


def _tpu_debug(args: Any, value: Any) -> None:
    held = args.debug if isinstance(args.debug, str) else " ".join(option.value for option in args.debug or ())
    args.debug = f"{held} tpu_metrics_debug".strip()


def _logging_dir(args: Any, value: Any) -> None:
    """TensorBoard's callback reads the folder from the environment since transformers 5.15."""
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(value)


def _row(name: str, kind: Any, last: str, modern: str, move: Callable[[str], Mover], **more: Any) -> Spelling:
    return Spelling(name, kind, None, last, modern, move=move(name), **more)


def _plain(move: Mover) -> Callable[[str], Mover]:
    return lambda old: move


def _gone(name: str, kind: Any, default: object, last: str, consequence: str, *inert: object) -> Spelling:
    return Spelling(name, kind, default, last, "", consequence, inert=(None, default, *inert))


SPELLINGS: tuple[Spelling, ...] = (
    _row("alpha", _F, "", "beta", _to("beta"), inert=(None,)),
    _row("lambda_", _F, "", "beta", _to("beta"), inert=(None,)),
    _row("orpo_alpha", _F, "", "beta", _to("beta"), inert=(None,)),
    _row("evaluation_strategy", _S, "4.50", "eval_strategy", _to("eval_strategy")),
    _row("warmup_ratio", _F, "5.14", "warmup_steps below 1", _plain(warm_up_for_share), inert=(None, 0.0)),
    _row("group_by_length", _B, "5.1", 'train_sampling_strategy="group_by_length"',
         _to("train_sampling_strategy", lambda _: "group_by_length")),
    _row("logging_dir", _S, "5.14", "the environment variable TENSORBOARD_LOGGING_DIR", _plain(_logging_dir),
         stays=True),
    _row("no_cuda", _B, "4.57", "use_cpu", _to("use_cpu")),
    _row("per_gpu_train_batch_size", _I, "4.57", "per_device_train_batch_size", _to("per_device_train_batch_size")),
    _row("per_gpu_eval_batch_size", _I, "4.57", "per_device_eval_batch_size", _to("per_device_eval_batch_size")),
    _row("push_to_hub_token", _S, "4.57", "hub_token", _to("hub_token")),
    _row("push_to_hub_model_id", _S, "4.57", "hub_model_id", _to("hub_model_id")),
    _row("push_to_hub_organization", _S, "4.57", 'hub_model_id="organization/name"', _plain(_hub_organization)),
    _row("include_inputs_for_metrics", _B, "4.57", 'include_for_metrics=["inputs"]', _plain(_include_inputs)),
    _row("adafactor", _B, "4.57", 'optim="adafactor"', _to("optim", lambda _: "adafactor")),
    _row("torchdynamo", _S, "4.57", "torch_compile_backend", _to("torch_compile_backend")),
    _row("dispatch_batches", _B, "4.50", 'accelerator_config={"dispatch_batches": ...}',
         _plain(_accelerator_config("dispatch_batches")), inert=(None,)),
    _row("split_batches", _B, "4.50", 'accelerator_config={"split_batches": ...}',
         _plain(_accelerator_config("split_batches"))),
    _row("fsdp_min_num_params", _I, "4.57", 'fsdp_config={"min_num_params": ...}',
         _plain(_fsdp_config("fsdp_min_num_params", "min_num_params")), inert=(None, 0)),
    _row("fsdp_transformer_layer_cls_to_wrap", _S, "4.57", 'fsdp_config={"transformer_layer_cls_to_wrap": ...}',
         _plain(_fsdp_config("fsdp_transformer_layer_cls_to_wrap", "transformer_layer_cls_to_wrap"))),
    _row("tpu_metrics_debug", _B, "4.57", 'debug="tpu_metrics_debug"', _plain(_tpu_debug)),
    _gone("overwrite_output_dir", bool, False, "4.57",
          "nothing is emptied; training writes into output_dir and resumes only when asked to"),
    _gone("save_safetensors", bool, True, "4.57", "weights are always saved as safetensors"),
    _gone("use_mps_device", bool, False, "4.57", "the device is chosen by itself, and MPS is used where there is one"),
    _gone("fp16_backend", str, "auto", "4.57", "mixed precision always runs on torch.autocast", "amp", "cuda_amp"),
    _gone("half_precision_backend", str, "auto", "4.57", "mixed precision always runs on torch.autocast",
          "cuda_amp", "cpu_amp"),
    _gone("fp16_opt_level", str, "O1", "4.57", "Apex levels are gone; fp16 runs on torch.autocast"),
    _gone("include_tokens_per_second", bool, False, "4.57", "speed is reported in samples and steps per second"),
    _gone("jit_mode_eval", bool, False, "4.57", "evaluation runs the model itself, not a TorchScript trace of it"),
    _gone("use_ipex", bool, False, "4.56", "Intel's optimizations are part of PyTorch now"),
    _gone("past_index", int, -1, "4.57", "no hidden state is carried from one batch to the next"),
    _gone("mp_parameters", str, "", "4.57", "SageMaker's model parallelism is not used"),
    _gone("ray_scope", _S, "last", "4.57", "pass scope= to hyperparameter_search instead"),
    _gone("tpu_num_cores", _I, None, "4.57", "the launcher sets the number of TPU cores"),
    _gone("tp_size", _I, 0, "4.51", "load the model with tp_plan=\"auto\" for tensor parallelism", 1),
    _gone("use_legacy_prediction_loop", bool, False, "4.57", "there is one prediction loop"),
)  # fmt: skip

_NATIVE = frozenset(entry.name for entry in dataclasses.fields(TrainingArguments))
DECLARED: dict[str, Spelling] = {row.name: row for row in SPELLINGS if row.name not in _NATIVE}
"""The rows that the installed transformers lacks. Rows it still has keep its own meaning, unwatched."""

WATCHED = frozenset(name for name, row in DECLARED.items() if row.move)
"""Older names that take effect when they are set after construction, too."""

MOVED = frozenset(name for name in WATCHED if not DECLARED[name].stays)
"""Older names that hold nothing once a config is built, because their value is in the modern argument."""

if TYPE_CHECKING:
    OlderSpellings = TrainingArguments
else:
    OlderSpellings = dataclasses.make_dataclass(
        "OlderSpellings",
        [
            (row.name, row.type, field(default=row.default, metadata={"help": row.help, **row.parsing}))
            for row in DECLARED.values()
        ],
        bases=(TrainingArguments,),
        namespace={"__module__": __name__, "__doc__": "TrainingArguments and the arguments it used to have."},
        repr=False,
    )

OPTIMIZERS = {"adamw_hf": "adamw_torch", "adamw_apex_fused": "adamw_torch_fused"}
"""Values of ``optim`` that are gone, and the one with the same update rule."""

_warned: set[str] = set()


def warn_once(key: str, message: str) -> None:
    """Warn about one argument, once in the life of the process however often a config is built or copied.

    Of the processes of one run, the first one speaks.
    """
    if key not in _warned and first_process():
        _warned.add(key)
        warnings.warn(message, SpellingWarning, stacklevel=_callers_depth())


def first_process() -> bool:
    """Whether this is the first process of a run, as its launcher numbers them."""
    return os.environ.get("RANK", "0") == "0"


def _callers_depth() -> int:
    """How many frames up the first line lies that is neither ours nor a dataclass's generated ``__init__``."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back and (
        frame.f_globals.get("__name__", "").startswith("orpo_compat.") or frame.f_code.co_filename == "<string>"
    ):
        depth, frame = depth + 1, frame.f_back
    return depth


def modernize(args: Any) -> None:
    """Carry every older spelling of ``args`` to the modern argument; called once, before transformers looks at them."""
    for name, row in DECLARED.items():
        value = vars(args).get(name)
        if value not in row.inert:
            carry(args, row, value)
        elif name in MOVED:
            vars(args)[name] = None
    optim = str(getattr(args.optim, "value", args.optim))
    modern = OPTIMIZERS.get(optim)
    if modern and optim not in {known.value for known in OptimizerNames}:
        warn_once(
            f"optim={optim}", f'optim="{optim}" is gone from transformers: using "{modern}", the same update rule'
        )
        args.optim = modern
    if args.report_to is None:
        args.report_to = "none"


def carry(args: Any, row: Spelling, value: object) -> None:
    """Apply one older argument: move its value, or keep it and say what will not happen."""
    if row.move is None:
        warn_once(row.name, f"{row.name}={value!r} is accepted and ignored: {row.consequence}")
        return
    row.move(args, value)
    vars(args)[row.name] = value if row.stays else None
    if row.last:
        shown = "..." if row.name.endswith("token") else repr(value)
        warn_once(row.name, f"{row.name}={shown} is the older spelling of {row.modern}; it has been translated")
