"""A model's folder holds the old model or the new one, or none that loads: killed before every change to the disk.

Oracle: `from_pretrained` itself, and the weights of the two models.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from orpo_compat import ORPOConfig, ORPOTrainer, models
from orpo_compat.checkpoints import STAGE
from orpo_compat.errors import RunError
from orpo_compat.model_folder import MODEL, MOVING, finish_move, written_whole
from tests.conftest import tiny_llama
from tests.orpo_compat.runs import SETTINGS

CHANGES = ("rename", "replace", "unlink", "rmdir", "mkdir")


def digest(model: Any) -> float:
    return float(sum(weight.detach().double().abs().sum() for weight in model.parameters()))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def loaded(folder: Path) -> float | None:
    """What `from_pretrained` makes of a folder; None where it finds no model."""
    from transformers import AutoModelForCausalLM

    if not (folder / "config.json").exists():
        with pytest.raises((OSError, ValueError)):
            AutoModelForCausalLM.from_pretrained(folder)
        return None
    return digest(AutoModelForCausalLM.from_pretrained(folder))


def killed_before(number: int, work: Callable[[], None]) -> bool:
    """Fork, do the work, and die by SIGKILL before the change of that number; False if the work has fewer."""
    child = os.fork()
    if child == 0:
        left = number

        def deadly(name: str) -> Callable[..., Any]:
            honest = getattr(Path, name)

            def change(*args: Any, **kwargs: Any) -> Any:
                nonlocal left
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return honest(*args, **kwargs)

            return change

        for name in CHANGES:
            setattr(Path, name, deadly(name))
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize(
    ("old_shards", "new_shards"), [("1GB", "1GB"), ("40KB", "1GB"), ("1GB", "40KB"), ("40KB", "60KB")]
)
def test_a_kill_at_any_moment_leaves_the_old_model_or_the_new_one_or_none(
    old_shards: str, new_shards: str, tmp_path: Path
) -> None:
    old, new = tiny_llama(0), tiny_llama(1, intermediate_size=48)
    sums = (digest(old), digest(new))
    seen, number = [], 0
    while True:
        folder = tmp_path / str(number)
        old.save_pretrained(folder, max_shard_size=old_shards)

        def save(folder: Path = folder) -> None:
            with written_whole(folder) as staged:
                new.save_pretrained(staged, max_shard_size=new_shards)

        killed = killed_before(number, save)
        found = loaded(folder)
        assert found in (None, *map(pytest.approx, sums)), number
        seen.append(found)
        if not killed:
            break
        assert found is not None or (folder / STAGE / MODEL / "config.json").is_file()
        number += 1
    assert seen[0] == pytest.approx(sums[0])
    assert seen[-1] == pytest.approx(sums[1])
    assert None in seen
    assert not (folder / STAGE).exists()
    # What one save wrote is all that is there: no shard of the other is left to be loaded.
    alone = tmp_path / "alone"
    new.save_pretrained(alone, max_shard_size=new_shards)
    assert names(folder) == names(alone)


@pytest.mark.parametrize(("old_shards", "new_shards"), [("1GB", "1GB"), ("40KB", "60KB")])
def test_a_move_that_was_cut_short_is_finished_wherever_it_and_its_finishing_were_killed(
    old_shards: str, new_shards: str, tmp_path: Path
) -> None:
    """From the moment the new model is whole on the disk it is the one that is found; before that, the old one."""
    old, new = tiny_llama(0), tiny_llama(1, intermediate_size=48)
    sums = (digest(old), digest(new))
    announced, number, killed = False, 0, True
    while killed:
        folder = tmp_path / str(number)
        old.save_pretrained(folder, max_shard_size=old_shards)
        (folder / "notes.txt").write_text("mine")

        def save(folder: Path = folder) -> None:
            with written_whole(folder) as staged:
                new.save_pretrained(staged, max_shard_size=new_shards)

        killed = killed_before(number, save)
        # Later kills come later: once it was announced, it is whole.
        announced = announced or (folder / STAGE / MOVING).exists()
        again = 0
        while killed_before(again, lambda folder=folder: finish_move(folder)):
            again += 3
        assert finish_move(folder) is False
        assert loaded(folder) == pytest.approx(sums[announced]), number
        assert (folder / "notes.txt").read_text() == "mine"
        number += 1
    assert announced
    alone = tmp_path / "alone"
    new.save_pretrained(alone, max_shard_size=new_shards)
    assert names(folder) == sorted([*names(alone), "notes.txt"])


def cut_short(folder: Path, model: Any) -> None:
    """Save a model and die with its weights moved in and its configuration not."""
    (folder / "config.json").unlink(missing_ok=True)

    def work() -> None:
        real = Path.replace

        def replace(self: Path, target: Any) -> Any:
            if self.name == "config.json":
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, target)

        Path.replace = replace  # type: ignore[method-assign, assignment]
        with written_whole(folder) as staged:
            model.save_pretrained(staged)

    assert killed_before(10_000, work)
    assert loaded(folder) is None


def test_a_trainer_that_loads_from_or_trains_in_such_a_folder_finishes_the_move_first(
    tmp_path: Path, tokenizer: Any, pairs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny_llama(3)
    cut_short(tmp_path / "a", model)
    tokenizer.save_pretrained(tmp_path / "a")
    args = ORPOConfig(output_dir=str(tmp_path / "out"), **{**SETTINGS, "max_steps": 1})
    ours = ORPOTrainer(str(tmp_path / "a"), args, train_dataset=pairs)
    assert digest(ours.model) == pytest.approx(digest(model))
    cut_short(tmp_path / "c", model)
    tokenizer.save_pretrained(tmp_path / "c")
    assert digest(models.load(str(tmp_path / "c"), {})[0]) == pytest.approx(digest(model))
    cut_short(tmp_path / "b", model)
    trainer(tmp_path / "b", tokenizer, pairs).train()
    assert "the move of a saved model, cut short when its run died, is finished" in caplog.text
    assert loaded(tmp_path / "b") == pytest.approx(digest(model))


def test_a_move_waits_for_the_process_that_is_moving(tmp_path: Path) -> None:
    """A reader that comes while another process moves finds the whole model and takes nothing out of its hands."""
    fcntl = pytest.importorskip("fcntl")
    cut_short(tmp_path, tiny_llama(3))
    with (tmp_path / STAGE / MOVING).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        child = os.fork()
        if child == 0:
            held.close()  # a fork inherits the file, and with it the lock
            os._exit(int(finish_move(tmp_path)))
        time.sleep(0.3)
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        assert loaded(tmp_path) is None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert loaded(tmp_path) == pytest.approx(digest(tiny_llama(3)))


def trainer(folder: Path, tokenizer: Any, pairs: Any, **more: Any) -> ORPOTrainer:
    args = ORPOConfig(output_dir=str(folder), **{**SETTINGS, "max_steps": 1})
    return ORPOTrainer(tiny_llama(), args, train_dataset=pairs, processing_class=tokenizer, **more)


def test_save_model_killed_while_it_writes_leaves_the_folder_as_it_was(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last file that is written is `training_args.bin`: torch's save kills, all else is there."""
    ours = trainer(tmp_path, tokenizer, pairs)
    (tmp_path / "notes.txt").write_text("mine")
    before = names(tmp_path)

    def work() -> None:
        torch.save = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        ours.save_model(str(tmp_path))

    assert killed_before(10_000, work)
    assert names(tmp_path) == sorted([*before, STAGE])
    assert (tmp_path / STAGE / MODEL / "model.safetensors").is_file()
    assert loaded(tmp_path) is None
    ours.save_model(str(tmp_path))
    assert loaded(tmp_path) == pytest.approx(digest(ours.model))
    assert not (tmp_path / STAGE).exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_adapter_is_saved_beside_a_card_as_peft_does(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    from peft import LoraConfig

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("---\ntags: [mine]\n---\nMy words.\n")
    lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    ours = trainer(tmp_path / "run", tokenizer, pairs, peft_config=lora)
    ours.save_model(str(tmp_path / "out"))
    ours.model.save_pretrained(tmp_path / "plain")
    wanted = {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    assert wanted <= set(names(tmp_path / "out"))
    assert wanted <= set(names(tmp_path / "plain"))
    assert "My words." in (tmp_path / "out" / "README.md").read_text()
    ours_bytes, plain = ((tmp_path / each / "adapter_model.safetensors").read_bytes() for each in ("out", "plain"))
    assert ours_bytes == plain


def test_a_disk_that_fills_up_leaves_the_folder_as_it_was_and_says_so(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = trainer(tmp_path, tokenizer, pairs)
    ours.save_model(str(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orpo_compat.model_folder.to_disk", full)
    with pytest.raises(RunError, match=r"could not be written: .*No space left.*as it was before"):
        ours.save_model(str(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert not (tmp_path / STAGE).exists()
