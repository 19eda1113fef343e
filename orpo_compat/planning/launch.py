"""The configuration file that ``accelerate launch`` reads for an arrangement, and the arguments that go with it.

Only what differs from accelerate's defaults or decides the arrangement is written. Knows files' contents, no files.
"""

from __future__ import annotations

import math
from typing import Any

import yaml

from orpo_compat.planning.hardware import PER_NODE
from orpo_compat.planning.recommend import Arrangement

_OPTIM = {"adamw": "adamw_torch_fused", "adamw-8bit": "adamw_bnb_8bit", "adafactor": "adafactor", "sgd": "sgd"}


def accelerate_config(arrangement: Arrangement) -> dict[str, Any]:
    """Return the fields of accelerate's ``ClusterConfig``."""
    setup = arrangement.setup
    machines = math.ceil(setup.gpus / PER_NODE)
    config: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "NO" if setup.gpus == 1 else "FSDP" if setup.fsdp else "MULTI_GPU",
        "mixed_precision": "no" if setup.precision == "fp32" else "bf16",
        "num_machines": machines,
        "num_processes": setup.gpus,
        "machine_rank": 0,
        "main_training_function": "main",
        "rdzv_backend": "static" if machines == 1 else "c10d",
        "same_network": True,
        "use_cpu": False,
        "debug": False,
        "enable_cpu_affinity": False,
    }
    if setup.fsdp:
        config["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": setup.sharding == "fsdp-full",
            "fsdp_state_dict_type": "SHARDED_STATE_DICT",
            "fsdp_cpu_ram_efficient_loading": True,
            "fsdp_offload_params": False,
            "fsdp_activation_checkpointing": False,
        }
    return config


def accelerate_yaml(arrangement: Arrangement) -> str:
    """Return the file's text."""
    head = (
        "# Written by `orpo-compat plan`: an estimate. Start with: accelerate launch --config_file THIS_FILE train.py\n"
    )
    if arrangement.setup.gpus > PER_NODE:
        head += "# On each machine add --machine_rank N --main_process_ip ADDRESS --main_process_port PORT.\n"
    body: str = yaml.safe_dump(accelerate_config(arrangement), sort_keys=True)
    return head + body


def training_arguments(arrangement: Arrangement) -> dict[str, Any]:
    """Return the ``ORPOConfig`` arguments that go with the file."""
    return {
        "per_device_train_batch_size": arrangement.micro_batch,
        "gradient_accumulation_steps": arrangement.accumulation,
        "gradient_checkpointing": arrangement.recompute,
        "bf16": arrangement.setup.precision != "fp32",
        "optim": _OPTIM[arrangement.setup.optimizer],
    }
