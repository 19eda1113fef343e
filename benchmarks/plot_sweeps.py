"""Draw the sweeps: processor time and memory against length, batch and vocabulary, ours and theirs, as one SVG.

    python benchmarks/plot_sweeps.py docs/assets/performance.svg length.json batch.json vocabulary.json

The files are those that ``sweep.py --out`` writes. Draws what they hold and measures nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt  # after the backend is chosen

COLORS = {"ours": "#0b7285", "theirs": "#e8590c"}
NAMES = {"ours": "orpo-compat", "theirs": "TRL"}
AXES = {"length": "max_length, tokens", "batch": "pairs per step", "vocabulary": "vocabulary, entries"}


def main(target: Path, *files: Path) -> None:
    """Draw one column per file."""
    mpl.rcParams.update({"svg.hashsalt": "orpo-compat", "font.size": 9, "axes.spines.top": False})
    figure, axes = plt.subplots(2, len(files), figsize=(3.4 * len(files), 5.4), squeeze=False)
    for column, file in zip(axes.T, files, strict=True):
        sweep = json.loads(file.read_text(encoding="utf-8"))
        for axis, value, label in zip(
            column, ("cpu_s_per_pair", "beyond_mb"), ("CPU seconds a pair", "MB beyond the fixed"), strict=True
        ):
            draw(axis, sweep, value, label)
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


def draw(axis: Any, sweep: dict[str, Any], value: str, label: str) -> None:
    """Draw both arms' points of one quantity."""
    for arm in ("ours", "theirs"):
        points = [(point["size"], point[value]) for point in sweep["points"] if point["arm"] == arm]
        if points:
            axis.plot(*zip(*points, strict=True), "o-", color=COLORS[arm], label=NAMES[arm])
    axis.set_xscale("log", base=2)
    sizes = sorted({point["size"] for point in sweep["points"]})
    axis.set_xticks(sizes, [f"{size // 1024}k" if size >= 8192 else str(size) for size in sizes], minor=False)
    axis.set_ylim(bottom=0)
    axis.set_xlabel(AXES[sweep["what"]])
    axis.set_ylabel(label)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
