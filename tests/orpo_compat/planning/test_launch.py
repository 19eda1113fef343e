"""The written file is read back by accelerate itself, and the arguments by ``ORPOConfig``."""

from __future__ import annotations

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

from orpo_compat import ORPOConfig
from orpo_compat.planning.launch import accelerate_yaml, training_arguments
from orpo_compat.planning.recommend import best_arrangement
from tests.orpo_compat.planning.test_recommend import task


@pytest.mark.parametrize(
    ("size", "gpus", "kind", "machines"),
    [("135M", 1, "NO", 1), ("1B", 4, "MULTI_GPU", 1), ("8B", 8, "FSDP", 1), ("70B", 64, "FSDP", 8)],
)
def test_accelerate_reads_what_is_written(tmp_path: Path, size: str, gpus: int, kind: str, machines: int) -> None:
    arrangement = best_arrangement(task(size, gpus))
    path = tmp_path / "accelerate.yaml"
    path.write_text(accelerate_yaml(arrangement), encoding="utf-8")
    read = load_config_from_file(str(path))
    assert isinstance(read, ClusterConfig)
    assert read.distributed_type.value == kind
    assert (read.num_processes, read.num_machines, read.mixed_precision) == (gpus, machines, "bf16")
    if kind == "FSDP":
        assert read.fsdp_config["fsdp_version"] == 2
        assert read.fsdp_config["fsdp_reshard_after_forward"] is (arrangement.setup.sharding == "fsdp-full")


def test_the_launcher_turns_the_file_into_the_plugin_it_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.launch import prepare_multi_gpu_env

    path = tmp_path / "accelerate.yaml"
    path.write_text(accelerate_yaml(best_arrangement(task("70B", 64))), encoding="utf-8")
    arguments = launch_command_parser().parse_args(["--config_file", str(path), "train.py"])
    arguments, _, _ = _validate_launch_command(arguments)
    for name, value in prepare_multi_gpu_env(arguments).items():
        if name.startswith(("FSDP", "ACCELERATE")):
            monkeypatch.setenv(name, value)
    try:
        plugin = FullyShardedDataParallelPlugin()
    except RuntimeError as error:
        pytest.skip(f"this release wants an accelerator to be there: {error}")
    assert (plugin.fsdp_version, plugin.reshard_after_forward, plugin.activation_checkpointing) == (2, True, False)


def test_the_arguments_are_those_of_the_config(tmp_path: Path) -> None:
    arguments = {**training_arguments(best_arrangement(task("1B", 1))), "bf16": False}
    config = ORPOConfig(output_dir=str(tmp_path), use_cpu=True, **arguments)
    assert config.per_device_train_batch_size * config.gradient_accumulation_steps == 64
