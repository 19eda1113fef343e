"""The tables of ``docs/scale.md``: the plans for 1B to 70B on 8 to 512 GPUs, as the formulas give them today.

    python -m orpo_compat.planning.table docs/scale.md

Rewrites what lies between the page's two marks and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from orpo_compat.planning.hardware import GPUS
from orpo_compat.planning.lengths import typical_pairs
from orpo_compat.planning.memory import GIB, Setup
from orpo_compat.planning.recommend import Arrangement, Task, best_arrangement
from orpo_compat.planning.shapes import KNOWN
from orpo_compat.planning.summary import Estimate

BEGIN, END = "<!-- table of orpo_compat.planning.table -->\n", "<!-- end of the table -->\n"
SIZES = ("1B", "3B", "8B", "14B", "32B", "70B")
COUNTS = (8, 32, 128, 512)
LENGTH, PAIRS, BATCH = 2048, 60_000, 256
_SHORT = {"none": "one GPU", "ddp": "DDP", "fsdp-grad": "FSDP, weights kept", "fsdp-full": "FSDP"}


def estimate(size: str, gpus: int) -> Estimate:
    """The plan of one row: every weight, mixed precision, lengths spread like real ones."""
    task = Task(
        shape=KNOWN[size],
        gpu=GPUS["h100"],
        gpus=gpus,
        pairs=typical_pairs(LENGTH),
        batch=max(BATCH, gpus),
        setup=Setup(),
    )
    return Estimate(task=task, ours=best_arrangement(task), theirs=best_arrangement(task, "theirs"), num_pairs=PAIRS)


def table() -> str:
    """The rows, in Markdown."""
    head = ("model", "H100", "launch", "pairs per GPU", "recompute", "GiB per GPU", "hours", "TRL: GiB", "TRL: hours")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for size in SIZES:
        for gpus in COUNTS:
            lines.append(f"| {' | '.join(_cells(estimate(size, gpus)))} |")
    return "\n".join(lines) + "\n"


def _cells(made: Estimate) -> Iterator[str]:
    yield made.task.shape.name
    yield str(made.task.gpus)
    if made.ours.fits:
        yield _SHORT[made.ours.setup.sharding]
        yield f"{made.ours.micro_batch} x {made.ours.accumulation}"
        yield "yes" if made.ours.recompute else "no"
    else:
        yield from ("does not fit", "", "")
    for arrangement in (made.ours, made.theirs):
        yield _gib(arrangement)
        yield f"{made.hours(arrangement):.2g}" if arrangement.fits else ""


def _gib(arrangement: Arrangement) -> str:
    return f"{arrangement.memory.total / GIB:.0f}" + ("" if arrangement.fits else ", does not fit")


def in_page(text: str) -> str:
    """A page with the table put in.

    Raises:
        ValueError: the page has no place for it.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no lines {BEGIN.strip()!r} and {END.strip()!r}")
    return before + BEGIN + "\n" + table() + "\n" + END + after


def main(arguments: list[str]) -> int:
    """Rewrite the page named."""
    page = Path(arguments[0])
    page.write_text(in_page(page.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    print(f"wrote {page}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
