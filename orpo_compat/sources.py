"""Where preference rows come from: one file, a folder of files, a saved dataset, or a dataset on the hub.

`read_source` gives plain rows with the place each came from, and a digest of what was read. It knows
formats, not meanings: which column is the prompt is decided in `orpo_compat.columns`.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from orpo_compat.columns import KNOWN_NAMES
from orpo_compat.delimited import Located, read_delimited
from orpo_compat.errors import DataError
from orpo_compat.json_rows import read_json

KINDS = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv", ".json": "json",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_OTHER_FORMATS = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as CSV (UTF-8) from the spreadsheet program."),
    **dict.fromkeys((".arrow", ".feather"), "give the folder that `save_to_disk` wrote, or save it as Parquet."),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".zst", ".bz2", ".xz"), "unpack it first; only .gz is read as it is."),
    **dict.fromkeys((".pkl", ".pickle", ".pt"), "save it as JSONL; pickles are not read, since they can run code."),
}
_HUB_NAME = re.compile(r"^[\w.-]+(/[\w.-]+)?(:[\w.-]+)?$")
_SLICE = re.compile(r"^(?P<name>[\w.-]*)(?P<slice>\[[^\]]*\])?$")


@dataclass(frozen=True, slots=True)
class Source:
    """Rows as they were found, before anyone decided what their columns mean."""

    name: str
    kind: str
    """csv, tsv, json, jsonl, parquet, folder, dataset or hub."""
    rows: list[dict[str, object]]
    places: list[int]
    """For each row the line (CSV, TSV, JSONL) or the row number (everything else), from 1."""
    digest: str
    """``sha256:`` of the bytes read, or the hub dataset's fingerprint."""
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """What the places count: ``line`` or ``row``."""
        return "line" if self.kind in ("csv", "tsv", "jsonl") else "row"


def read_source(
    where: str,
    *,
    split: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    wanted: Collection[str] = (),
) -> Source:
    """Read a preference source.

    Args:
        where: a file (CSV, TSV, JSON, JSONL, each optionally ``.gz``, or Parquet), a folder of them, a folder
            saved by ``datasets``, or a hub name (``org/name`` or ``org/name:config``).
        split: a split with an optional slice as ``datasets`` writes it, ``train[:5%]``; ``[:100]`` also works.
        delimiter: for CSV and TSV, instead of finding it out.
        encoding: for text files, instead of UTF-8 or what the byte-order mark says.
        wanted: column names the user gave, which help to find the delimiter.

    Raises:
        DataError: nothing there, nothing readable, or no such split.
    """
    names = {*KNOWN_NAMES, *(name.lower() for name in wanted)}
    path = Path(where).expanduser()
    if path.is_dir():
        source = _read_folder(path, split, delimiter, encoding, names)
    elif path.is_file():
        source = _read_file(path, delimiter, encoding, names)
    elif _looks_like_a_path(path) or not _HUB_NAME.match(where):
        raise _no_such_file(path)
    else:
        return _read_hub(where, split)
    return _slice(source, split)


def _read_file(path: Path, delimiter: str | None, encoding: str | None, names: Collection[str]) -> Source:
    kind = next((KINDS[suffix.lower()] for suffix in reversed(path.suffixes) if suffix.lower() in KINDS), None)
    if kind is None:
        step = _OTHER_FORMATS.get(path.suffix.lower()) or (
            f"rename it to end in one of {', '.join(sorted(KINDS))}, or give a folder or a hub name."
        )
        raise DataError(f"{path}: cannot tell the format from the name.\n  Next: {step}")
    located: list[Located]
    if kind in ("csv", "tsv"):
        located, notes = read_delimited(path, delimiter=delimiter, encoding=encoding, wanted=names)
    elif kind == "parquet":
        located, notes = _read_parquet(path), []
    else:
        located, notes = read_json(path, encoding=encoding)
    if not located:
        what = "a header but no rows" if kind in ("csv", "tsv") else "no rows"
        raise DataError(f"{path}: {what}.\n  Next: give a file with at least one pair in it.")
    places, rows = [place for place, _ in located], [row for _, row in located]
    return Source(path.name, kind, rows, places, _digest([path]), tuple(notes))


def _read_parquet(path: Path) -> list[Located]:
    try:
        table = import_module("pyarrow.parquet").read_table(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a Parquet file ({error}).\n  Next: check how it was written.") from error
    return list(enumerate(table.to_pylist(), start=1))


def _read_folder(
    path: Path, split: str | None, delimiter: str | None, encoding: str | None, names: Collection[str]
) -> Source:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return _read_saved(path, split)
    files = _data_files(path.iterdir()) or _data_files(path.rglob("*"))  # a cloned hub dataset keeps them in data/
    wanted = _split_name(split)
    chosen = [file for file in files if file.stem.lower().startswith(wanted)] if wanted else []
    if split and wanted and not chosen and any(file.stem.lower().startswith(("train", "test")) for file in files):
        raise DataError(
            f"{path}: no file for the split {wanted!r}; there are {', '.join(file.name for file in files)}.\n"
            "  Next: name one of these with --split, or give the file itself."
        )
    if not split:
        chosen = [file for file in files if file.stem.lower().startswith("train")]
    chosen = chosen or files
    if not chosen:
        raise DataError(
            f"{path}: no CSV, TSV, JSON, JSONL or Parquet file in this folder.\n  Next: give the file itself."
        )
    parts = [_read_file(file, delimiter, encoding, names) for file in chosen]
    rows = [row for part in parts for row in part.rows]
    notes = [f"read {', '.join(file.name for file in chosen)}"]
    if len(chosen) < len(files):
        notes.append(f"left aside {', '.join(file.name for file in files if file not in chosen)}")
    notes += [f"{part.name}: {note}" for part in parts for note in part.notes]
    return Source(path.name, "folder", rows, list(range(1, len(rows) + 1)), _digest(chosen), tuple(notes))


def _data_files(entries: Iterable[Path]) -> list[Path]:
    return sorted(file for file in entries if KINDS.keys() & {s.lower() for s in file.suffixes} and file.is_file())


def _read_saved(path: Path, split: str | None) -> Source:
    from datasets import DatasetDict, load_from_disk

    loaded = load_from_disk(str(path))
    if isinstance(loaded, DatasetDict):
        name = _split_name(split) or ("train" if "train" in loaded else next(iter(loaded)))
        if name not in loaded:
            raise DataError(
                f"{path}: no split {name!r}; there are {', '.join(loaded)}.\n  Next: name one with --split."
            )
        loaded = loaded[name]
    rows = loaded.to_list()
    return Source(path.name, "dataset", rows, list(range(1, len(rows) + 1)), f"fingerprint:{loaded._fingerprint}")


def _read_hub(where: str, split: str | None) -> Source:
    from datasets import load_dataset

    name, _, config = where.partition(":")
    try:
        loaded = load_dataset(name, config or None, split=split or "train")
    except Exception as error:
        # datasets raises a different family for each of: offline, gated, unknown, no such split, bad files.
        raise DataError(
            f"{where}: no such file or folder here, and the hub dataset could not be loaded "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}).\n"
            "  Next: check the spelling, `orpo-compat doctor` for hub access, --split for the split's name; "
            "a dataset with several configurations is written org/name:config."
        ) from error
    rows = loaded.to_list()
    return Source(where, "hub", rows, list(range(1, len(rows) + 1)), f"fingerprint:{loaded._fingerprint}")


def _slice(source: Source, split: str | None) -> Source:
    match = _SLICE.match(split or "")
    if match is None:
        raise DataError(f"--split {split!r}: not a split.\n  Next: write it as train, train[:5%] or [:100].")
    if not match["slice"]:
        return source
    from datasets import ReadInstruction

    try:
        instruction = ReadInstruction.from_spec("train" + match["slice"])
        (span,) = instruction.to_absolute({"train": len(source.rows)})
    except (ValueError, AssertionError) as error:
        raise DataError(f"--split {split!r}: {error}\n  Next: write it as train[:5%] or [10:100].") from error
    keep = slice(span.from_ or 0, len(source.rows) if span.to is None else span.to)
    rows = source.rows[keep]
    if not rows:
        raise DataError(f"--split {split!r} leaves none of the {len(source.rows)} rows.\n  Next: widen the slice.")
    note = f"{len(rows)} of {len(source.rows)} rows, by --split {split}"
    return Source(source.name, source.kind, rows, source.places[keep], source.digest, (*source.notes, note))


def _split_name(split: str | None) -> str:
    match = _SLICE.match(split or "")
    return match["name"].lower() if match else ""


def _digest(paths: list[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return f"sha256:{total.hexdigest()}"


def _looks_like_a_path(path: Path) -> bool:
    return path.is_absolute() or path.parts[:1] in ((".",), ("..",)) or path.suffix.lower() in {*KINDS, ".gz"}


def _no_such_file(path: Path) -> DataError:
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    hint = f"did you mean {path.parent / near[0]}?" if near else "check the path."
    return DataError(f"{path}: no such file or folder.\n  Next: {hint}")
