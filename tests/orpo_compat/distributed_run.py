"""One short run under a launcher; every rank writes what it logged and rank 0 the final weights.

python -m torch.distributed.run --nproc-per-node 2 -m tests.orpo_compat.distributed_run ARM FOLDER '{"settings": 1}'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from tests.conftest import PAIRS, make_tokenizer, tiny_llama
from tests.orpo_compat.runs import Run, run


class Collectives:
    """Counts the collectives called while it is in force."""

    NAMES = ("all_reduce", "all_gather", "all_gather_into_tensor", "all_gather_object", "broadcast", "barrier")

    def __init__(self) -> None:
        self.calls: list[str] = []

    def watch(self) -> None:
        import torch.distributed as dist

        for name in self.NAMES:
            original = getattr(dist, name)

            def counted(*args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
                self.calls.append(_name)
                return _original(*args, **kwargs)

            setattr(dist, name, counted)


def main() -> None:
    arm, folder, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    rows = settings.pop("rows", 8)
    data = Dataset.from_dict({key: values[:rows] for key, values in PAIRS.items()})
    evaluate = settings.pop("evaluate", False)
    collectives = Collectives()
    if settings.pop("count", False):
        collectives.watch()
    result: Run = run(
        arm, folder, tiny_llama(), make_tokenizer(), data,
        trainer={"eval_dataset": data} if evaluate else None, **settings,
    )  # fmt: skip
    rank = result.trainer.args.process_index
    record = {"logs": result.logs, "collectives": collectives.calls}
    (folder / f"rank-{rank}.json").write_text(json.dumps(record))
    if rank == 0:
        torch.save(result.trainer.accelerator.unwrap_model(result.trainer.model).state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    main()
