"""Saving and resuming so that long work survives: the trainer's part, on any engine and any number of processes.

Every rank writes where it always does, but under a stage that the ranks leave together, when all of them have written.
Old checkpoints are deleted after that. A model saved by itself gets into its folder at a stroke, too. Mixed into the
trainer; what a whole checkpoint is, ``checkpoints`` decides, and how a model moves in, ``model_folder``.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from orpo_compat.checkpoints import STAGE, clear_stage, newest_whole, publish, require_whole
from orpo_compat.errors import RunError
from orpo_compat.model_folder import MODEL, finish_move, written_whole

logger = logging.getLogger(__name__)

_SIGNS = ("writing file", "file write", "inline_container", "ioerror", "os error", "no space")

if TYPE_CHECKING:
    from transformers import Trainer

    _Base = Trainer
else:
    _Base = object


class WholeCheckpoints(_Base):
    """``train(resume_from_checkpoint=...)``, ``_save_checkpoint``, ``_save`` and what they call."""

    _staging = False
    _to_push: list[str]

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Train as ``transformers.Trainer`` does; ``True`` goes on from the newest checkpoint that is whole.

        Raises:
            RunError: no checkpoint is whole, or the one that was named is not.
        """
        if self.args.should_save and finish_move(Path(str(self.args.output_dir))):
            logger.warning(
                "%s: the move of a saved model, cut short when its run died, is finished.", self.args.output_dir
            )
        if resume_from_checkpoint is True:
            run = Path(str(self.args.output_dir))
            resume_from_checkpoint = str(newest_whole(run, warn=self.args.process_index == 0) or _none_whole(run))
        elif resume_from_checkpoint and Path(resume_from_checkpoint).is_dir():
            require_whole(Path(resume_from_checkpoint))
        return super().train(resume_from_checkpoint or None, *args, **kwargs)

    def _get_output_dir(self, trial: Any) -> str:
        run = super()._get_output_dir(trial)
        return str(Path(run) / STAGE) if self._staging else run

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self._staging:
            self._to_push.append(checkpoint_folder)
        else:
            super()._push_from_checkpoint(checkpoint_folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save a checkpoint that has its name only once it is whole.

        Raises:
            RunError: it could not be written (a full disk); what was written of it is removed.
        """
        run = Path(self._get_output_dir(trial))
        final = run / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        staged = run / STAGE / final.name
        self._to_push = []
        if self.args.should_save:
            clear_stage(run)
        self.accelerator.wait_for_everyone()
        try:
            self._staging = True
            super()._save_checkpoint(model, trial)
            self._name_best(staged, final)
            self._publish_together(staged, final)
        except Exception as error:
            failed = _failed_write(error)
            if failed is None:
                raise
            free = shutil.disk_usage(run).free
            clear_stage(run)
            raise RunError(_not_written(final, run, failed, free)) from error
        finally:
            self._staging = False
        for _ in self._to_push:
            self._push_from_checkpoint(str(final))
        self._delete_old(run)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save the model so that its folder never holds part of it under a whole one's names.

        Raises:
            RunError: it could not be written (a full disk); the folder is as it was.
        """
        folder = Path(output_dir or str(self.args.output_dir))
        if self._staging or not self.args.should_save:
            return super()._save(str(folder), state_dict)
        try:
            with written_whole(folder) as staged:
                super()._save(str(staged), state_dict)
        except Exception as error:
            failed = _failed_write(error)
            if failed is None or (folder / STAGE / MODEL).exists():  # the latter: while it was moved in
                raise
            raise RunError(_model_not_written(folder, failed)) from error

    def _name_best(self, staged: Path, final: Path) -> None:
        """Let the state name the best checkpoint by where it will be."""
        if self.state.best_model_checkpoint == str(staged):
            self.state.best_model_checkpoint = str(final)
            if self.args.should_save:
                self.state.save_to_json(str(staged / "trainer_state.json"))

    def _publish_together(self, staged: Path, final: Path) -> None:
        self.accelerator.wait_for_everyone()
        # The first process speaks for a shared folder; a node with a disk of its own publishes what lies there.
        for turn in (self.args.process_index == 0, self.args.local_process_index == 0):
            if turn and staged.is_dir():
                publish(staged, final)
            self.accelerator.wait_for_everyone()

    def _delete_old(self, run: Path) -> None:
        if not self.args.should_save:
            return
        clear_stage(run)
        rotate_checkpoints(
            output_dir=str(run),
            save_total_limit=self.args.save_total_limit,
            best_model_checkpoint=self.state.best_model_checkpoint,
            use_mtime=True,
        )


def _none_whole(run: Path) -> Path:
    raise RunError(
        f"{run}: no whole checkpoint to resume from.\n"
        "  Next: leave out resume_from_checkpoint to start afresh, or name a checkpoint's folder."
    )


def _failed_write(error: BaseException) -> BaseException | None:
    """Find the failed write an error came from; torch and safetensors raise their own kinds for it, and more on top."""
    found = None
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, OSError) or any(sign in str(current).lower() for sign in _SIGNS):
            found = current
        current = current.__cause__ or current.__context__
    return found


def _not_written(final: Path, run: Path, failed: BaseException, free: int) -> str:
    whole = newest_whole(run, warn=False)
    kept = f"{whole.name} is whole" if whole is not None else "no earlier checkpoint exists"
    return (
        f"{final} could not be written: {_reason(failed)} ({free / 1e6:.1f} MB were free). "
        f"Nothing of it was kept; {kept}.\n"
        "  Next: make room (or lower save_total_limit), then train(resume_from_checkpoint=True), "
        "or `orpo-compat train ... --resume`."
    )


def _model_not_written(folder: Path, failed: BaseException) -> str:
    return (
        f"{folder}: the model could not be written: {_reason(failed)}. The folder is as it was before.\n"
        "  Next: make room, then save_model() again, or resume from the last checkpoint."
    )


def _reason(failed: BaseException) -> str:
    return (str(failed) or type(failed).__name__).splitlines()[0]
