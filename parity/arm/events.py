"""What an arm says: JSON lines, one event each, flushed, so that a killed arm leaves whole lines behind it.

Knows nothing of what the events hold.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


class Events:
    """Appends events to a JSON-lines file, flushed one by one, non-finite numbers spelled as strings."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._count = 0

    def write(self, event: str, **content: Any) -> None:
        line = {"event": event, "n": self._count, **content}
        self._file.write(json.dumps(spell(line), allow_nan=False) + "\n")
        self._file.flush()
        self._count += 1

    def close(self) -> None:
        self._file.close()


def spell(value: Any) -> Any:
    """Return ``value`` with NaN and infinities as strings, so that the line is strict JSON and loses nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {str(key): spell(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [spell(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)
