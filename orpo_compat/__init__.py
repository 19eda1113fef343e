"""ORPO training with TRL's API and numbers, without TRL.

The names below are imported on first use, so that ``import orpo_compat`` (and the command line, which needs
neither torch nor transformers to answer ``--help``) stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orpo_compat.collator import PreferenceCollator as PreferenceCollator
    from orpo_compat.config import ORPOConfig as ORPOConfig
    from orpo_compat.convenience import create_orpo_trainer as create_orpo_trainer
    from orpo_compat.trainer import ORPOTrainer as MerlinaORPOTrainer
    from orpo_compat.trainer import ORPOTrainer as ORPOTrainer

__version__ = "0.1.0"

_HOMES = {
    "MerlinaORPOTrainer": ("orpo_compat.trainer", "ORPOTrainer"),
    "ORPOConfig": ("orpo_compat.config", "ORPOConfig"),
    "ORPOTrainer": ("orpo_compat.trainer", "ORPOTrainer"),
    "PreferenceCollator": ("orpo_compat.collator", "PreferenceCollator"),
    "create_orpo_trainer": ("orpo_compat.convenience", "create_orpo_trainer"),
}

__all__ = [
    "MerlinaORPOTrainer",
    "ORPOConfig",
    "ORPOTrainer",
    "PreferenceCollator",
    "__version__",
    "create_orpo_trainer",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home module on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'orpo_compat' has no attribute {name!r}; it offers {', '.join(__all__)}")
    module, attribute = home
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
