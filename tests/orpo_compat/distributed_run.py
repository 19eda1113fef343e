"""One short run under a launcher; every rank writes what it logged and rank 0 the final weights.

python -m torch.distributed.run --nproc-per-node 2 -m tests.orpo_compat.distributed_run ARM FOLDER '{"settings": 1}'

Besides ORPOConfig's arguments the settings may hold: `rows` (how many, or which), `long` (which of them get a prompt
beyond any max_length), `evaluate` (on how many rows), `count`, `model` (LlamaConfig overrides), `lora`, `sharded` (FSDP
on CPUs, see `choose_fsdp`), `broken` (a token whose embedding is NaN), `resume`, `die` ([rank, step, how]) and `save`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback

from tests.conftest import PAIRS, make_tokenizer, tiny_llama
from tests.orpo_compat import runs


class Collectives:
    """Counts the collectives called while it is in force."""

    NAMES = ("all_reduce", "all_gather", "all_gather_into_tensor", "all_gather_object", "broadcast", "barrier")

    def __init__(self) -> None:
        self.calls: list[str] = []

    def watch(self) -> None:
        import torch.distributed as dist

        for name in self.NAMES:
            original = getattr(dist, name)

            def counted(*args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
                self.calls.append(_name)
                return _original(*args, **kwargs)

            setattr(dist, name, counted)


class Death(TrainerCallback):
    """Ends one rank at the beginning of a step: by an exception, or as the kernel would."""

    def __init__(self, rank: int, step: int, how: str) -> None:
        self.rank, self.step, self.how = rank, step, how

    def on_step_begin(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        if (args.process_index, state.global_step) == (self.rank, self.step):
            if self.how == "raise":
                raise ValueError(f"rank {self.rank} found something wrong")
            os.kill(os.getpid(), signal.SIGKILL)


def choose_fsdp() -> None:
    """Let accelerate shard on CPUs: it does so on accelerators only, and falls back to DDP here.

    The engine and its collectives are torch's own. FSDP1 asks for a device with no index besides.
    """
    from accelerate import PartialState
    from accelerate.utils import DistributedType
    from torch.distributed.fsdp import FullyShardedDataParallel

    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    whole = FullyShardedDataParallel.__init__

    def on_cpu(self: Any, *args: Any, **kwargs: Any) -> None:
        whole(self, *args, **{**kwargs, "device_id": torch.device("cpu")})

    setattr(FullyShardedDataParallel, "__init__", on_cpu)  # noqa: B010


def choose_rows(which: Any, long: list[int]) -> Dataset:
    places = list(range(which)) if isinstance(which, int) else which
    table = {key: [values[place] for place in places] for key, values in PAIRS.items()}
    for place in long:
        table["prompt"][place] = "Why do birds sing? " * 40
    return Dataset.from_dict(table)


def whole_weights(trainer: Any) -> dict[str, torch.Tensor]:
    """The weights as one process would have them; a collective where they are sharded."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    if isinstance(trainer.model, FullyShardedDataParallel):
        with FullyShardedDataParallel.summon_full_params(trainer.model, writeback=False):
            bare = trainer.accelerator.unwrap_model(trainer.model)
            named = {name.replace("_fsdp_wrapped_module.", ""): p for name, p in bare.named_parameters()}
            return {name: parameter.detach().clone() for name, parameter in named.items()}
    if trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        # ZeRO-3 gathers on the first rank alone.
        return dict(trainer.accelerator.get_state_dict(trainer.model_wrapped) or {})
    return dict(trainer.accelerator.unwrap_model(trainer.model).state_dict())


def build(arm: str, folder: Path, settings: dict[str, Any]) -> tuple[Any, runs.Recorder]:
    """Make the trainer that the settings describe; removes from them what is not ORPOConfig's."""
    data = choose_rows(settings.pop("rows", 8), settings.pop("long", []))
    model = tiny_llama(**settings.pop("model", {}))
    tokenizer = make_tokenizer()
    if (broken := settings.pop("broken", None)) is not None:
        with torch.no_grad():
            model.get_input_embeddings().weight[tokenizer(broken)["input_ids"][-1]] = torch.nan
    evaluated = settings.pop("evaluate", 0)
    extra: dict[str, Any] = {"eval_dataset": data.select(range(evaluated))} if evaluated else {}
    if settings.pop("lora", False):
        from peft import LoraConfig

        extra["peft_config"] = LoraConfig(
            r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False
        )
    death, sharded = settings.pop("die", None), settings.pop("sharded", False)
    recorder = runs.Recorder(with_grads=False)
    config_class, trainer_class = runs.classes(arm)
    config = config_class(output_dir=str(folder / arm), **{**runs.SETTINGS, **settings})
    if sharded:
        choose_fsdp()
    callbacks = [recorder, *([Death(*death)] if death else [])]
    trainer = trainer_class(
        model=model, args=config, train_dataset=data, processing_class=tokenizer, callbacks=callbacks, **extra
    )
    return trainer, recorder


def run_rank(arm: str, folder: Path, settings: dict[str, Any]) -> None:
    """Do this process's part of a run."""
    collectives = Collectives()
    if settings.pop("count", False):
        collectives.watch()
    resume, save = settings.pop("resume", None), settings.pop("save", False)
    trainer, recorder = build(arm, folder, settings)
    trainer.train(resume_from_checkpoint=resume)
    weights = whole_weights(trainer)
    if save:
        trainer.save_model(str(folder / "model"))
    record = {
        "logs": recorder.logs,
        "collectives": collectives.calls,
        "path": getattr(trainer, "active_path", "padded"),
        "engine": str(trainer.accelerator.distributed_type),
        "model": type(trainer.model).__name__,
        "dtypes": sorted({str(weight.dtype) for weight in weights.values()}),
    }
    (folder / f"rank-{trainer.args.process_index}.json").write_text(json.dumps(record))
    if trainer.args.process_index == 0:
        torch.save({name: weight.detach().clone() for name, weight in weights.items()}, folder / "weights.pt")


def main() -> None:
    arm, folder, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    run_rank(arm, folder, settings)
    if torch.distributed.is_initialized():
        # Left to the interpreter's end, gloo's threads now and then abort a process whose work is done.
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
