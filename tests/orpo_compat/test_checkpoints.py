"""Which folders are whole. Oracles: files that torch and safetensors wrote, then cut short."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from orpo_compat.checkpoints import STAGE, defect, newest_whole, publish, require_whole
from orpo_compat.errors import RunError


def write(run: Path, step: int) -> Path:
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file({"a": torch.arange(12.0), "b": torch.ones(3, 3)}, str(folder / "model.safetensors"))
    torch.save({"step": step}, folder / "optimizer.pt")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return folder


def cut(file: Path, by: int) -> None:
    file.write_bytes(file.read_bytes()[:-by])


def test_a_checkpoint_as_it_was_written_is_whole(tmp_path: Path) -> None:
    assert defect(write(tmp_path, 3)) is None


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "trainer_state.json"])
@pytest.mark.parametrize("share", ["one byte", "half", "all"])
def test_a_file_cut_short_is_found_and_named(name: str, share: str, tmp_path: Path) -> None:
    folder = write(tmp_path, 3)
    size = (folder / name).stat().st_size
    cut(folder / name, {"one byte": 1, "half": size // 2, "all": size}[share])
    assert name in str(defect(folder))


def test_a_folder_without_its_state_or_with_a_shard_missing_is_not_whole(tmp_path: Path) -> None:
    first, second = write(tmp_path, 1), write(tmp_path, 2)
    (first / "trainer_state.json").unlink()
    assert "no trainer_state.json" in str(defect(first))
    (second / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "m-1.safetensors"}}))
    assert defect(second) == "m-1.safetensors is missing"


def test_resuming_passes_over_what_is_cut_short_with_one_line_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (2, 10, 9):
        write(tmp_path, step)
    cut(tmp_path / "checkpoint-10" / "optimizer.pt", 5)
    (tmp_path / STAGE / "checkpoint-12").mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        assert newest_whole(tmp_path) == tmp_path / "checkpoint-9"
    assert [record.message for record in caplog.records] == [
        f"{tmp_path / 'checkpoint-10'} is passed over: optimizer.pt is cut short."
    ]


def test_a_named_checkpoint_that_is_not_whole_is_refused_with_the_one_to_take(tmp_path: Path) -> None:
    good, bad = write(tmp_path, 4), write(tmp_path, 5)
    cut(bad / "model.safetensors", 7)
    with pytest.raises(RunError, match=rf"model.safetensors is cut short.\n  Next: resume from {good} instead"):
        require_whole(bad)


def test_publishing_replaces_a_folder_of_the_same_name(tmp_path: Path) -> None:
    old, staged = write(tmp_path, 4), write(tmp_path / STAGE, 4)
    (old / "stale").touch()
    publish(staged, old)
    assert defect(old) is None
    assert not (old / "stale").exists()
    assert list((tmp_path / STAGE).iterdir()) == []
