"""The launch files under examples/launch say to accelerate what their names promise, field by field."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.orpo_compat.launching import LAUNCH

FILES = sorted(LAUNCH.glob("*.yaml"))
ENGINES = {
    "ddp.yaml": "MULTI_GPU",
    "ddp_cpu.yaml": "MULTI_GPU",
    "fsdp1.yaml": "FSDP",
    "fsdp2.yaml": "FSDP",
    "zero2.yaml": "DEEPSPEED",
    "zero3.yaml": "DEEPSPEED",
}


def test_every_file_has_its_engine() -> None:
    assert {file.name: yaml.safe_load(file.read_text())["distributed_type"] for file in FILES} == ENGINES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_accelerate_reads_the_file_and_knows_every_field(file: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    config = load_config_from_file(str(file))
    assert config.distributed_type == ENGINES[file.name]
    known = vars(launch_command_parser().parse_args(["--config_file", str(file), "script.py"]))
    for section in ("fsdp_config", "deepspeed_config"):
        unknown = {name for name in getattr(config, section, None) or {} if name not in known}
        assert not unknown, unknown


def test_the_batch_script_is_a_shell_script() -> None:
    done = subprocess.run(["bash", "-n", str(LAUNCH / "slurm.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
