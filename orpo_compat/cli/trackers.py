"""Which experiment trackers a run may report to, checked before a model is loaded for it."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from typing import Any

from orpo_compat.errors import ConfigError

PACKAGES: dict[str, tuple[str, ...]] = {
    "wandb": ("wandb",), "tensorboard": ("tensorboard", "tensorboardX"), "comet_ml": ("comet_ml",),
    "mlflow": ("mlflow",), "trackio": ("trackio",), "swanlab": ("swanlab",), "clearml": ("clearml",),
    "codecarbon": ("codecarbon",), "dagshub": ("dagshub",), "dvclive": ("dvclive",), "flyte": ("flytekit",),
}  # fmt: skip
"""Names transformers knows, and the packages of which one is needed."""
_ALSO = {"comet": "comet_ml", "wb": "wandb", "tb": "tensorboard"}


def trackers(asked: Any) -> list[str]:
    """The trackers by transformers' names; ``none`` is no tracker, ``all`` those that are installed.

    Args:
        asked: names, as a list or with commas.

    Raises:
        ConfigError: a name that is no tracker, or a tracker that is not installed.
    """
    names = asked.split(",") if isinstance(asked, str) else list(asked or [])
    names = [_ALSO.get(name.strip().lower(), name.strip().lower()) for name in names]
    if names in (["none"], [""], []):
        return []
    if "all" in names:
        return [name for name in PACKAGES if _installed(name)]
    for name in names:
        if name not in PACKAGES:
            near = difflib.get_close_matches(name, [*PACKAGES, "none"], n=1)
            hint = f"did you mean {near[0]}?" if near else f"give none, or some of {', '.join(PACKAGES)}."
            raise ConfigError(f"--report-to {name}: no such tracker.\n  Next: {hint}")
        if not _installed(name):
            raise ConfigError(
                f"--report-to {name} needs the package {PACKAGES[name][0]}, which is not installed.\n"
                f"  Next: pip install {PACKAGES[name][0]}, or --report-to none; metrics.jsonl has every log too."
            )
    return names


def _installed(name: str) -> bool:
    return any(find_spec(package) is not None for package in PACKAGES[name])
