"""What the model answers at each evaluation (``generate_during_eval``): a few prompts, sampled, written down.

The rows always go to ``generations.jsonl`` in the output folder; no tracker is needed. Those in ``report_to`` that can
show a table (Weights & Biases, Comet, TensorBoard) get it too. Prompts and sampling noise are drawn from the run's
seed, apart from the generators that training uses: the answers of two evaluations differ by the weights alone, and a
run trains the same with this on or off.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from orpo_compat.construction import text_tokenizer

logger = logging.getLogger(__name__)

FILE = "generations.jsonl"
TABLE = "game_log"
"""The name under which TRL logs its table; dashboards made for TRL find ours."""

COLUMNS = ("Step", "Prompt", "Policy", "Chosen", "Rejected")


@dataclass(frozen=True)
class Sample:
    """One answer. ``chosen`` and ``rejected`` are empty where the rows came as token ids."""

    step: int
    epoch: float
    evaluation: str
    prompt: str
    response: str
    chosen: str = ""
    rejected: str = ""

    def cells(self) -> list[str | int]:
        """The sample as a row of a table with ``COLUMNS``."""
        return [self.step, self.prompt, self.response, self.chosen, self.rejected]


def write_samples(trainer: Any, dataset: Any, evaluation: str) -> list[Sample]:
    """Let the model answer a few prompts, append the answers to the file and show them to the trackers.

    Every process generates, so that sharded weights are gathered in step; the first one writes.

    Args:
        trainer: an ``ORPOTrainer``; its ``generate_from_model`` hook generates.
        dataset: the tokenized rows that are about to be evaluated.
        evaluation: the metrics' prefix, which tells the datasets of one evaluation apart.

    Returns:
        The samples, one per prompt, at most one evaluation batch of them.
    """
    rows = choose_rows(dataset, trainer.args.eval_batch_size, trainer.args.seed)
    batch = trainer.data_collator(rows) if rows else {}
    if "prompt_input_ids" not in batch:
        logger.warning("no prompts to generate from in %s: the batch has no prompt_input_ids", evaluation)
        return []
    model = trainer.accelerator.unwrap_model(trainer.model)
    with evaluating(model), own_noise(trainer.args.seed, trainer.args.device), root_gathered(trainer.model):
        texts = trainer.generate_from_model(model, trainer._prepare_inputs(batch))
    samples = read_samples(trainer, batch, texts, evaluation)
    if trainer.is_world_process_zero():
        append(samples, Path(trainer.args.output_dir) / FILE)
        for tracker in trainer.args.report_to:
            if tracker in TRACKERS:
                TRACKERS[tracker](samples, trainer)
    return samples


def choose_rows(dataset: Any, count: int, seed: int) -> list[Any]:
    """Up to ``count`` rows: by the seed from a dataset with a length, the first ones of a stream."""
    if not hasattr(dataset, "__len__"):
        return list(islice(iter(dataset), count))
    places = random.Random(seed).sample(range(len(dataset)), min(count, len(dataset)))
    return [dataset[place] for place in places]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and back into what it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def root_gathered(model: nn.Module) -> Iterator[None]:
    """Hold together what FSDP1 keeps at its root (embeddings, head): generating goes past the wrapper's forward.

    Layers gather themselves, and so does all of FSDP2 and ZeRO-3.
    """
    from torch.distributed.fsdp import FullyShardedDataParallel

    if isinstance(model, FullyShardedDataParallel):
        with FullyShardedDataParallel.summon_full_params(model, recurse=False, writeback=False):
            yield
    else:
        yield


@contextmanager
def own_noise(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from generators seeded afresh, and leave those of the run where they were."""
    elsewhere = device.type if device.type != "cpu" else "cuda"
    devices = [] if device.type == "cpu" else [device.index or 0]
    with torch.random.fork_rng(devices=devices, device_type=elsewhere):
        torch.manual_seed(seed)
        yield


def read_samples(trainer: Any, batch: Mapping[str, Any], texts: Sequence[str], evaluation: str) -> list[Sample]:
    """Take each text apart into its prompt and the response. An encoder-decoder's text is the response alone."""
    decoded = text_tokenizer(trainer.processing_class).batch_decode(batch["prompt_input_ids"], skip_special_tokens=True)
    prompts = batch.get("prompt", decoded)
    sides = {side: batch.get(side, [""] * len(texts)) for side in ("chosen", "rejected")}
    return [
        Sample(
            step=int(trainer.state.global_step),
            epoch=round(float(trainer.state.epoch or 0.0), 4),
            evaluation=evaluation,
            prompt=str(prompts[index]),
            response=text.removeprefix(decoded[index]),
            chosen=str(sides["chosen"][index]),
            rejected=str(sides["rejected"][index]),
        )
        for index, text in enumerate(texts)
    ]


def append(samples: Sequence[Sample], file: Path) -> None:
    """Add one JSON object per sample to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8", newline="\n") as opened:
        opened.writelines(json.dumps(vars(sample), ensure_ascii=False) + "\n" for sample in samples)


def to_wandb(samples: Sequence[Sample], trainer: Any) -> None:
    """Log a table to the run that transformers' callback has started, online or offline."""
    import wandb

    if wandb.run is not None:
        table = wandb.Table(columns=list(COLUMNS), data=[sample.cells() for sample in samples])
        wandb.log({TABLE: table, "train/global_step": trainer.state.global_step})


def to_comet(samples: Sequence[Sample], trainer: Any) -> None:
    """Log a table to the running Comet experiment."""
    import comet_ml

    experiment = comet_ml.get_running_experiment()
    if experiment is not None:
        rows = [sample.cells() for sample in samples]
        experiment.log_table(f"{TABLE}.csv", tabular_data=rows, headers=list(COLUMNS))


def to_tensorboard(samples: Sequence[Sample], trainer: Any) -> None:
    """Write a Markdown table to the event file that transformers' callback has opened."""
    for callback in trainer.callback_handler.callbacks:
        writer = getattr(callback, "tb_writer", None)
        if writer is not None:
            writer.add_text(TABLE, markdown(samples), trainer.state.global_step)


def markdown(samples: Sequence[Sample]) -> str:
    """The samples as a Markdown table."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(sample.cells() for sample in samples)]
    cells = [[str(cell).replace("|", "\\|").replace("\n", "<br>") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


TRACKERS: dict[str, Callable[[Sequence[Sample], Any], None]] = {
    "wandb": to_wandb,
    "comet_ml": to_comet,
    "tensorboard": to_tensorboard,
}
