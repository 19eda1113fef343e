"""One training run from request to exit code. The command `train` calls `run`.

What is trained is built in `train_build`, the folder is kept by `train_folder`, and `train_end` saves and reports.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orpo_compat.cli import train_words as words
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.train_build import (
    Watchers,
    check_early,
    config_values,
    facts_of,
    load_start,
    make_trainer,
    require_held_out,
    spread_logs,
)
from orpo_compat.cli.train_data import gather
from orpo_compat.cli.train_end import save, wrap_up
from orpo_compat.cli.train_folder import Run, prepare_folder
from orpo_compat.cli.train_settings import TrainRequest
from orpo_compat.errors import NonFiniteLoss
from orpo_compat.run_folder import RunRecorder, append_record
from orpo_compat.trainer import ORPOTrainer

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_MAX_LENGTH = 1024


def run(request: TrainRequest, console: Console) -> ExitCode:
    """Train as requested.

    Returns:
        DONE; FINDINGS when the run ended with numbers that are not finite; INTERRUPTED after Ctrl-C.

    Raises:
        OrpoCompatError: the request cannot be carried out; nothing was trained.
    """
    request.settings.required()
    this = Run(request, Path(request.settings.output), console, main=int(os.environ.get("RANK", "0")) == 0)
    checkpoint = prepare_folder(this)
    begun = time.monotonic()
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    values = config_values(request, world_size=world_size)
    check_early(values, world_size=world_size)
    model, tokenizer = load_start(this, values)
    max_length = int(values.get("max_length") or DEFAULT_MAX_LENGTH)
    data = gather(this.settings, seed=int(values.get("seed", 42)), tokenizer=tokenizer, max_length=max_length)
    if this.main:
        words.tell_data(console, data.report)
    require_held_out(values, data)
    updates = spread_logs(values, data)
    trainer, watchers = make_trainer(this, values, model, tokenizer, data)
    facts = facts_of(this, trainer, data)
    this.note(status="running", **facts, timings={"load_s": round(time.monotonic() - begun, 3)})
    if this.main:
        trained = _weights(facts["weights"])
        words.tell_plan(
            console,
            trainer,
            pairs=len(data.train),
            updates=updates,
            weights=trained,
            rate_given="learning_rate" in request.config,
        )
    trainer.add_callback(RunRecorder(this.folder, keep_until=_step_of(checkpoint)))
    return _train(this, trainer, watchers, checkpoint)


def _step_of(checkpoint: Path | None) -> int | None:
    if checkpoint is None:
        return None
    return int(json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))["global_step"])


def _weights(counts: Mapping[str, int]) -> str:
    trained, everything = counts["trained"], counts["all"]
    return f"{'all ' if trained == everything else f'{trained:,} of '}{everything:,} weights are trained"


def _train(this: Run, trainer: ORPOTrainer, watchers: Watchers, checkpoint: Path | None) -> ExitCode:
    begun = time.monotonic()
    status, code = "finished", ExitCode.DONE
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except NonFiniteLoss as error:
        status, code = "not finite", ExitCode.FINDINGS
        if this.main:
            append_record(this.folder, {"step": trainer.state.global_step, "incident": str(error)})
    except KeyboardInterrupt:
        status, code = "interrupted", ExitCode.INTERRUPTED
    finally:
        watchers.view.close()  # before anything is said: the panel would write over it
        watchers.stop.release()
    if watchers.stop.asked:
        status, code = "interrupted", ExitCode.INTERRUPTED
    if status == "finished":
        save(this, trainer)
    wrap_up(this, status, time.monotonic() - begun, watchers.health)
    return code
