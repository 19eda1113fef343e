"""The data side of `train`: from files and options to the pairs trained on and held out, every row accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orpo_compat.cli.train_settings import TrainSettings
from orpo_compat.columns import Columns
from orpo_compat.measuring import pair_lengths
from orpo_compat.models import give_template
from orpo_compat.pairs import Pair, Pairs, to_pairs
from orpo_compat.selection import Screened, prompt_key, screen, split_by_prompt
from orpo_compat.sources import Source, read_source

_AUTO_FRACTION, _AUTO_PROMPTS = 0.1, 20


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a run trains on and evaluates with."""

    train: list[Pair]
    held_out: list[Pair]
    unit: str
    report: dict[str, Any]
    """For `run.json`: sources, digests, counts, reasons."""

    def dataset(self, pairs: list[Pair]) -> Any:
        """The pairs as a Dataset whose ``row_id`` says where each came from; None for no pairs."""
        from datasets import Dataset

        rows = [{**pair.as_row(), "row_id": f"{self.unit} {pair.place}"} for pair in pairs]
        return Dataset.from_list(rows) if rows else None


def asked_columns(settings: TrainSettings) -> Columns:
    """The columns that the user named."""
    return Columns(
        prompt=settings.prompt_column,
        chosen=settings.chosen_column,
        rejected=settings.rejected_column,
        system=settings.system_column,
    )


def read_pairs(settings: TrainSettings, where: str, split: str | None) -> tuple[Source, Pairs]:
    """Read one source as pairs, with the settings' columns and file options."""
    columns = asked_columns(settings)
    source = read_source(
        where, split=split, delimiter=settings.delimiter, encoding=settings.encoding, wanted=columns.asked()
    )
    return source, to_pairs(source, columns, as_chat=settings.as_chat)


def gather(settings: TrainSettings, *, seed: int, tokenizer: Any, max_length: int) -> Gathered:
    """Read, filter, cap and split.

    Args:
        settings: what the user asked for.
        seed: of the split.
        tokenizer: measures pairs for ``drop_overlength``.
        max_length: the limit for it, in tokens.

    Raises:
        DataError: nothing usable is left.
    """
    source, pairs = read_pairs(settings, settings.data, settings.split)
    give_template(tokenizer, settings.chat_template, needed=pairs.chat)
    screened = _screen(settings, pairs, tokenizer, max_length)
    kept = screened.kept[: settings.max_samples] if settings.max_samples else screened.kept
    if settings.eval_data:
        train = kept
        other, other_pairs = read_pairs(settings, settings.eval_data, settings.eval_split)
        held_out = _screen(settings, other_pairs, tokenizer, max_length).kept
        separate: dict[str, Any] = {"eval_source": settings.eval_data, "eval_digest": other.digest}
    else:
        train, held_out = split_by_prompt(kept, _fraction(settings, kept), seed=seed)
        separate = {}
    report = {
        "source": settings.data,
        "digest": source.digest,
        "format": source.kind,
        "layout": pairs.layout,
        "notes": list(source.notes),
        "rows": len(pairs.rows),
        "dropped": {reason: {"pairs": len(at), "first": at[:20]} for reason, at in screened.dropped.items()},
        "train_pairs": len(train),
        "held_out_pairs": len(held_out),
        **separate,
    }
    return Gathered(train, held_out, source.unit, report)


def _screen(settings: TrainSettings, pairs: Pairs, tokenizer: Any, max_length: int) -> Screened:
    screened = screen(
        pairs.rows, drop_identical=not settings.keep_identical, drop_duplicates=not settings.keep_duplicates
    )
    if not settings.drop_overlength:
        return screened
    lengths = pair_lengths(screened.kept, tokenizer)
    long = {pair.place for pair, size in zip(screened.kept, lengths, strict=True) if size.total > max_length}
    shorter = screen(screened.kept, drop_identical=False, drop_duplicates=False, too_long=lambda p: p.place in long)
    return Screened(shorter.kept, {**screened.dropped, **shorter.dropped})


def _fraction(settings: TrainSettings, pairs: list[Pair]) -> float:
    if settings.eval_fraction is not None:
        return settings.eval_fraction
    return _AUTO_FRACTION if len({prompt_key(pair.prompt) for pair in pairs}) >= _AUTO_PROMPTS else 0.0
