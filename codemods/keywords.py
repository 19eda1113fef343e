"""Arguments of ORPOTrainer and ORPOConfig: which there are, which have a newer name, which defaults moved.

The data of the rules about call sites, read from TRL 0.8.2 to 1.16.0 and transformers 4.40 to 5.23. The trainer
accepts every old spelling by itself; this is for telling users, and for ``--modernize`` and ``--pin-defaults``.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping

from packaging.version import InvalidVersion, Version

TRAINER_KEYWORDS = (
    "model",
    "args",
    "data_collator",
    "train_dataset",
    "eval_dataset",
    "processing_class",
    "model_init",
    "callbacks",
    "optimizers",
    "preprocess_logits_for_metrics",
    "peft_config",
    "compute_metrics",
)

#: Older name -> present name of an argument with the same meaning.
TRAINER_RENAMES: Mapping[str, str] = {"tokenizer": "processing_class"}
CONFIG_RENAMES: Mapping[str, str] = {
    "alpha": "beta",
    "orpo_alpha": "beta",
    "lambda_": "beta",
    "evaluation_strategy": "eval_strategy",
    "no_cuda": "use_cpu",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "push_to_hub_token": "hub_token",
    "push_to_hub_model_id": "hub_model_id",
    "torchdynamo": "torch_compile_backend",
}

#: Older flag -> what ``flag=True`` is called now.
CONFIG_FLAGS: Mapping[str, tuple[str, str]] = {
    "adafactor": ("optim", '"adafactor"'),
    "group_by_length": ("train_sampling_strategy", '"group_by_length"'),
    "include_inputs_for_metrics": ("include_for_metrics", '["inputs"]'),
}

#: Arguments that were accepted once and mean nothing any more.
CONFIG_INERT = frozenset(
    {
        "fp16_backend",
        "fp16_opt_level",
        "half_precision_backend",
        "include_tokens_per_second",
        "jit_mode_eval",
        "mp_parameters",
        "overwrite_output_dir",
        "past_index",
        "ray_scope",
        "save_safetensors",
        "tp_size",
        "tpu_num_cores",
        "use_ipex",
        "use_legacy_prediction_loop",
        "use_mps_device",
    }
)

_CONFIG_KEYWORDS = """
    accelerator_config activation_checkpointing activation_checkpointing_kwargs adafactor adam_beta1 adam_beta2
    adam_epsilon alpha auto_find_batch_size average_tokens_across_devices batch_eval_metrics beta beta_schedule
    beta_start bf16 bf16_full_eval data_seed dataloader_drop_last dataloader_in_order
    dataloader_multiprocessing_context dataloader_num_workers dataloader_persistent_workers
    dataloader_pin_memory dataloader_prefetch_factor dataset_num_proc ddp_backend ddp_broadcast_buffers
    ddp_bucket_cap_mb ddp_find_unused_parameters ddp_static_graph ddp_timeout debug deepspeed disable_dropout
    disable_tqdm dispatch_batches do_eval do_predict do_train enable_jit_checkpoint eval_accumulation_steps
    eval_delay eval_do_concat_batches eval_on_start eval_steps eval_strategy eval_use_gather_object
    evaluation_strategy fp16 fp16_backend fp16_full_eval fp16_opt_level fsdp fsdp_config fsdp_min_num_params
    fsdp_transformer_layer_cls_to_wrap full_determinism generate_during_eval gradient_accumulation_steps
    gradient_checkpointing gradient_checkpointing_kwargs greater_is_better group_by_length
    half_precision_backend hub_always_push hub_model_id hub_private_repo hub_revision hub_strategy hub_token
    ignore_data_skip include_for_metrics include_inputs_for_metrics include_num_input_tokens_seen
    include_tokens_per_second is_encoder_decoder jit_mode_eval label_names label_pad_token_id
    label_smoothing_factor lambda_ learning_rate length_column_name liger_kernel_config load_best_model_at_end
    local_rank log_level log_level_replica log_on_each_node logging_dir logging_first_step
    logging_nan_inf_filter logging_steps logging_strategy loss_normalization lr_scheduler_kwargs
    lr_scheduler_type max_completion_length max_grad_norm max_length max_prompt_length max_steps
    metric_for_best_model model_init_kwargs mp_parameters nan_policy neftune_noise_alpha nll_scope no_cuda
    num_train_epochs optim optim_args optim_target_modules orpo_alpha output_dir overwrite_output_dir packing
    padding padding_value parallelism_config past_index per_device_eval_batch_size per_device_train_batch_size
    per_gpu_eval_batch_size per_gpu_train_batch_size prediction_loss_only project push_to_hub
    push_to_hub_model_id push_to_hub_organization push_to_hub_token ray_scope remove_unused_columns report_to
    restore_callback_states_from_checkpoint resume_from_checkpoint run_name save_on_each_node save_only_model
    save_safetensors save_steps save_strategy save_total_limit seed skip_memory_metrics split_batches tf32
    tokens_per_pass torch_compile torch_compile_backend torch_compile_mode torch_empty_cache_steps torchdynamo
    tp_size tpu_metrics_debug tpu_num_cores trackio_bucket_id trackio_space_id trackio_static_space_id
    train_sampling_strategy truncation_mode trust_remote_code use_cache use_cpu use_ipex
    use_legacy_prediction_loop use_liger_kernel use_mps_device warmup_ratio warmup_steps weight_decay
"""
CONFIG_KEYWORDS = frozenset(_CONFIG_KEYWORDS.split())

#: Release -> defaults that changed in it, as source text; ``bf16`` was switched on where the device has it in 0.19.
DEFAULT_CHANGES: tuple[tuple[str, Mapping[str, str]], ...] = (
    (
        "0.8.2",
        {
            "learning_rate": "5e-5",
            "logging_steps": "500",
            "bf16": "False",
            "gradient_checkpointing": "False",
            "max_length": "512",
            "max_prompt_length": "128",
            "truncation_mode": '"keep_end"',
        },
    ),
    ("0.12.0", {"learning_rate": "1e-6"}),
    ("0.14.0", {"max_length": "1024", "max_prompt_length": "512"}),
    ("0.19.0", {"logging_steps": "10", "bf16": "None"}),
    ("0.22.0", {"gradient_checkpointing": "True"}),
    ("0.28.0", {"max_prompt_length": "None", "truncation_mode": "None"}),
)


def defaults_at(release: str | None) -> dict[str, str]:
    """Defaults of a TRL release, as source text; of the newest one for None or what is no version."""
    try:
        asked = None if release is None else Version(release)
    except InvalidVersion:
        asked = None
    known = [Version(since) for since, _ in DEFAULT_CHANGES]
    count = len(known) if asked is None else max(1, bisect(known, asked))
    settled: dict[str, str] = {}
    for _, changed in DEFAULT_CHANGES[:count]:
        settled.update(changed)
    return settled


def drifted(release: str | None) -> dict[str, tuple[str, str]]:
    """Defaults that differ between a release and ours: name -> (theirs, ours)."""
    theirs, ours = defaults_at(release), defaults_at(None)
    return {name: (value, ours[name]) for name, value in theirs.items() if value != ours[name]}
