"""Arguments as scripts in the wild pass them: every keyword that was seen in use, in the company it keeps.

Names and shapes are those of public scripts for TRL 0.8 to 1.16; the values and groupings are ours. ``CONFIGS`` are
keywords of ``ORPOConfig``, ``TRAINERS`` keywords of ``ORPOTrainer`` besides the ones every call has.
"""

from __future__ import annotations

from typing import Any

SEEN = """
output_dir per_device_train_batch_size report_to logging_steps gradient_accumulation_steps beta learning_rate
max_length num_train_epochs lr_scheduler_type max_prompt_length optim bf16 per_device_eval_batch_size
warmup_steps save_strategy eval_steps max_steps save_steps remove_unused_columns eval_strategy
save_total_limit gradient_checkpointing evaluation_strategy fp16 seed max_completion_length warmup_ratio
max_grad_norm weight_decay load_best_model_at_end run_name gradient_checkpointing_kwargs do_eval push_to_hub
dataloader_num_workers hub_model_id auto_find_batch_size ddp_find_unused_parameters eval_accumulation_steps
data_seed dataloader_pin_memory truncation_mode lr_scheduler_kwargs use_mps_device tf32 dataset_num_proc
metric_for_best_model is_encoder_decoder adam_beta2 logging_strategy adam_beta1 generate_during_eval
greater_is_better logging_dir hub_private_repo length_column_name use_cpu dataloader_prefetch_factor hub_token
group_by_length disable_dropout label_pad_token_id padding_value trust_remote_code orpo_alpha do_train
overwrite_output_dir save_safetensors no_cuda per_gpu_train_batch_size
"""
"""Keywords of ``ORPOConfig`` found in public calls, notebooks, launch files and TRL's own examples."""

CONFIGS: dict[str, dict[str, Any]] = {
    "the shortest": {"output_dir": "out"},
    "shortest with a weight": {"output_dir": "out", "beta": 0.1, "max_steps": 8},
    "tutorial on one card": {
        "learning_rate": 8e-6,
        "beta": 0.1,
        "lr_scheduler_type": "linear",
        "max_length": 1024,
        "max_prompt_length": 512,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "optim": "paged_adamw_8bit",
        "num_train_epochs": 1,
        "evaluation_strategy": "steps",
        "eval_steps": 0.2,
        "logging_steps": 1,
        "warmup_steps": 10,
        "report_to": [],
        "output_dir": "results",
    },
    "course on a laptop": {
        "output_dir": "course",
        "evaluation_strategy": "steps",
        "eval_steps": 10,
        "use_mps_device": True,
        "hub_model_id": "me/course-orpo",
        "max_length": 256,
        "max_completion_length": 128,
    },
    "fast patched notebook": {
        "max_length": 512,
        "max_prompt_length": 256,
        "max_completion_length": 256,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "beta": 0.1,
        "logging_steps": 1,
        "optim": "adamw_8bit",
        "lr_scheduler_type": "linear",
        "max_steps": 30,
        "fp16": True,
        "bf16": False,
        "output_dir": "outputs",
        "report_to": "none",
    },
    "recipe": {
        "bf16": True,
        "do_eval": True,
        "do_train": True,
        "eval_strategy": "steps",
        "eval_steps": 100,
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": True},
        "hub_model_id": "zephyr-like",
        "learning_rate": 5.0e-6,
        "lr_scheduler_type": "inverse_sqrt",
        "max_prompt_length": 1792,
        "max_length": 2048,
        "warmup_steps": 100,
        "save_strategy": "no",
        "seed": 42,
    },
    "best checkpoint": {
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
    },
    "best by margin": {
        "eval_strategy": "steps",
        "eval_steps": 50,
        "save_steps": 50,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_rewards/margins",
        "greater_is_better": True,
    },
    "warm-up by ratio": {"warmup_ratio": 0.1, "num_train_epochs": 3, "lr_scheduler_type": "cosine"},
    "cosine restarts": {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 2}},
    "clipping and decay": {"max_grad_norm": 0.3, "weight_decay": 0.001, "adam_beta1": 0.9, "adam_beta2": 0.98},
    "columns kept": {"remove_unused_columns": False, "dataloader_pin_memory": False, "dataloader_num_workers": 4},
    "prefetching": {"dataloader_num_workers": 2, "dataloader_prefetch_factor": 4},
    "several cards": {"ddp_find_unused_parameters": False, "auto_find_batch_size": True, "bf16": True},
    "eval in parts": {"eval_accumulation_steps": 1, "per_device_eval_batch_size": 1, "bf16": False},
    "two seeds": {"seed": 3407, "data_seed": 7, "run_name": "orpo-7b"},
    "prompt's end": {"truncation_mode": "keep_end", "max_length": 400, "max_prompt_length": 128},
    "prompt's start": {"truncation_mode": "keep_start", "max_length": 400, "max_prompt_length": 128},
    "old padding": {"label_pad_token_id": -100, "padding_value": 0, "disable_dropout": False},
    "sequence to sequence": {"is_encoder_decoder": False, "max_completion_length": 64, "padding_value": None},
    "samples shown": {"generate_during_eval": True, "eval_strategy": "steps", "eval_steps": 5},
    "logged by epoch": {"logging_strategy": "epoch", "logging_dir": "logs", "report_to": None},
    "grouped": {"group_by_length": True, "length_column_name": "size"},
    "on the processor": {"use_cpu": True, "no_cuda": True, "tf32": False},
    "half precision everywhere": {"fp16": True, "tf32": True},
    "neither": {"fp16": False, "bf16": False},
    "private": {"push_to_hub": False, "hub_private_repo": True, "hub_token": "hf_none", "trust_remote_code": False},
    "folders": {"overwrite_output_dir": True, "save_safetensors": True, "save_strategy": "steps", "save_steps": 0.25},
    "in the manner of 2023": {"per_gpu_train_batch_size": 2, "evaluation_strategy": "no"},
    "another's alpha": {"orpo_alpha": 0.2},
    "lambda": {"lambda_": 0.2, "learning_rate": 2e-5},
    "a weight of zero": {"beta": 0.0},
    "numbers from yaml": {"learning_rate": "5e-6", "warmup_ratio": 0.05, "logging_steps": "5"},
    "whole epochs as a float": {"num_train_epochs": 1.0, "max_steps": -1},
    "lengths unset": {"max_length": None, "max_prompt_length": None, "max_completion_length": None},
    "a prompt as long as all": {"max_length": 2048, "max_prompt_length": 2048},
    "a scheduler by name": {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 5, "optim": "adamw_torch"},
    "optimizer in pages": {"optim": "paged_adamw_32bit", "gradient_accumulation_steps": 16},
    "one worker for rows": {"dataset_num_proc": 1, "report_to": ["none"]},
    "checkpointing its own way": {
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    },
}
"""Forty calls, each of which some TRL release accepts with its transformers."""

WRONG_CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "course": ({"orpo_beta": 0.1}, "write beta"),
    "kto": ({"desirable_weight": 1.0}, "KTO"),
    "other half of kto": ({"undesirable_weight": 1.0}, "KTO"),
    "dpo": ({"loss_type": "orpo"}, "one loss"),
    "sft": ({"max_seq_length": 512}, "write max_length"),
    "model": ({"model_name_or_path": "x"}, "ORPOTrainer"),
    "misspelt": ({"learning_rat": 1e-5}, "learning_rate"),
}
WRONG_TRAINERS: dict[str, tuple[dict[str, Any], str]] = {
    "beta": ({"beta": 0.1}, r"args=ORPOConfig\(beta="),
    "length": ({"max_length": 512}, r"args=ORPOConfig\(max_length="),
    "prompt length": ({"max_prompt_length": 512}, r"args=ORPOConfig\(max_prompt_length="),
    "sft's length": ({"max_seq_length": 512}, "write max_length"),
    "steps": ({"evaluation_steps": 5}, "write eval_steps"),
    "config": ({"orpo_config": None}, "pass it as args="),
    "misspelt": ({"train_datasets": None}, "Did you mean 'train_dataset'"),
    "nothing like it": ({"zzz": None}, "It takes model, args"),
    "a reference": ({"ref_model": "gpt2"}, "no reference model"),
}
