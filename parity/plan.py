"""Puts the question on disk: the seed checkpoint, the tokenizer, the rows in their order, and the digests of all three.

Both arms read the same files, so that nothing depends on who draws random numbers first. Weights come from the disk,
the hub, or a seeded draw of the bundled architecture, and the plan says which. It trains nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity import tokenizer as small_tokenizer
from parity.arm.digests import file_digest
from parity.catalog import ModelSource, find_model
from parity.errors import SpecError
from parity.rows import Row, make_rows
from parity.spec import Spec, digest_json

# Whole tensors are traced up to this many parameters in all; beyond it, evenly strided samples of each.
_WHOLE_UP_TO = 2_000_000
_SAMPLE = 4096

# What neither trainer may decide for itself: files, devices, progress bars, saving.
_HARNESS: dict[str, Any] = {
    "report_to": [],
    "disable_tqdm": True,
    "logging_steps": 1,
    "logging_first_step": True,
    "logging_nan_inf_filter": False,
    "save_strategy": "no",
    "dataloader_num_workers": 0,
    "dataloader_pin_memory": False,
    "remove_unused_columns": False,
    "fp16": False,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A question on disk, ready for arms."""

    file: Path
    spec: Spec
    digest: str
    origin: str
    """Where the weights came from, in a sentence for the report's first line."""
    random_weights: bool
    num_parameters: int
    whole: bool
    """Whether tensors are traced whole, or large ones by evenly strided samples."""

    @property
    def folder(self) -> Path:
        """The folder that holds the plan."""
        return self.file.parent


def make_plan(spec: Spec, folder: Path) -> Plan:
    """Write everything both arms need into ``folder`` and return it.

    Raises:
        SpecError: the model, its weights or the data cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = find_model(spec.model)
    model_dir, tokenizer_dir, origin = _get_model(source, spec, folder)
    rows = _make_rows(spec)
    rows_file = folder / "rows.json"
    rows_file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    num_parameters = _count_parameters(model_dir)
    content = {
        "spec": spec.as_dict(),
        "spec_digest": spec.digest,
        "settings": _settings(spec),
        "sample_limit": 0 if num_parameters <= _WHOLE_UP_TO else _SAMPLE,
        "checkpoint": _digest_folder(model_dir),
        "tokenizer": _digest_folder(tokenizer_dir, only=("token", "special", "vocab", "merges", "chat")),
        "rows": digest_json(rows),
        "origin": origin,
        "num_parameters": num_parameters,
    }
    digest = digest_json(content)
    places = {"model_dir": str(model_dir), "tokenizer_dir": str(tokenizer_dir), "rows_file": str(rows_file)}
    file = folder / "plan.json"
    file.write_text(json.dumps({**content, "digest": digest, **places}, indent=1), encoding="utf-8")
    return Plan(file, spec, digest, origin, "random" in origin, num_parameters, content["sample_limit"] == 0)


def _settings(spec: Spec) -> dict[str, Any]:
    return {
        **_HARNESS,
        "use_cpu": spec.device == "cpu",
        "seed": spec.seed,
        "max_steps": spec.steps,
        **spec.settings,
    }


def _make_rows(spec: Spec) -> dict[str, list[Row]]:
    needed = spec.num_rows + spec.num_eval_rows
    if spec.data is None:
        rows = make_rows(spec.shape, needed, seed=spec.seed)  # type: ignore[arg-type]  # checked inside
    else:
        rows = _read_rows(Path(spec.data), needed)
    if spec.max_row_chars:
        rows = [_shortened(row, spec.max_row_chars) for row in rows]
    return {"train": rows[: spec.num_rows], "eval": rows[spec.num_rows :]}


def _read_rows(path: Path, needed: int) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8")
        rows = (
            [json.loads(line) for line in text.splitlines() if line.strip()]
            if path.suffix == ".jsonl"
            else json.loads(text)
        )
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot read rows from {path}: {error}; give a JSON list or JSON lines") from error
    wanted = "rows with 'chosen' and 'rejected' (and usually 'prompt')"
    if not isinstance(rows, list) or not rows:
        got = "no rows" if isinstance(rows, list) else f"one JSON {type(rows).__name__}"
        raise SpecError(f"{path} must hold {wanted}; it holds {got}")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not {"chosen", "rejected"} <= row.keys():
            got = f"the columns {', '.join(map(repr, row))}" if isinstance(row, dict) else f"a {type(row).__name__}"
            raise SpecError(f"{path} must hold {wanted}; row {number} has {got}; rename its columns")
    kept = [{key: row[key] for key in ("prompt", "chosen", "rejected") if key in row} for row in rows]
    return (kept * -(-needed // len(kept)))[:needed]


def _shortened(row: Row, limit: int) -> Row:
    return {key: value[:limit] if isinstance(value, str) else value for key, value in row.items()}


def _get_model(source: ModelSource, spec: Spec, folder: Path) -> tuple[Path, Path, str]:
    if source.folder is not None and spec.weights != "random":
        return source.folder, source.folder, f"weights and tokenizer of {source.folder.name}, from disk"
    found = None if source.embedded or spec.weights == "random" else _snapshot(source, spec)
    if found is not None:
        return found, found, f"weights and tokenizer of {source.hub_name}, from the hub or its cache"
    model_dir = folder / "model"
    _draw(source, spec, model_dir)
    small_tokenizer.write(model_dir)
    if source.embedded:
        return model_dir, model_dir, f"embedded model {source.name} with seeded random weights"
    why = "as asked" if spec.weights == "random" else "because neither disk nor hub has the real ones"
    return model_dir, model_dir, f"architecture of {source.name} with seeded random weights, {why}"


def _snapshot(source: ModelSource, spec: Spec) -> Path | None:
    """Return the folder of a hub model, from the cache or downloaded; nothing where neither works and random may."""
    from huggingface_hub import snapshot_download

    assert source.hub_name is not None
    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
    failures = []
    for offline in (True, False):
        try:
            folder = Path(
                snapshot_download(source.hub_name, allow_patterns=patterns, local_files_only=offline, etag_timeout=5)
            )
            if any(folder.glob("*.safetensors")):
                return folder
        except Exception as error:  # every transport has its own exceptions, and all of them mean: not there
            failures.append(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    if spec.weights == "hub" or source.config is None:
        raise SpecError(
            f"the weights of {source.hub_name} are neither cached nor reachable "
            f"({failures[-1] if failures else 'no file'}); "
            "use --weights random, or give a folder"
        )
    return None


def _draw(source: ModelSource, spec: Spec, model_dir: Path) -> None:
    """Write a model of the source's architecture with weights drawn from the spec's seed."""
    import torch
    import transformers

    if source.folder is not None:
        config_text = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
    else:
        config_text = source.read_config()
    model_dir.mkdir(parents=True, exist_ok=True)
    config_text |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    (model_dir / "config.json").write_text(json.dumps(config_text, indent=1), encoding="utf-8")
    config = transformers.AutoConfig.from_pretrained(str(model_dir))
    auto = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    generator_state = torch.get_rng_state()
    torch.manual_seed(spec.seed)
    model = auto.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
    torch.set_rng_state(generator_state)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model.save_pretrained(str(model_dir))
    (model_dir / "config.json").write_text(json.dumps(config_text, indent=1), encoding="utf-8")
    (model_dir / "generation_config.json").unlink(missing_ok=True)


def _count_parameters(model_dir: Path) -> int:
    from safetensors import safe_open

    total = 0
    for path in sorted(model_dir.glob("*.safetensors")):
        with safe_open(str(path), framework="np") as file:
            for name in file.keys():  # noqa: SIM118  # not a dict
                shape = file.get_slice(name).get_shape()
                count = 1
                for size in shape:
                    count *= size
                total += count
    return total


def _digest_folder(folder: Path, only: tuple[str, ...] = ("config", "model")) -> dict[str, str]:
    digests = {}
    for path in sorted(folder.iterdir()):
        if (
            path.is_file()
            and path.name.startswith(only)
            and path.suffix in (".json", ".safetensors", ".model", ".txt", ".jinja")
        ):
            digests[path.name] = file_digest(path)
    return digests
