"""Reads CSV and TSV files as people really have them: byte-order marks, other delimiters, quotes left open.

The delimiter is the one whose header names the most columns we look for; the file's suffix only breaks ties.
What a column means is `orpo_compat.pairs`' business. Errors name the line and the option that helps.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TextIO

from orpo_compat.errors import DataError

DELIMITERS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a vertical bar"}
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))

Located = tuple[int, dict[str, object]]
"""A row and the line of the file on which it starts (1-based, the header is line 1)."""


def open_text(path: Path, encoding: str | None) -> TextIO:
    """Open a possibly gzipped text file; a byte-order mark decides unless an encoding was asked for."""
    raw = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 handed to the caller
    head = raw.read(4)
    raw.seek(0)
    found = next((name for mark, name in _BOMS if head.startswith(mark)), "utf-8")
    return io.TextIOWrapper(io.BufferedReader(raw), encoding=encoding or found, newline="")  # type: ignore[arg-type, unused-ignore]


def explain_decoding(path: Path, error: UnicodeDecodeError) -> DataError:
    """Turn a decoding failure into a message that says which encoding was tried and what to give instead."""
    bad = error.object[error.start : error.start + 1].hex()
    return DataError(
        f"{path}: not valid {error.encoding} (byte 0x{bad}: {error.reason}).\n"
        "  Next: give the file's encoding, for instance --encoding cp1252 (Excel on Windows) or utf-16."
    )


def read_delimited(
    path: Path, *, delimiter: str | None, encoding: str | None, wanted: Collection[str]
) -> tuple[list[Located], list[str]]:
    """Read every record of a delimited file.

    Args:
        path: the file; ``.gz`` is unpacked on the way.
        delimiter: the character between cells, or None to find it out.
        encoding: the file's encoding, or None for UTF-8 or what a byte-order mark says.
        wanted: lower-case column names worth finding, which decide between delimiters.

    Returns:
        The located rows, and notes on what was unusual about the file.

    Raises:
        DataError: the file is empty, cannot be decoded, or a record does not fit the header.
    """
    csv.field_size_limit(sys.maxsize)
    with open_text(path, encoding) as stream:
        try:
            used = delimiter or _find_delimiter(stream, path, wanted)
            quoting = csv.QUOTE_MINIMAL
            if used == "\t" and not _quotes_balance(stream):
                quoting = csv.QUOTE_NONE
            stream.seek(0)
            rows = list(_records(stream, path, used, quoting))
        except UnicodeDecodeError as error:
            raise explain_decoding(path, error) from error
    notes = []
    if used != _expected_delimiter(path):
        notes.append(f"cells are separated by {DELIMITERS.get(used, repr(used))}, which the file's name does not say")
    if quoting == csv.QUOTE_NONE:
        notes.append("quotation marks are taken literally: they do not pair up as CSV quoting")
    return rows, notes


def _expected_delimiter(path: Path) -> str:
    return "\t" if ".tsv" in path.suffixes or ".tab" in path.suffixes else ","


def _find_delimiter(stream: TextIO, path: Path, wanted: Collection[str]) -> str:
    header = stream.readline()
    stream.seek(0)

    def worth(candidate: str) -> tuple[int, int, bool]:
        cells = [cell.strip().strip('"').lower() for cell in header.split(candidate)]
        return sum(cell in wanted for cell in cells), len(cells), candidate == _expected_delimiter(path)

    return max(DELIMITERS, key=worth)


def _quotes_balance(stream: TextIO) -> bool:
    stream.seek(0)
    try:
        for _ in csv.reader(stream, delimiter="\t", strict=True):
            pass
    except csv.Error:
        return False
    return True


def _records(stream: TextIO, path: Path, delimiter: str, quoting: int) -> Iterator[Located]:
    reader = csv.reader(stream, delimiter=delimiter, strict=quoting != csv.QUOTE_NONE, quoting=quoting)  # type: ignore[arg-type, unused-ignore]
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if not any(header):
            raise DataError(f"{path}: the file is empty.\n  Next: give a file whose first line names its columns.")
        line = reader.line_num + 1
        for cells in reader:
            if cells and any(cells):
                yield line, _row(path, line, header, cells, delimiter)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}: the record that ends on line {reader.line_num} is not well-formed ({error}).\n"
            '  Next: double every quotation mark inside a quoted cell ("" for "), or save the data as JSONL.'
        ) from error


def _row(path: Path, line: int, header: list[str], cells: list[str], delimiter: str) -> dict[str, object]:
    if len(cells) > len(header):
        raise DataError(
            f"{path}, line {line}: {len(cells)} cells, but the header names {len(header)} "
            f"({', '.join(header)}).\n  Next: put quotation marks around cells that contain "
            f"{DELIMITERS.get(delimiter, repr(delimiter))}, or name the right one with --delimiter."
        )
    row: dict[str, object] = dict.fromkeys(header)
    row.update(zip(header, cells, strict=False))
    return row
