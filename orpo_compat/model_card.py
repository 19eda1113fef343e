"""The model card of a run: what was trained, from what, on what, how, and whom to cite.

``card_facts`` reads a trainer, ``render_card`` turns facts into text, ``ModelCards`` is the trainer's hook that writes
``README.md``. A README that a person wrote, or one of ours that a person changed, is never written over. No path of the
machine that trained gets into a card.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub import ModelCardData

if TYPE_CHECKING:
    from transformers import Trainer

    _Base = Trainer
else:
    _Base = object

logger = logging.getLogger(__name__)

CITATION = """@misc{hong2024orpo,
  title         = {{ORPO}: Monolithic Preference Optimization without Reference Model},
  author        = {Jiwoo Hong and Noah Lee and James Thorne},
  year          = {2024},
  eprint        = {2403.07691},
  archivePrefix = {arXiv},
  primaryClass  = {cs.CL}
}"""

_SIGNED = re.compile(
    r"\A---\n(?P<header>.*?)\n---\n(?P<body>.*)"
    r"<!-- card by orpo-compat, (?P<digest>[0-9a-f]{16}); change the text and it is yours -->"
    r"(\s*### Framework versions\s+- PEFT \S+)?\s*\Z",  # PEFT appends this whenever it saves beside a card
    re.DOTALL,
)
_OTHERS = (
    "generated_from_trainer",
    "This model card has been generated automatically",
    "<!-- Provide a quick summary of what the model is/does. -->",
)
"""Marks of the cards that TRL, transformers and PEFT write by themselves; such a card may be replaced."""

_PACKAGES = ("orpo-compat", "transformers", "torch", "datasets", "peft")


@dataclass(frozen=True)
class CardFacts:
    """Everything a card says. Names are hub names; what has none is left out."""

    model_name: str
    hub_model_id: str | None = None
    base_model: str | None = None
    datasets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    language: str | Sequence[str] | None = None
    license: str | None = None
    adapter: bool = False
    encoder_decoder: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    results: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def render_card(facts: CardFacts, kept: Mapping[str, Any] | None = None) -> str:
    """The card's text: metadata for the hub, prose, two tables, the citation, and a signature.

    Args:
        facts: what the card says.
        kept: metadata of the card that this one replaces; it stays where the facts say nothing.
    """
    parts = [
        f"# {facts.model_name}",
        introduction(facts),
        f"## Use\n\n{usage(facts)}",
        f"## Training\n\n{table('setting', facts.settings)}",
    ]
    if facts.results:
        parts.append(f"Last evaluation:\n\n{table('metric', facts.results)}")
    parts.append("Made with " + ", ".join(f"{name} {version}" for name, version in facts.versions.items()) + ".")
    parts.append(f"## Citation\n\n```bibtex\n{CITATION}\n```")
    body = "\n\n".join(parts)
    signature = f"<!-- card by orpo-compat, {digest(body)}; change the text and it is yours -->"
    return f"---\n{metadata_header(facts, kept or {})}\n---\n\n{body}\n\n{signature}\n"


def metadata_header(facts: CardFacts, kept: Mapping[str, Any]) -> str:
    """The YAML block that the hub reads."""
    said = {
        "base_model": facts.base_model,
        "datasets": list(facts.datasets),
        "language": facts.language if isinstance(facts.language, str) else list(facts.language or ()),
        "library_name": "peft" if facts.adapter else "transformers",
        "license": facts.license,
        "model_name": facts.model_name,
        "tags": list(dict.fromkeys((*facts.tags, *as_names(kept.get("tags"))))),
    }
    merged = {**kept, **{name: held for name, held in said.items() if held}}
    return str(ModelCardData(**dict(sorted(merged.items()))).to_yaml())


def introduction(facts: CardFacts) -> str:
    """One paragraph on what this model is."""
    kind = "An adapter for" if facts.adapter else "A model tuned from"
    base = f"[{facts.base_model}](https://huggingface.co/{facts.base_model})" if facts.base_model else "a local model"
    data = " and ".join(f"[{name}](https://huggingface.co/datasets/{name})" for name in facts.datasets)
    return (
        f"{kind} {base}, trained on preference pairs{f' from {data}' if data else ''} with odds ratio preference "
        "optimization (ORPO): the likelihood of the preferred response, plus a term that makes it more likely than the "
        "rejected one. There is no reference model."
    )


def usage(facts: CardFacts) -> str:
    """A few lines that load the model and let it answer."""
    name = facts.hub_model_id or facts.model_name
    loader = "AutoModelForSeq2SeqLM" if facts.encoder_decoder else "AutoModelForCausalLM"
    return (
        "```python\n"
        f"from transformers import {loader}, AutoTokenizer\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{name}")\n'
        f'model = {loader}.from_pretrained("{name}")\n'
        'inputs = tokenizer("Why do birds sing?", return_tensors="pt")\n'
        "outputs = model.generate(**inputs, max_new_tokens=100)\n"
        "print(tokenizer.decode(outputs[0], skip_special_tokens=True))\n"
        "```"
    )


def table(head: str, values: Mapping[str, object]) -> str:
    """A Markdown table of names and values; floats are shortened."""
    rows = [f"| {name} | {f'{held:.6g}' if isinstance(held, float) else held} |" for name, held in values.items()]
    return "\n".join([f"| {head} | value |", "| --- | --- |", *rows])


def digest(text: str) -> str:
    """The first 16 hex digits of the SHA-256 of a card's text, by which a later run tells whether it was changed."""
    return hashlib.sha256(text.strip().encode("utf-8")).hexdigest()[:16]


def replaceable(text: str) -> dict[str, Any] | None:
    """Whether a README may be written over: an unchanged card of ours, or one that a library generated.

    Returns:
        The metadata to keep from it, or None where it must be left alone.
    """
    signed = _SIGNED.search(text)
    if signed:
        return (yaml.safe_load(signed["header"]) or {}) if digest(signed["body"]) == signed["digest"] else None
    generated = "card by orpo-compat" not in text and any(mark in text for mark in _OTHERS)
    return {} if generated else None


def card_facts(trainer: Any, model_name: str | None = None, dataset_name: Any = None, tags: Any = None) -> CardFacts:
    """Read a trainer's facts.

    Args:
        trainer: an ``ORPOTrainer``.
        model_name: the title; the output folder's name if left out.
        dataset_name: one or several hub names; read from the training data if left out.
        tags: one or several, added to the trainer's own.
    """
    args = trainer.args
    model = trainer.accelerator.unwrap_model(trainer.model)
    adapters = getattr(model, "peft_config", None)
    named = as_names(dataset_name) or hub_datasets(trainer.train_dataset)
    own = (*getattr(trainer, "_tag_names", ()), *(getattr(model, "model_tags", None) or ()))
    return CardFacts(
        model_name=model_name or Path(args.hub_model_id or args.output_dir).name,
        hub_model_id=args.hub_model_id,
        base_model=base_model(model, adapters),
        datasets=named,
        tags=tuple(dict.fromkeys((*own, *as_names(tags)))),
        adapter=bool(adapters),
        encoder_decoder=trainer.is_encoder_decoder,
        settings=settings(trainer),
        results=last_evaluation(trainer.state.log_history),
        versions=versions(),
    )


def as_names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name or several, as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def base_model(model: Any, adapters: Any) -> str | None:
    """The hub name of the model that was tuned, or None for one from a folder or from scratch."""
    name = getattr(model.config, "_name_or_path", "")
    if adapters:
        name = next(iter(adapters.values())).base_model_name_or_path or name
    return name if name and not Path(name).exists() and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) else None


def hub_datasets(data: Any) -> tuple[str, ...]:
    """The hub names in a dataset's record of what was downloaded for it."""
    sources = getattr(getattr(data, "info", None), "download_checksums", None) or {}
    found = (re.match(r"hf://datasets/([\w.-]+(?:/[\w.-]+)?)@", str(source)) for source in sources)
    return tuple(dict.fromkeys(match[1] for match in found if match))


def settings(trainer: Any) -> dict[str, object]:
    """What a reader needs to train the same again."""
    args = trainer.args
    start = "" if args.beta_schedule == "constant" else f" ({args.beta_schedule} from {args.beta_start or 0.0:g})"
    pairs = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    said: dict[str, object] = {
        "beta": f"{args.beta:g}{start}",
        "learning rate": f"{args.learning_rate:g}, {args.lr_scheduler_type.value}",
        "pairs per update": pairs,
        "updates": trainer.state.global_step,
        "epochs": round(float(trainer.state.epoch or 0.0), 3),
        "longest pair": f"{trainer.max_length} tokens",
        "likelihood covers": args.nll_scope.replace("_", " "),
        "loss averaged": "per micro-batch" if args.loss_normalization == "microbatch" else "over each update",
        "precision": "bfloat16" if args.bf16 else "float16" if args.fp16 else "float32",
        "seed": args.seed,
    }
    if hasattr(trainer.train_dataset, "__len__"):
        said["training pairs"] = len(trainer.train_dataset)
    return said


def last_evaluation(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The loss, accuracies and margins of the newest evaluation in a log, under the names they were logged with."""
    wanted = ("_loss", "_rewards/accuracies", "_rewards/margins")
    for entry in reversed(history):
        found = {name: float(held) for name, held in entry.items() if name.startswith("eval") and name.endswith(wanted)}
        if found:
            return {name: held for name, held in found.items() if not name.endswith("nll_loss")}
    return {}


def versions() -> dict[str, str]:
    """The installed versions of the packages that decide a run's numbers."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class ModelCards(_Base):
    """``create_model_card`` with TRL's parameters and transformers', as a mixin of the trainer."""

    def create_model_card(  # type: ignore[override]
        self,
        model_name: str | None = None,
        dataset_name: str | Sequence[str] | None = None,
        tags: str | Sequence[str] | None = None,
        *,
        language: str | Sequence[str] | None = None,
        license: str | None = None,
        finetuned_from: str | None = None,
        dataset: str | Sequence[str] | None = None,
    ) -> None:
        """Write the run's card to ``README.md`` in the output folder, unless a person's README is there.

        Args:
            model_name: the title; the output folder's name if left out.
            dataset_name: hub names of the training data; ``dataset`` is transformers' name for it.
            tags: added to the trainer's own.
            language: see the hub's model card metadata.
            license: see the hub's model card metadata.
            finetuned_from: hub name of the base model, if the model does not know it.
            dataset: the same as ``dataset_name``.
        """
        if not self.is_world_process_zero():
            return
        target = Path(self.args.output_dir or ".") / "README.md"
        kept: dict[str, Any] | None = {}
        if target.exists():
            kept = replaceable(target.read_text(encoding="utf-8", errors="replace"))
        if kept is None:
            logger.warning("%s is not a generated card, so it is left as it is", target)
            return
        facts = card_facts(self, model_name, dataset_name or dataset, tags)
        by_hand: dict[str, Any] = {"language": language, "license": license, "base_model": finetuned_from}
        facts = replace(facts, **{name: held for name, held in by_hand.items() if held is not None})
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(render_card(facts, kept), encoding="utf-8", newline="\n")
