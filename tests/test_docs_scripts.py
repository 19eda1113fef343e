"""Every Python block of README.md and docs/ runs as it is printed, on tiny models under the names that it loads.

Blocks with a title are whole scripts; the command lines around them are run by ``test_docs_commands.py``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests import docs_stage
from tests.docs_blocks import ROOT, Block, all_blocks

RECIPES = ROOT / "docs" / "recipes"
SCRIPTS = [block for block in all_blocks() if block.language == "python" and not block.reason]


@pytest.fixture
def stage(docs_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is one with pairs; hub names lead to tiny models."""
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(docs_hub))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    docs_stage.fill_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(block: Block) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("\n" * block.line + block.body, str(block.page), "exec"), names)
    return names


@pytest.mark.parametrize("block", SCRIPTS, ids=lambda block: block.name)
def test_the_block_runs(block: Block, stage: Path) -> None:
    if "BitsAndBytesConfig" in block.body:
        pytest.importorskip("bitsandbytes", reason="test_docs_commands.py runs it, where it may be fetched")
    trainer = run(block).get("trainer")
    if trainer is None:
        return
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert trainer.state.global_step == trainer.state.max_steps
    assert all(0 < loss < 10 for loss in losses)
    if "save_model" in block.body:
        kind = "adapter_model" if hasattr(trainer.model, "peft_config") else "model"
        assert {p.stem for p in (stage / trainer.args.output_dir).rglob("*.safetensors")} == {kind}


def test_there_is_a_script_for_every_recipe() -> None:
    with_script = {block.page.name for block in SCRIPTS if block.page.parent == RECIPES}
    assert {page.name for page in RECIPES.glob("*.md")} - {"index.md"} == with_script
    assert len(with_script) == 7


def test_the_beta_of_the_schedule_moves_as_the_page_says(stage: Path) -> None:
    [block] = [block for block in SCRIPTS if block.title == "schedule.py"]
    assert run(block)["trainer"].beta == pytest.approx(0.3)


def test_the_fsdp_file_is_one_that_accelerate_reads(tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.utils import FullyShardedDataParallelPlugin

    [block] = [block for block in all_blocks() if block.title == "fsdp.yaml"]
    (tmp_path / "fsdp.yaml").write_text(block.body)
    config: Any = load_config_from_file(str(tmp_path / "fsdp.yaml"))
    known = {field.name.removeprefix("fsdp_") for field in dataclasses.fields(FullyShardedDataParallelPlugin)}
    assert config.num_processes == 8
    assert {name.removeprefix("fsdp_") for name in config.fsdp_config} <= known
