"""One run from its plan to its last event: built, perturbed or planted where asked, watched, saved and read back."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from .batches import scalars
from .construct import construct, determinism
from .digests import digest_of, token_digests
from .events import Events
from .launch import own_folder, rank
from .marks import copier, make_callback
from .names import fuse_experts, fused_name, plain_name
from .perturbations import nudge, row_by_row, split_forward
from .phases import phase
from .step_notes import StepNotes
from .watch import Watch

FORMAT = 1


def run_once(job: dict[str, Any], run: dict[str, Any], plan: dict[str, Any]) -> None:
    """Run one of the job's runs and write its events to a folder of its name."""
    folder = own_folder(job) / run["name"]
    folder.mkdir(parents=True, exist_ok=True)
    events = Events(folder / "events.jsonl")
    events.write("run", run=run, format=FORMAT, spec=plan["spec_digest"])
    determinism(plan["spec"])
    with phase(events, "model"):
        trainer, refused, rows = construct(job, run, plan)
    if run.get("perturb") == "nudge":
        events.write("nudged", weight=nudge(trainer.model))
    if run.get("perturb") in ("split", "rows"):
        (split_forward if run["perturb"] == "split" else row_by_row)(trainer.model)
    start_event(events, trainer, refused, plan, rows)
    if run.get("plant"):
        plant(job, run, trainer)
    watch = Watch(trainer, events, StepNotes(trainer, folder, plan["sample_limit"]), run.get("trace", True))
    resync = copier(run["resync"]) if run.get("resync") else None
    trainer.add_callback(make_callback(watch, resync, run.get("perturb") == "jitter"))
    with phase(events, "train"):
        trainer.train()
    if rows["eval"] and run.get("trace", True):
        with phase(events, "evaluate"):
            found = trainer.evaluate()
        events.write("eval", metrics=scalars(found))
    finish(events, trainer, folder, run)
    if run.get("push"):
        trainer.push_to_hub()
    events.close()


def start_event(events: Events, trainer: Any, refused: dict[str, Any], plan: dict[str, Any], rows: Any) -> None:
    """Write what both arms must share before the first step."""
    named = [(plain_name(name), parameter) for name, parameter in trainer.model.named_parameters()]
    args, model = trainer.args, trainer.model
    effective = {name: getattr(args, name, None) for name in sorted(plan["settings"])}
    events.write(
        "start",
        plan=plan["digest"],
        rows=hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest(),
        weights=digest_of(fuse_experts(named)),
        trainable=sorted({fused_name(name) for name, parameter in named if parameter.requires_grad}),
        num_parameters=sum(parameter.numel() for _, parameter in named),
        dtype=str(named[0][1].dtype),
        device=str(args.device),
        attention=str(getattr(model.config, "_attn_implementation", "")),
        effective=effective,
        refused=refused,
        tokens={"train": token_digests(trainer.train_dataset)},
    )


def plant(job: dict[str, Any], run: dict[str, Any], trainer: Any) -> None:
    """Plant a named bug into this trainer; only the self-test asks for it."""
    path = job["mutants"]
    loaded = importlib.util.spec_from_file_location("planted_mutants", path)
    assert loaded is not None
    assert loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    sys.modules["planted_mutants"] = module
    loaded.loader.exec_module(module)
    module.PLANTS[run["plant"]](trainer)


def same_weights(named: list[tuple[str, Any]], saved: dict[str, Any]) -> bool:
    """Whether every saved tensor equals the one in memory; an adapter is saved without its name in its keys."""
    import torch

    held = {name.replace(".default.", "."): parameter.detach().cpu() for name, parameter in named}
    known = {name: tensor for name, tensor in saved.items() if name in held}
    return bool(known) and all(torch.equal(tensor, held[name]) for name, tensor in known.items())


def finish(events: Events, trainer: Any, folder: Path, run: dict[str, Any]) -> None:
    """Write the end: the digest of the weights in memory and of those that were saved and read back."""
    named = [(plain_name(name), parameter) for name, parameter in trainer.model.named_parameters()]
    content: dict[str, Any] = {"weights": digest_of(fuse_experts(named))}
    if run.get("save", True) and rank() == 0:
        from safetensors import safe_open

        saved = folder / "saved"
        trainer.save_model(str(saved))
        tensors = {}
        for path in sorted(saved.glob("*.safetensors")):
            with safe_open(str(path), framework="pt") as file:
                for key in file.keys():  # noqa: SIM118
                    tensors[key] = file.get_tensor(key)
        content["saved"] = digest_of(tensors.items())
        content["saved_tensors"] = len(tensors)
        content["saved_matches"] = same_weights(named, tensors)
        for path in saved.iterdir():
            path.unlink()
        saved.rmdir()
    events.write("end", **content)
