"""`orpo-compat plan`: whether a model fits on so many GPUs, how long it takes, and the launch that is best for it.

An estimate from formulas (docs/scale.md); nothing is trained and no weight is read. Exits 3 if it does not fit.
"""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from orpo_compat.cli.console import reported_errors, say, stop
from orpo_compat.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from orpo_compat.planning.lengths import PairShape
    from orpo_compat.planning.recommend import Arrangement, Task


class Dtype(str, Enum):
    """How weights and products are held; the names of ``orpo_compat.planning.memory.Precision``."""

    BF16 = "bf16"
    MIXED = "mixed"
    FP32 = "fp32"


class Optimizer(str, Enum):
    """What an optimizer keeps; the names of ``orpo_compat.planning.memory.OPTIMIZERS``."""

    ADAMW = "adamw"
    ADAMW_8BIT = "adamw-8bit"
    ADAFACTOR = "adafactor"
    SGD = "sgd"


def plan(
    model: Annotated[str, typer.Option(help="A size (135M to 70B), a folder, an alias, or a hub name.")],
    gpus: Annotated[int, typer.Option(help="How many.")] = 1,
    gpu: Annotated[str, typer.Option(help="h100, h200, a100-80, a100-40, l40s, 4090, or custom.")] = "h100",
    gpu_memory: Annotated[float | None, typer.Option(help="GiB, instead of that card's.")] = None,
    gpu_tflops: Annotated[float | None, typer.Option(help="Dense bf16 peak, instead of that card's.")] = None,
    length: Annotated[int, typer.Option(help="max_length: tokens of a prompt with a response.")] = 1024,
    filled: Annotated[bool, typer.Option("--filled", help="Every pair fills the length, half of it prompt.")] = False,
    data: Annotated[str | None, typer.Option(help="Preference file to read real lengths from.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="What measures --data; unset: the model's own.")] = None,
    pairs: Annotated[int | None, typer.Option(help="Pairs to train on; unset: the file's, or 60000.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs of an update, all GPUs; unset: 64, or one per GPU.")] = None,
    lora_r: Annotated[int | None, typer.Option(help="Train a LoRA adapter of this rank instead.")] = None,
    load_in_4bit: Annotated[bool, typer.Option("--load-in-4bit", help="The base in 4 bits; with --lora-r.")] = False,
    optim: Annotated[Optimizer, typer.Option(help="What the optimizer keeps.")] = Optimizer.ADAMW,
    dtype: Annotated[
        Dtype, typer.Option(help="mixed: float32 weights under bf16 autocast, as `train` loads them.")
    ] = Dtype.MIXED,
    gradient_checkpointing: Annotated[
        bool | None,
        typer.Option("--gradient-checkpointing/--no-gradient-checkpointing", help="Unset: whichever is faster."),
    ] = None,
    mfu: Annotated[float, typer.Option(help="Share of the peak rate that runs reach; an assumption.")] = 0.35,
    write: Annotated[Path | None, typer.Option(help="Write the accelerate configuration here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the estimate as JSON on stdout.")] = False,
) -> None:
    """Estimate memory and time on given GPUs, and recommend how to launch.

    Exits 3 if the model does not fit; nothing is trained and no weight is read.

    Example: orpo-compat plan --model 8B --gpus 8 --length 2048 --write accelerate.yaml
    """
    with reported_errors():
        from orpo_compat.planning.hardware import find_gpu
        from orpo_compat.planning.memory import Setup
        from orpo_compat.planning.models import find_shape
        from orpo_compat.planning.recommend import Task
        from orpo_compat.planning.timing import Assumptions

        _check(mfu=mfu, lora_r=lora_r, load_in_4bit=load_in_4bit, pairs=pairs)
        sample = _lengths(data, tokenizer or model, length, filled)
        task = Task(
            shape=find_shape(model),
            gpu=find_gpu(gpu, gpu_memory, gpu_tflops),
            gpus=gpus,
            pairs=sample,
            batch=max(64, gpus) if batch is None else batch,
            setup=Setup(precision=dtype.value, optimizer=optim.value, rank=lora_r, four_bit=load_in_4bit),
            recompute=gradient_checkpointing,
            assume=Assumptions(mfu=mfu),
        )
        _answer(task, pairs or (len(sample) if data else 60_000), write, as_json)


def _check(*, mfu: float, lora_r: int | None, load_in_4bit: bool, pairs: int | None) -> None:
    from orpo_compat.errors import PlanError

    if load_in_4bit and lora_r is None:
        raise PlanError("--load-in-4bit trains an adapter on a frozen base.\n  Next: add --lora-r 16.")
    if not 0 < mfu <= 1:
        raise PlanError(f"--mfu is a share of the peak, above 0 and at most 1; got {mfu}")
    if min(1 if lora_r is None else lora_r, 1 if pairs is None else pairs) < 1:
        raise PlanError("--lora-r and --pairs must be at least 1")


def _answer(task: Task, num_pairs: int, write: Path | None, as_json: bool) -> NoReturn:
    """Plan, write the file, print, and leave with the exit code that fits."""
    from orpo_compat.planning.recommend import best_arrangement, remedies
    from orpo_compat.planning.summary import Estimate, summarize

    ours = best_arrangement(task)
    estimate = Estimate(
        task=task,
        ours=ours,
        theirs=best_arrangement(task, "theirs"),
        num_pairs=num_pairs,
        remedies=() if ours.fits else tuple(remedies(task)),
    )
    if write is not None:
        _write(write, ours)
    if as_json:
        typer.echo(json.dumps(summarize(estimate), indent=2))
    else:
        from orpo_compat.cli.plan_table import show

        show(estimate)
    raise typer.Exit(int(ExitCode.DONE if ours.fits else ExitCode.FINDINGS))


def _lengths(data: str | None, tokenizer: str, length: int, filled: bool) -> list[PairShape]:
    from orpo_compat.planning.lengths import filled_pairs, typical_pairs

    if data is None:
        return filled_pairs(length) if filled else typical_pairs(length)
    return read_lengths(data, tokenizer, length)


def read_lengths(data: str, tokenizer: str, length: int) -> list[PairShape]:
    """Tokenize a preference file as training would, and measure its pairs."""
    from orpo_compat.cli.train_data import read_pairs
    from orpo_compat.cli.train_settings import TrainSettings
    from orpo_compat.errors import DataError
    from orpo_compat.measuring import tokenized
    from orpo_compat.models import load_tokenizer
    from orpo_compat.packing import common_prefix
    from orpo_compat.planning.lengths import PairShape
    from orpo_compat.tokenization import TokenizationRules

    _, found = read_pairs(TrainSettings(), data, None)
    if not found.rows:
        raise DataError(f"{data} holds no pairs.\n  Next: look at it with `orpo-compat data inspect {data}`.")
    columns = tokenized(found.rows, load_tokenizer(tokenizer), TokenizationRules(max_length=length))
    shapes = []
    for chosen, rejected in zip(columns["chosen_input_ids"], columns["rejected_input_ids"], strict=True):
        shared = common_prefix(chosen, rejected)
        shapes.append(PairShape(shared, len(chosen) - shared, len(rejected) - shared))
    return shapes


def _write(path: Path, arrangement: Arrangement) -> None:
    from orpo_compat.planning.launch import accelerate_yaml

    if not arrangement.fits:
        say(f"{path} was not written: nothing fits")
        return
    text = accelerate_yaml(arrangement)
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
        stop(ExitCode.REFUSED, f"error: {path} exists and says something else; nothing was written.\n"
             "  Next: name another file, or move that one away.")  # fmt: skip
    path.write_text(text, encoding="utf-8", newline="\n")
    say(f"wrote {path}: accelerate launch --config_file {path} ...")
