"""The two points of the checklist that reach out of the process: W&B, offline, and the hub, against a local stand-in.

They run our arm once more each, in a fresh process, after everything that is judged. Nothing leaves this machine.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from parity.errors import ArmFailed
from parity.hub_stand_in import hub_stand_in
from parity.process import Job, run_arm
from parity.run import Request, package_folder

_LOGGED = ("rewards/margins", "nll_loss", "log_odds_chosen")
"""Metrics of which each must be in what a tracker wrote."""


def _job(request: Request, name: str, run: dict[str, Any], environment: dict[str, str]) -> Job:
    return Job(
        "ours",
        Path(sys.executable),
        request.ours,
        request.folder / "plan" / "plan.json",
        request.folder / "extras" / name,
        [{"name": name, "trace": False, "save": False, **run}],
        request.spec.threads,
        path=[str(package_folder())],
        environment=environment,
    )


def measure_wandb(request: Request) -> dict[str, Any]:
    """Train with W&B switched on and offline, and look for the run it leaves; without W&B the same with TensorBoard."""
    if importlib.util.find_spec("wandb") is None:
        return {"ours": None, "said": f"wandb is not installed here{_tensorboard_instead(request)}"}
    folder = request.folder / "extras" / "wandb"
    environment = {"WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_DISABLED": "false", "WANDB_SILENT": "true"}
    try:
        run_arm(_job(request, "wandb", {"settings": {"report_to": ["wandb"]}}, environment), silence=request.silence)
    except ArmFailed as error:
        return {"ours": False, "said": str(error).splitlines()[0]}
    files = [path for path in folder.glob("**/offline-run-*/*.wandb") if path.stat().st_size]
    found = [name for name in _LOGGED if any(name.encode() in path.read_bytes() for path in files)]
    said = (
        f"{len(files)} offline run left behind, with {', '.join(found) or 'none'} of {len(_LOGGED)} metrics looked for"
    )
    return {"ours": bool(files) and len(found) == len(_LOGGED), "said": said}


def _tensorboard_instead(request: Request) -> str:
    """Return what logging to TensorBoard left behind, where that is installed; it takes the same way out."""
    if importlib.util.find_spec("tensorboard") is None:
        return ""
    try:
        folder = run_arm(_job(request, "tensorboard", {"settings": {"report_to": ["tensorboard"]}}, {}))
    except ArmFailed as error:
        return f"; TensorBoard: {str(error).splitlines()[0]}"
    written = sum(path.stat().st_size for path in folder.glob("**/events.out.tfevents*"))
    return f"; TensorBoard was given {written} bytes of events"


def measure_hub(request: Request) -> dict[str, Any]:
    """Train and push to a stand-in, and look at what it was given."""
    with hub_stand_in() as hub:
        environment = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HUB_OFFLINE": "0",
            "TRANSFORMERS_OFFLINE": "0",
            "HF_TOKEN": "hf_stand_in",
        }
        settings = {"hub_model_id": "someone/parity", "hub_token": "hf_stand_in"}
        try:
            run_arm(_job(request, "hub", {"settings": settings, "push": True}, environment), silence=request.silence)
        except ArmFailed as error:
            return {"ours": False, "said": " ".join(str(error).splitlines()[:3])}
        files = sorted(set(hub.committed))
    whole = any(name.endswith(".safetensors") for name in files) and "README.md" in files
    return {"ours": whole, "said": f"a local stand-in was given {', '.join(files) or 'nothing'}"}


def measure_extras(request: Request) -> dict[str, Any]:
    """Measure both points with our arm."""
    return {"wandb": measure_wandb(request), "hub": measure_hub(request)}
