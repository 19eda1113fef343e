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
    from orpo_compat.trainer import ORPOTrainer as ORPOTrainer

__version__ = "0.1.0"

_HOMES = {
    "ORPOConfig": "orpo_compat.config",
    "ORPOTrainer": "orpo_compat.trainer",
    "PreferenceCollator": "orpo_compat.collator",
}

__all__ = ["ORPOConfig", "ORPOTrainer", "PreferenceCollator", "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name from its home module on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'orpo_compat' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
