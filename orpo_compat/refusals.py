"""Names that people pass to ``ORPOConfig`` and no release ever had, and what each of them wanted to say.

A mistyped argument that is swallowed costs a training run, so every unknown name is a ``TypeError``. The message begins
as Python's own does (code in the wild reads the name out of it) and goes on with advice or the nearest known name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from orpo_compat.errors import UnknownArgument

_NO_REFERENCE = "ORPO has no reference model, so there is nothing to set"
_TRAINER = "pass it to ORPOTrainer"
_LOADING = "pass model_init_kwargs={{'{0}': ...}}"
_LORA = "pass peft_config=LoraConfig(...) to ORPOTrainer"
_KTO = "it belongs to KTO, which weights single examples; ORPO's one weight is beta"

ADVICE: dict[str, str] = {
    "loss_type": "ORPO has one loss, the odds ratio; other losses are DPO's and CPO's",
    "ref_model_init_kwargs": _NO_REFERENCE,
    "precompute_ref_log_probs": _NO_REFERENCE,
    "reference_free": _NO_REFERENCE,
    "sync_ref_model": _NO_REFERENCE,
    "ref_model": _NO_REFERENCE,
    "desirable_weight": _KTO,
    "undesirable_weight": _KTO,
    "orpo_beta": "write beta",
    "lambda": "write beta (or lambda_)",
    "pref_beta": "write beta",
    "rl_beta": "write beta",
    "max_seq_length": "write max_length; it counts prompt and response together",
    "max_seq_len": "write max_length; it counts prompt and response together",
    "max_target_length": "write max_completion_length",
    "max_response_length": "write max_completion_length",
    "evaluation_steps": "write eval_steps",
    "epochs": "write num_train_epochs",
    "num_epochs": "write num_train_epochs",
    "lr": "write learning_rate",
    "batch_size": "write per_device_train_batch_size",
    "train_batch_size": "write per_device_train_batch_size",
    "eval_batch_size": "write per_device_eval_batch_size",
    "micro_batch_size": "write per_device_train_batch_size",
    "num_workers": "write dataloader_num_workers",
    "lr_scheduler": "write lr_scheduler_type",
    "optimizer": "write optim, or pass optimizers=(optimizer, scheduler) to ORPOTrainer",
    "model": _TRAINER,
    "model_name": "pass the model's name to ORPOTrainer(model=...)",
    "model_name_or_path": "pass the model's name to ORPOTrainer(model=...)",
    "tokenizer": _TRAINER,
    "processing_class": _TRAINER,
    "train_dataset": _TRAINER,
    "eval_dataset": _TRAINER,
    "data_collator": _TRAINER,
    "callbacks": _TRAINER,
    "compute_metrics": _TRAINER,
    "metrics_fn": _TRAINER,
    "peft_config": _TRAINER,
    "lora_r": _LORA,
    "lora_alpha": _LORA,
    "lora_dropout": _LORA,
    "target_modules": _LORA,
    "use_peft": _LORA,
    "dtype": _LOADING.format("dtype"),
    "torch_dtype": _LOADING.format("dtype"),
    "attn_implementation": _LOADING.format("attn_implementation"),
    "load_in_4bit": _LOADING.format("quantization_config"),
    "load_in_8bit": _LOADING.format("quantization_config"),
    "quantization_config": _LOADING.format("quantization_config"),
    "device_map": _LOADING.format("device_map"),
    "dataset_name": "load the dataset and pass it to ORPOTrainer(train_dataset=...)",
    "dataset_text_field": "ORPO reads the columns prompt, chosen and rejected; rename yours",
    "simpo_gamma": "it belongs to SimPO (CPOTrainer with loss_type='simpo'), not to ORPO",
    "cpo_alpha": "it belongs to CPO; ORPO's negative log-likelihood has weight 1, and beta weights the odds ratio",
    "label_smoothing": "ORPO's odds term has none; label_smoothing_factor is the one of TrainingArguments",
}


def unknown_argument(owner: str, name: str, known: Iterable[str]) -> UnknownArgument:
    """The error for an argument that nobody ever had.

    Args:
        owner: the class that was called, as it should be shown.
        name: the argument.
        known: every argument it takes, to find the nearest.
    """
    said = f"{owner}.__init__() got an unexpected keyword argument '{name}'"
    if name in ADVICE:
        return UnknownArgument(f"{said}: {ADVICE[name]}.")
    spelled = name.replace("-", "_").strip("_").lower()
    near = difflib.get_close_matches(spelled, sorted(known), n=1, cutoff=0.6)
    hint = (
        f"Did you mean '{near[0]}'?" if near else "No release of TRL or transformers had it; docs/config.md lists all."
    )
    return UnknownArgument(f"{said}. {hint}")
