"""Finds the trainer under test wherever its release keeps it, and builds its config from what that release knows."""

from __future__ import annotations

import importlib
import inspect
import os
from typing import Any


def find_trainer(wanted: str) -> tuple[Any, Any]:
    """Import the trainer and its config class: ``"trl"`` wherever that release keeps it, or ``"module:Class"``."""
    if wanted != "trl":
        module_name, class_name = wanted.split(":")
        module = importlib.import_module(module_name)
        trainer = getattr(module, class_name)
        config = getattr(module, class_name.replace("Trainer", "Config"))
        return trainer, config
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    problems = []
    for name in ("trl.experimental.orpo", "trl.trainer.orpo_trainer", "trl"):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            problems.append(f"{name}: {error}")
            continue
        if hasattr(module, "ORPOTrainer"):
            config = getattr(module, "ORPOConfig", None)
            return module.ORPOTrainer, config or importlib.import_module("trl").ORPOConfig
    raise ModuleNotFoundError("no ORPOTrainer in this TRL; tried " + "; ".join(problems))


ALIASES = {
    "eval_strategy": ("evaluation_strategy",),
    "use_cpu": ("no_cuda",),
    "warmup_ratio": ("warmup_steps",),
    "lr_scheduler_kwargs": (),
}


def make_config(config_class: Any, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Build the config from the settings this release knows; return it with what it refused."""
    parameters = inspect.signature(config_class.__init__).parameters
    accepted, refused = {}, {}
    for name, value in settings.items():
        spelling = next((s for s in (name,) + ALIASES.get(name, ()) if s in parameters), None)
        if spelling is None:
            refused[name] = value
        else:
            accepted[spelling] = value
    return config_class(**accepted), refused
