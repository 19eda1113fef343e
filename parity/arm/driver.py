"""The arm's main function: imports what it trains, says what it is, and runs what the job asks for, one by one."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import os
import platform
import sys
import traceback
from pathlib import Path
from typing import Any

from .digests import file_digest, folder_digest
from .events import Events
from .launch import end_with_parent, leave_group, own_folder
from .one_run import run_once
from .phases import phase
from .trainers import find_trainer


def versions() -> dict[str, Any]:
    """Return the versions of Python and of what the numbers depend on; None for what is not installed."""
    from importlib import metadata

    found: dict[str, Any] = {"python": platform.python_version()}
    names = ("trl", "orpo-compat", "transformers", "torch", "accelerate", "peft", "datasets", "tokenizers", "numpy")
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def import_phase(events: Events, job: dict[str, Any]) -> None:
    """Import the trainer, measured apart from torch and transformers, and say what this arm is."""
    with phase(events, "torch"):
        importlib.import_module("torch")
        importlib.import_module("transformers")
    with phase(events, "import"):
        importlib.import_module("transformers.trainer")
        datasets = importlib.import_module("datasets")
        trainer_class, config_class = find_trainer(job["trainer"])
    datasets.disable_progress_bars()
    source = inspect.getsourcefile(trainer_class) or ""
    events.write(
        "arm",
        arm=job["arm"],
        executable=sys.executable,
        versions=versions(),
        trainer=f"{trainer_class.__module__}:{trainer_class.__name__}",
        trainer_file=source,
        trainer_digest=file_digest(Path(source)),
        config_fields=sorted(field.name for field in dataclasses.fields(config_class)),
        driver_digest=folder_digest(Path(__file__).parent),
        platform=platform.platform(),
        cpus=os.cpu_count(),
    )


def main(argv: list[str]) -> int:
    """Do the job in the file that ``argv`` names; return 1 if it failed, having said why."""
    job = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    end_with_parent(job.get("starter") or os.getppid())
    # Behind the standard library, ahead of what is installed: the trainer under test is the caller's own.
    first_installed = next((i for i, entry in enumerate(sys.path) if "site-packages" in entry), len(sys.path))
    sys.path[first_installed:first_installed] = [entry for entry in job.get("path", []) if entry not in sys.path]
    folder = own_folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    events = Events(folder / "arm.jsonl")
    try:
        import_phase(events, job)
        for run in job["runs"]:
            plan = json.loads(Path(run.get("plan") or job["plan"]).read_text(encoding="utf-8"))
            try:
                run_once(job, run, plan)
            except Exception as error:
                if not run.get("optional"):
                    raise
                events.write("skipped", run=run["name"], reason=f"{type(error).__name__}: {error}")
        leave_group()
        events.write("done")
    except Exception as error:
        events.write("failed", error=type(error).__name__, message=str(error), traceback=traceback.format_exc())
        traceback.print_exc()
        return 1
    return 0
