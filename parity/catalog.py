"""Which model a name means: an embedded one, a known architecture, a hub name or a folder.

The JSON files beside this module are architecture facts in transformers' 4.x spelling, which every release since reads.
This module knows no weights; ``plan`` loads or draws them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orpo_compat.models import ALIASES
from parity.errors import SpecError

MODELS = Path(__file__).parent / "models"

EMBEDDED = ("tiny", "tiny-moe", "tiny-t5")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model may come from; at least one of the three is set."""

    name: str
    hub_name: str | None = None
    folder: Path | None = None
    config: Path | None = None
    """The bundled architecture, for the same model with random weights."""

    @property
    def embedded(self) -> bool:
        """Whether the model exists only here, drawn at random from a bundled config."""
        return self.hub_name is None and self.folder is None

    def read_config(self) -> dict[str, Any]:
        """Return the bundled architecture."""
        if self.config is None:
            raise SpecError(f"no architecture is bundled for {self.name!r}; known are {', '.join(known_models())}")
        loaded: dict[str, Any] = json.loads(self.config.read_text(encoding="utf-8"))
        return loaded


def known_models() -> list[str]:
    """Return the names that work without a network."""
    return sorted(path.stem for path in MODELS.glob("*.json") if path.stem != "tokenizer")


def find_model(name: str) -> ModelSource:
    """Resolve a name as typed: folder, embedded model, alias, full hub name.

    Raises:
        SpecError: nothing of that name is known and it is neither a folder nor a hub name.
    """
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return ModelSource(name=name, folder=folder.resolve())
    if name in EMBEDDED:
        return ModelSource(name=name, config=MODELS / f"{name}.json")
    aliases = {alias.lower(): alias for alias in ALIASES}
    aliases |= {hub.lower(): alias for alias, hub in ALIASES.items()}
    alias = aliases.get(name.lower())
    if alias is not None:
        bundled = MODELS / f"{alias}.json"
        return ModelSource(name=alias, hub_name=ALIASES[alias], config=bundled if bundled.is_file() else None)
    if name.count("/") == 1 and not folder.exists() and not name.startswith((".", "/", "~")):
        return ModelSource(name=name, hub_name=name)
    raise SpecError(
        f"no model {name!r}: it is not a folder with a config.json, not a hub name (owner/name), "
        f"and not one of {', '.join(known_models())}"
    )
