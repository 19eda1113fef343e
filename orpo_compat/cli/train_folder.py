"""The folder of one run: made ready for it, and told at every turn what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from orpo_compat.checkpoints import require_whole
from orpo_compat.cli.train_settings import TrainRequest, TrainSettings
from orpo_compat.errors import OutputError, RunError, RunExists
from orpo_compat.history import METRICS_FILE, RUN_FILE
from orpo_compat.model_folder import finish_move
from orpo_compat.run_folder import latest_checkpoint, write_run

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class Run:
    """A run on its way; what is known of it goes to `run.json` at every turn."""

    request: TrainRequest
    folder: Path
    console: Console
    main: bool
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> TrainSettings:
        """The command's own options."""
        return self.request.settings

    def note(self, **facts: Any) -> None:
        """Add to `run.json`."""
        self.record |= facts
        if self.main:
            write_run(self.folder, self.record)


def prepare_folder(this: Run) -> Path | None:
    """Make the folder ready; the checkpoint to go on from, if any."""
    settings = this.settings
    if (settings.resume or settings.resume_from) and this.main and finish_move(this.folder):
        said = f"{this.folder}: the model of its last save was whole but not all moved in; now it is"
        this.console.print(said, style="yellow", markup=False)
    if settings.resume_from:
        return require_whole(Path(settings.resume_from))
    if settings.resume:
        return latest_checkpoint(this.folder)
    held = [name for name in (RUN_FILE, METRICS_FILE, "model.safetensors") if (this.folder / name).exists()]
    if held and not settings.overwrite and this.main:
        raise RunExists(
            f"{this.folder}: holds an earlier run ({', '.join(held)}).\n"
            "  Next: --resume to go on with it, --overwrite to replace it, or another --output."
        )
    if this.folder.exists() and not this.folder.is_dir():
        raise RunError(f"{this.folder}: is a file.\n  Next: give a folder with --output; it need not exist.")
    try:
        this.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=this.folder):
            pass
    except OSError as error:
        raise OutputError(
            f"--output {this.folder}: cannot be written to ({error.strerror or error}).\n"
            "  Next: give a folder that you may write to, or one that can be made."
        ) from error
    return None
