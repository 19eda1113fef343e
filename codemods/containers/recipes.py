"""Settings that ask for ORPO without naming a class: recipe files for ORPOConfig, and other frameworks' switches.

Nothing here is edited. Each finding says whether the setting works as it is, and on which side of orpo_compat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from codemods.containers.mentions import Places
from codemods.findings import Finding, Severity

RETIRED_BY_TRL = {
    "max_prompt_length": "0.28",
    "label_pad_token_id": "0.28",
    "truncation_mode": "1.0",
}
"""Fields of ORPOConfig -> the TRL release that removed them. orpo_compat has them all."""

_RETIRED_BY_TRANSFORMERS_WORDS = (
    "evaluation_strategy warmup_ratio group_by_length logging_dir no_cuda per_gpu_train_batch_size "
    "per_gpu_eval_batch_size push_to_hub_token push_to_hub_model_id push_to_hub_organization "
    "include_inputs_for_metrics adafactor torchdynamo dispatch_batches split_batches overwrite_output_dir "
    "save_safetensors use_mps_device fp16_backend half_precision_backend fp16_opt_level "
    "include_tokens_per_second jit_mode_eval use_ipex past_index mp_parameters ray_scope tpu_num_cores "
    "use_legacy_prediction_loop"
)
RETIRED_BY_TRANSFORMERS = frozenset(_RETIRED_BY_TRANSFORMERS_WORDS.split())
"""Fields that transformers 5 no longer takes; orpo_compat translates or ignores them, and says so once."""

NEVER_EXISTED = {
    "orpo_beta": "beta",
    "pref_beta": "beta",
    "max_seq_length": "max_length",
    "evaluation_steps": "eval_steps",
}
"""Names found in recipes that no ORPOConfig ever had -> what was meant."""

_TELLING_WORDS = (
    "output_dir per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps "
    "learning_rate num_train_epochs lr_scheduler_type logging_steps max_length max_prompt_length optim "
    "save_strategy report_to gradient_checkpointing eval_strategy evaluation_strategy warmup_ratio "
    "warmup_steps bf16"
)
_TELLING = frozenset(_TELLING_WORDS.split())
_OTHER_TASKS = re.compile(
    rb"(?i)\b(?:loss_type|stage|task|method)\b[\"']?[ \t]*[:=][ \t]*[\"']?(?:dpo|sft|kto|sigmoid|ppo|grpo|rm)\b"
)


@dataclass(frozen=True)
class Framework:
    """Another framework's way to ask for ORPO."""

    name: str
    switch: re.Pattern[bytes]
    verdict: str


FRAMEWORKS = (
    Framework(
        "axolotl",
        re.compile(rb"(?m)^[ \t]*[\"']?rl[\"']?[ \t]*[:=][ \t]*[\"']?orpo\b"),
        "It works as it is with the TRL that axolotl pins, which axolotl imports by itself; orpo_compat is not "
        "involved. To train the same with orpo_compat: orpo_alpha is beta, sequence_len is max_length, "
        "micro_batch_size is per_device_train_batch_size.",
    ),
    Framework(
        "ms-swift",
        re.compile(rb"\brlhf_type[\"']?[ \t]*[\s=:][ \t\\\r\n]*[\"']?orpo\b"),
        "It works as it is with the TRL that ms-swift pins, which ms-swift imports by itself; orpo_compat is not "
        "involved.",
    ),
    Framework(
        "LLaMA-Factory",
        re.compile(rb"\bpref_loss[\"']?[ \t]*[\s=:][ \t\\\r\n]*[\"']?orpo\b"),
        "It works as it is: LLaMA-Factory computes this loss itself, without TRL's ORPO trainer; pref_beta is beta.",
    ),
    Framework(
        "AutoTrain",
        re.compile(rb"\btask[\"']?[ \t]*[:=][ \t]*[\"']?llm-orpo\b|--trainer[ =\t]+[\"']?orpo\b"),
        "It works as it is with the TRL that AutoTrain pins; orpo_compat is not involved.",
    ),
)


_LOSS_TYPE = re.compile(rb"\bloss_type[\"']?[ \t]*[\s=:][ \t]*[\"']?orpo\b")


def report_loss_type(path: str, places: Places) -> list[Finding]:
    """`loss_type: orpo`, a setting of DPO and CPO that no release of TRL accepts."""
    findings = []
    for match in _LOSS_TYPE.finditer(places.text):
        line, column = places.at(match.start())
        message = "loss_type orpo is refused by every release of TRL's DPO and CPO trainers."
        advice = "Train with orpo_compat's ORPOTrainer and ORPOConfig, unless another framework reads this file."
        findings.append(Finding("OC125", path, line, column, message, advice))
    return findings


def report_frameworks(path: str, places: Places) -> list[Finding]:
    """One finding per switch of another framework."""
    findings = []
    for framework in FRAMEWORKS:
        for match in framework.switch.finditer(places.text):
            offset = match.start() + len(match.group()) - len(match.group().lstrip())
            line, column = places.at(offset)
            switch = " ".join(match.group().decode("utf-8", "replace").split())
            message = f"{framework.name} is asked for ORPO: `{switch}`."
            findings.append(Finding("OC119", path, line, column, message, framework.verdict, Severity.INFO))
    return findings


def report_recipe(path: str, places: Places, spelling: Literal["yaml", "json", "flags"]) -> list[Finding]:
    """Whether a settings file or a command line that feeds ORPOConfig works as it is.

    A recipe is a text that says ORPO and sets at least three training arguments.
    """
    source = places.text
    if b"orpo" not in f"{path}\n".lower().encode() + source.lower():
        return []
    keys = dict(_keys(source, spelling))
    if len(_TELLING & keys.keys()) < 3 or _OTHER_TASKS.search(source) or report_frameworks(path, places):
        return []
    return list(_verdict(path, places, keys))


def _keys(source: bytes, spelling: str) -> Iterator[tuple[str, int]]:
    """Every key with the offset of its last mention, in reverse order, so that the first one wins in a dict."""
    pattern = {
        "yaml": rb"(?m)^[ \t]*[\"']?(?P<key>[A-Za-z_]\w*)[\"']?[ \t]*:(?=\s)",
        "json": rb"\"(?P<key>[A-Za-z_]\w*)\"[ \t\r\n]*:",
        "flags": rb"(?<![\w-])--(?P<key>[A-Za-z_][\w-]*)(?=[ =\t\r\n\\])",
    }[spelling]
    for match in reversed(list(re.finditer(pattern, source))):
        yield match["key"].decode().replace("-", "_"), match.start("key")


def _verdict(path: str, places: Places, keys: dict[str, int]) -> Iterator[Finding]:
    for name in sorted(NEVER_EXISTED.keys() & keys.keys(), key=lambda key: keys[key]):
        line, column = places.at(keys[name])
        message = f"{name} was never an argument of ORPOConfig: orpo_compat refuses it, as TRL does."
        yield Finding("OC119", path, line, column, message, f"Write {NEVER_EXISTED[name]}.")
    gone = {name: f"TRL {release}" for name, release in RETIRED_BY_TRL.items() if name in keys}
    gone |= dict.fromkeys(sorted(RETIRED_BY_TRANSFORMERS & keys.keys()), "transformers 5")
    if gone:
        line, column = places.at(min(keys[name] for name in gone))
        listed = ", ".join(f"{name} (gone in {release})" for name, release in gone.items())
        message = f"Settings for ORPOConfig with retired names: {listed}."
        advice = "It works as it is: orpo_compat's ORPOConfig takes these names. TRL's no longer does."
    else:
        line, column = places.at(min(keys[name] for name in _TELLING & keys.keys()))
        message, advice = "Settings for ORPOConfig.", "It works as it is with orpo_compat's ORPOConfig."
    yield Finding("OC119", path, line, column, message, advice, Severity.INFO)
