"""Which ORPO name lived in which TRL module, in which releases, and where it goes.

Read from the sources of TRL 0.8.2 to 1.16.0. ORPO came with 0.8.2; 0.26.0 moved it to ``trl.experimental.orpo`` and
left deprecated subclasses behind; 0.29.0 removed those and the two old modules. Everything here is data: the rules
decide what to do with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

OURS = "orpo_compat"
TRAINER = "ORPOTrainer"
CONFIG = "ORPOConfig"
CLASSES = frozenset({TRAINER, CONFIG})

#: Module of TRL -> the ORPO classes it offered, with the releases (first, first without).
SOURCES: Mapping[str, frozenset[str]] = {
    "trl": CLASSES,
    "trl.trainer": CLASSES,
    "trl.trainer.orpo_trainer": CLASSES,
    "trl.trainer.orpo_config": frozenset({CONFIG}),
    "trl.experimental.orpo": CLASSES,
    "trl.experimental.orpo.orpo_trainer": CLASSES,
    "trl.experimental.orpo.orpo_config": frozenset({CONFIG}),
}

#: Modules that exist for ORPO alone.
ORPO_MODULES = frozenset(module for module in SOURCES if "orpo" in module)

#: Packages that lead to one of the above, and hold other things too.
PACKAGES = frozenset({"trl", "trl.trainer", "trl.experimental"})

#: Module -> the releases that have it, for messages.
LIFETIMES: Mapping[str, str] = {
    "trl": "TRL 0.8.2 to 0.28",
    "trl.trainer": "TRL 0.8.2 to 0.28",
    "trl.trainer.orpo_trainer": "TRL 0.8.2 to 0.28",
    "trl.trainer.orpo_config": "TRL 0.8.2 to 0.28",
    "trl.experimental.orpo": "TRL 0.26 and later",
    "trl.experimental.orpo.orpo_trainer": "TRL 0.26 and later, as a private file",
    "trl.experimental.orpo.orpo_config": "TRL 0.26 and later, as a private file",
}


def removed_by(module: str) -> str | None:
    """The first TRL release without ORPO in ``module``, None while it is still there."""
    return "0.29" if module in SOURCES and not module.startswith("trl.experimental") else None


#: TRL's own helpers that could be imported from the ORPO trainer's module, and where TRL 1.16 keeps them.
HELPER_HOMES: Mapping[str, str | None] = {
    "DPODataCollatorWithPadding": "trl.experimental.utils",
    "pad_to_length": "trl.experimental.utils",
    "add_bos_token_if_needed": "trl.experimental.utils",
    "add_eos_token_if_needed": "trl.experimental.utils",
    "peft_module_casting_to_bf16": "trl.experimental.utils",
    "disable_dropout_in_model": "trl.trainer.utils",
    "selective_log_softmax": "trl.trainer.utils",
    "generate_model_card": "trl.trainer.utils",
    "get_comet_experiment_url": "trl.trainer.utils",
    "log_table_to_comet_experiment": "trl.trainer.utils",
    "get_config_model_id": "trl.trainer.utils",
    "maybe_apply_chat_template": "trl",
    "maybe_extract_prompt": "trl",
    "log1mexp": "trl.experimental.orpo.orpo_trainer",
    "_BaseTrainer": "trl.trainer.base_trainer",
    "trl_sanitze_kwargs_for_tagging": None,
    "PreTrainedModelWrapper": None,
    "BaseTrainer": None,
}

#: Names that ORPO scripts import from ``trl`` beside the classes, and the first release without them.
GONE_FROM_TRL: Mapping[str, tuple[str, str]] = {
    "setup_chat_format": ("0.26", "use clone_chat_template, or the tokenizer's own template"),
    "get_kbit_device_map": ("1.8", "pass device_map to from_pretrained by hand"),
    "DataCollatorForCompletionOnlyLM": ("0.20", "use SFTConfig(completion_only_loss=True)"),
    "DPOScriptArguments": ("0.13", "use ScriptArguments"),
    "PreTrainedModelWrapper": ("0.29", "it has no successor"),
}

_THIRD_PARTY = """
    typing: Any Callable Dict List Literal Optional TYPE_CHECKING Tuple Union
    torch: DataLoader F amp autocast is_torch_fx_proxy nn torch xm
    transformers: AutoModelForCausalLM AutoTokenizer BaseImageProcessor DataCollator EvalLoopOutput EvalPrediction
    transformers: FeatureExtractionMixin PreTrainedModel PreTrainedTokenizer PreTrainedTokenizerBase ProcessorMixin
    transformers: Trainer TrainerCallback is_comet_available is_torch_fx_proxy is_torch_xla_available set_seed
    transformers: is_torchvision_available is_wandb_available logger logging transformers
    accelerate: Accelerator PartialState get_logger is_deepspeed_available
    datasets: Dataset
    peft: PeftConfig PeftModel get_peft_model is_peft_available is_peft_model prepare_model_for_kbit_training
    trl: global_then_local_main_first is_peft_available
    packaging: Version version
    contextlib: contextmanager nullcontext
    copy: deepcopy
    collections: defaultdict
    functools: wraps
    pathlib: Path
    numpy: np
    pandas: pd
    inspect: inspect
    os: os
    random: random
    textwrap: textwrap
    wandb: wandb
    warnings: warnings
"""

#: Other names a star import of the old trainer module brought along, with the libraries they come from.
THIRD_PARTY: Mapping[str, frozenset[str]] = {
    name: frozenset(line.split(":")[0].strip() for line in _THIRD_PARTY.splitlines() if name in line.split()[1:])
    for name in {name for line in _THIRD_PARTY.splitlines() for name in line.split()[1:]}
}


@dataclass(frozen=True)
class Move:
    """One direction of travel: the modules names come from, and the one module they go to."""

    sources: Mapping[str, frozenset[str]]
    """Module -> names that move."""
    target: str
    """Module they move to."""

    @property
    def source_root(self) -> str:
        """Top-level package of the sources."""
        return next(iter(self.sources)).partition(".")[0]

    @property
    def target_root(self) -> str:
        """The name ``import target`` binds."""
        return self.target.partition(".")[0]

    @property
    def modules(self) -> frozenset[str]:
        """Modules that are nothing but sources: importing one of them is about ORPO."""
        return frozenset(module for module in self.sources if module not in PACKAGES)

    @property
    def packages(self) -> frozenset[str]:
        """Every module through which a source can be reached, sources included."""
        reached = set(self.sources)
        for module in self.sources:
            while "." in module:
                module = module.rpartition(".")[0]
                reached.add(module)
        return frozenset(reached)

    def moves(self, qualified: str) -> bool:
        """Whether the dotted name is one that moves."""
        module, _, name = qualified.rpartition(".")
        return name in self.sources.get(module, ())


FORWARD = Move(SOURCES, OURS)

#: Where the classes live in our package; ``from orpo_compat import ...`` is what the forward direction writes.
OUR_SOURCES: Mapping[str, frozenset[str]] = {
    OURS: CLASSES,
    f"{OURS}.trainer": frozenset({TRAINER}),
    f"{OURS}.config": frozenset({CONFIG}),
}


def backward(target: str, release: str | None = None) -> Move:
    """The way back to ``target``: "trl", "trl.experimental.orpo", or "auto" for what ``release`` (the newest) has.

    Raises:
        ValueError: TRL never had the classes there.
    """
    if target == "auto":
        target = "trl" if _before_experimental(release) else "trl.experimental.orpo"
    if SOURCES.get(target) != CLASSES:
        known = ", ".join(sorted(module for module, names in SOURCES.items() if names == CLASSES))
        raise ValueError(f"cannot move ORPO back to {target!r}: TRL has had both classes in {known}")
    return Move(OUR_SOURCES, target)


def _before_experimental(release: str | None) -> bool:
    try:
        return release is not None and Version(release) < Version("0.26")
    except InvalidVersion:
        return False
