"""Builds the trainer of one run as the plan and the run's perturbation say, in a process made deterministic before.

Every release gets the settings it knows, under the spelling it knows; what it lacks is returned, not judged.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from .models import load_model, load_tokenizer, start_adapters
from .trainers import find_trainer, make_config


def determinism(spec: dict[str, Any]) -> None:
    """Make torch answer alike from run to run."""
    import torch

    torch.set_num_threads(spec["threads"])
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    # Filling fresh memory with NaN would also turn buffers that transformers leaves uninitialised into NaN.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def in_order(trainer: Any) -> None:
    """Make the trainer take the rows in the plan's order."""
    from torch.utils.data import SequentialSampler

    def sampler(dataset: Any = None, *args: Any, **kwargs: Any) -> Any:
        return SequentialSampler(dataset if dataset is not None else trainer.train_dataset)

    trainer._get_train_sampler = sampler


def construct(job: dict[str, Any], run: dict[str, Any], plan: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Build one run's trainer; return it with the settings it refused and the rows."""
    import transformers
    from datasets import Dataset

    spec = plan["spec"]
    trainer_class, config_class = find_trainer(job["trainer"])
    output = str(Path(job["out"], run["name"], "output"))  # one folder for all processes
    settings = dict(plan["settings"], output_dir=output, **run.get("settings", {}))
    for name in run.get("without", []):
        settings.pop(name, None)
    config, refused = make_config(config_class, settings)
    transformers.set_seed(spec["seed"])
    attention = "eager" if run.get("perturb") == "eager" else run.get("attention") or spec["attention"]
    model, tokenizer = load_model(plan["model_dir"], spec, attention), load_tokenizer(plan["tokenizer_dir"])
    rows = json.loads(Path(plan["rows_file"]).read_text(encoding="utf-8"))
    parameters = inspect.signature(trainer_class.__init__).parameters
    kwargs = {"processing_class" if "processing_class" in parameters else "tokenizer": tokenizer}
    if spec["lora"]:
        from peft import LoraConfig

        kwargs["peft_config"] = LoraConfig(**spec["lora"])
    if rows["eval"]:
        kwargs["eval_dataset"] = Dataset.from_list(rows["eval"])
    trainer = trainer_class(model=model, args=config, train_dataset=Dataset.from_list(rows["train"]), **kwargs)
    if spec["lora"]:
        start_adapters(trainer.model, spec["seed"])
    in_order(trainer)
    return trainer, refused, rows
