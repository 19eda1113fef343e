"""What a preference file holds and what training would make of it, before any training: counts, lengths, findings.

Pure functions of pairs and, with a tokenizer, of the token ids that the trainer itself would see. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from orpo_compat.measuring import PairLength, pair_lengths, tokenized
from orpo_compat.pairs import Pair, Pairs, flat_text
from orpo_compat.selection import DUPLICATED, EMPTY, IDENTICAL, prompt_key, screen

_BIAS = 0.2
"""Share of pairs by which the chosen side must be longer (or shorter) before it counts as a bias: 70 to 30."""
_BINS = 12
_PLACEHOLDERS = frozenset({"none", "null", "n/a", "undefined"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the data worth knowing, with the rows that show it."""

    code: str
    what: str
    places: tuple[int, ...]
    advice: str

    @property
    def count(self) -> int:
        """How many pairs."""
        return len(self.places)


@dataclass(frozen=True, slots=True)
class Lengths:
    """How a length is spread: smallest, quartiles, largest, and a histogram."""

    smallest: int
    quartiles: tuple[int, int, int]
    largest: int
    edges: tuple[int, ...]
    """Upper edges of the bins; the last one holds the tail and may be wider than the others."""
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: Sequence[int], *, top: int | None = None) -> Lengths:
        """Measure a list of lengths; ``top`` gives several histograms one scale."""
        ordered = sorted(values)
        at = [ordered[round((len(ordered) - 1) * share)] for share in (0, 0.25, 0.5, 0.75, 1)]
        width = max(1, -(-(top or at[4]) // _BINS))
        counts = [0] * _BINS
        for value in values:
            counts[min(_BINS - 1, max(0, value - 1) // width)] += 1
        edges = tuple(width * (index + 1) for index in range(_BINS))
        edges = (*edges[:-1], max(edges[-1], at[4]))
        return cls(at[0], (at[1], at[2], at[3]), at[4], edges, tuple(counts))


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything `orpo-compat data inspect` knows about a file."""

    rows: int
    usable: int
    prompts: int
    unit: str
    """What lengths are counted in: tokens or characters."""
    layout: str
    lengths: dict[str, Lengths]
    truncation: dict[str, int]
    """Pairs by what would be done to them at these settings; empty without a tokenizer."""
    findings: tuple[Finding, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; of the places the first twenty."""
        plain = asdict(self)
        plain["findings"] = [
            {"code": f.code, "what": f.what, "pairs": f.count, "first": list(f.places[:20]), "advice": f.advice}
            for f in self.findings
        ]
        return plain


def inspect_pairs(pairs: Pairs, *, tokenizer: Any = None, rules: Any = None) -> Inspection:
    """Inspect pairs.

    Args:
        pairs: as read from a source.
        tokenizer: counts tokens and shows special ones; without it lengths are characters.
        rules: ``TokenizationRules`` of the training to come; needed with a tokenizer.
    """
    usable = [pair for pair in pairs.rows if _complete(pair)]
    findings = [*_screened(pairs.rows), *_placeholders(usable), *_contradicted(usable), *_repeats_prompt(usable)]
    truncation: dict[str, int] = {}
    if tokenizer is None:
        measured = [
            PairLength(*(len(flat_text(turns)) for turns in (pair.prompt, pair.chosen, pair.rejected)))
            for pair in usable
        ]
    else:
        measured = pair_lengths(usable, tokenizer) if usable else []
        batch = tokenized(usable, tokenizer, rules) if usable else {}
        truncation = _truncation(batch.get("row_note", []))
        findings += _token_findings(usable, batch, tokenizer)
    findings += _length_bias(usable, measured)
    return Inspection(
        rows=len(pairs.rows),
        usable=len(usable),
        prompts=len({prompt_key(pair.prompt) for pair in usable}),
        unit="characters" if tokenizer is None else "tokens",
        layout=pairs.layout,
        lengths=_spread(measured),
        truncation=truncation,
        findings=tuple(finding for finding in findings if finding.places),
    )


def _complete(pair: Pair) -> bool:
    return all(flat_text(turns).strip() for turns in (pair.prompt, pair.chosen, pair.rejected))


def _spread(measured: list[PairLength]) -> dict[str, Lengths]:
    if not measured:
        return {}
    columns = {name: [getattr(length, name) for length in measured] for name in ("prompt", "chosen", "rejected")}
    top = max(_body(values) for values in columns.values())
    spread = {name: Lengths.of(values, top=top) for name, values in columns.items()}
    together = [length.total for length in measured]
    return {**spread, "together": Lengths.of(together, top=_body(together))}


def _body(values: Sequence[int]) -> int:
    """Where a histogram's scale ends: the largest value, or half above the 95th percentile if a few lie far beyond."""
    ordered = sorted(values)
    return min(ordered[-1], ordered[round((len(ordered) - 1) * 0.95)] * 3 // 2)


def _screened(rows: list[Pair]) -> list[Finding]:
    advice = {
        EMPTY: "train leaves these out; look whether a column is wrong or cells are missing.",
        IDENTICAL: "train leaves these out: equal responses teach nothing (--keep-identical keeps them).",
        DUPLICATED: "train leaves the repeats out (--keep-duplicates keeps them).",
    }
    code = {EMPTY: "empty", IDENTICAL: "identical", DUPLICATED: "duplicated"}
    # A sentinel pair keeps `screen` from refusing a file of which nothing is left.
    sentinel = Pair("\0prompt", "\0chosen", "\0rejected", 0)
    dropped = screen([*rows, sentinel]).dropped
    return [Finding(code[reason], reason, tuple(places), advice[reason]) for reason, places in dropped.items()]


def _placeholders(pairs: list[Pair]) -> list[Finding]:
    """Responses that are one word a program writes for a missing value; `train` keeps them, since it may be meant."""
    places = [
        pair.place
        for pair in pairs
        if {flat_text(turns).strip().lower() for turns in (pair.prompt, pair.chosen, pair.rejected)} & _PLACEHOLDERS
    ]
    advice = "if these stand for missing cells, empty them: train would teach the word."
    return [Finding("placeholder", "a part is only None, null or N/A", tuple(places), advice)]


def _contradicted(pairs: list[Pair]) -> list[Finding]:
    """Pairs whose reverse is also in the data."""
    keys = {(prompt_key(p.prompt), prompt_key(p.chosen), prompt_key(p.rejected)) for p in pairs}
    reversed_too = [
        pair.place
        for pair in pairs
        if (prompt_key(pair.prompt), prompt_key(pair.rejected), prompt_key(pair.chosen)) in keys
        and prompt_key(pair.chosen) != prompt_key(pair.rejected)
    ]
    advice = "one of the two is mislabelled; keep the one you believe."
    return [Finding("contradicted", "the reverse preference is in the data too", tuple(reversed_too), advice)]


def _repeats_prompt(pairs: list[Pair]) -> list[Finding]:
    places = []
    for pair in pairs:
        prompt, chosen = flat_text(pair.prompt).strip(), flat_text(pair.chosen).strip()
        if prompt and chosen.startswith(prompt):
            places.append(pair.place)
    advice = "the model would learn to answer with the question; cut the prompt off, or leave out the prompt column."
    return [Finding("prompt-repeated", "chosen begins with the whole prompt", tuple(places), advice)]


def _truncation(notes: Iterable[int]) -> dict[str, int]:
    from orpo_compat.tokenization import RowNote

    notes = list(notes)
    names = {flag: str(flag.name).lower() for flag in RowNote if flag}
    counts = {name: sum(bool(RowNote(note) & flag) for note in notes) for flag, name in names.items()}
    return {"untouched": sum(not note for note in notes), **counts}


def _token_findings(pairs: list[Pair], batch: dict[str, list[Any]], tokenizer: Any) -> list[Finding]:
    if not pairs:
        return []
    places = [pair.place for pair in pairs]
    chosen, rejected = batch["chosen_input_ids"], batch["rejected_input_ids"]
    equal = [at for at, c, r in zip(places, chosen, rejected, strict=True) if c == r]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    doubled = [at for at, ids in zip(places, chosen, strict=True) if bos is not None and ids[:2] == [bos, bos]]
    endless = [at for at, ids in zip(places, chosen, strict=True) if eos is not None and ids[-1] != eos]
    return [
        Finding(
            "cut-alike",
            "truncation makes chosen and rejected equal",
            tuple(equal),
            "raise --max-length, or shorten the prompts: what distinguishes the responses is cut off.",
        ),
        Finding(
            "double-bos", "the text begins with two BOS tokens", tuple(doubled), "take the BOS out of the template."
        ),
        Finding(
            "no-eos",
            "chosen does not end with EOS, so the model does not learn to stop there",
            tuple(endless),
            "most often truncation: raise --max-length, or drop these with --drop-overlength.",
        ),
    ]


def _length_bias(pairs: list[Pair], measured: list[PairLength]) -> list[Finding]:
    if len(measured) < 20:
        return []
    shorter = [pair.place for pair, size in zip(pairs, measured, strict=True) if size.chosen < size.rejected]
    longer = [pair.place for pair, size in zip(pairs, measured, strict=True) if size.chosen > size.rejected]
    more, word = (shorter, "shorter") if len(shorter) > len(longer) else (longer, "longer")
    if len(more) / len(measured) < 0.5 + _BIAS:
        return []
    ratio = median(size.chosen / max(1, size.rejected) for size in measured)
    what = f"chosen is {word} than rejected in {len(more) / len(measured):.0%} of the pairs (median ratio {ratio:.2f})"
    advice = "the model may learn length instead of quality; ORPO compares means per token, which only softens it."
    return [Finding("length-bias", what, tuple(more), advice)]
