"""Reads CSV and TSV files as people really have them: byte-order marks, other delimiters, quotes left open.

The delimiter is the one whose header names the most columns we look for; the file's suffix only breaks ties.
What a column means is `orpo_compat.pairs`' business. Errors name the line and the option that helps.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from orpo_compat.errors import DataError

DELIMITERS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a vertical bar"}
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))

Located = tuple[int, dict[str, object]]
"""A row and the line of the file on which it starts (1-based, the header is line 1)."""


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, unpacking it if its first bytes say gzip, whatever its name says."""
    raw = path.open("rb")
    packed = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=raw) if packed else raw)


def open_text(path: Path, encoding: str | None) -> TextIO:
    """Open a possibly gzipped text file; a byte-order mark decides unless an encoding was asked for."""
    raw = open_bytes(path)
    head = raw.read(4)
    raw.seek(0)
    return io.TextIOWrapper(io.BufferedReader(raw), encoding=encoding or _encoding(head), newline="")  # type: ignore[arg-type, type-var, unused-ignore]


def _encoding(head: bytes) -> str:
    """UTF-8, unless a byte-order mark or the zero bytes of ASCII in UTF-16 say otherwise."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    zeros = [index for index, byte in enumerate(head) if byte == 0]
    return "utf-16-le" if zeros == [1, 3] else "utf-16-be" if zeros == [0, 2] else "utf-8"


@contextlib.contextmanager
def explained_bytes(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file's bytes while it is read into a message that says where and what to do.

    Raises:
        DataError: it cannot be decoded, or a gzipped file is cut off or damaged.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 1].hex()
        line = _first_undecodable(path, error.encoding)
        raise DataError(
            f"{path}{f', line {line}' if line else ''}: not valid {error.encoding} (byte 0x{bad}: {error.reason}).\n"
            "  Next: give the file's encoding, for instance --encoding cp1252 (Excel on Windows) or utf-16."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzipped file is damaged ({error}).\n  Next: copy or download it again."
        ) from error


def _first_undecodable(path: Path, encoding: str) -> int | None:
    if encoding.startswith("utf-16"):
        return None
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError:
                return number
    return None


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
    with explained_bytes(path), open_text(path, encoding) as stream:
        announced = _announced(stream)
        used = delimiter or announced or _find_delimiter(stream, path, wanted)
        quoting = csv.QUOTE_MINIMAL
        if used == "\t" and not _quotes_balance(stream):
            quoting = csv.QUOTE_NONE
        _rewind(stream, announced)
        rows = list(_records(stream, path, used, quoting, wanted, first_line=2 if announced else 1))
    notes = []
    if used != _expected_delimiter(path):
        notes.append(f"cells are separated by {DELIMITERS.get(used, repr(used))}, which the file's name does not say")
    if quoting == csv.QUOTE_NONE:
        notes.append("quotation marks are taken literally: they do not pair up as CSV quoting")
    return rows, notes


def _announced(stream: TextIO) -> str | None:
    """The delimiter that Excel writes above the header as ``sep=;``."""
    match = re.fullmatch(r"sep=(.)", stream.readline().rstrip("\r\n"))
    _rewind(stream, match and match[1])
    return match[1] if match else None


def _rewind(stream: TextIO, announced: str | None) -> None:
    stream.seek(0)
    if announced:
        stream.readline()


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


def _records(
    stream: TextIO, path: Path, delimiter: str, quoting: int, wanted: Collection[str], *, first_line: int
) -> Iterator[Located]:
    line = first_line
    reader = csv.reader(stream, delimiter=delimiter, strict=quoting != csv.QUOTE_NONE, quoting=quoting)  # type: ignore[arg-type, unused-ignore]
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if not any(header):
            raise DataError(f"{path}: the file is empty.\n  Next: give a file whose first line names its columns.")
        _refuse_twins(path, header, wanted)
        line = reader.line_num + first_line
        for cells in reader:
            if cells and any(cells):
                yield line, _row(path, line, header, cells, delimiter)
            line = reader.line_num + first_line
    except csv.Error as error:
        raise DataError(
            f"{path}: the record that begins on line {line} is not well-formed ({error}; it was read to line "
            f"{reader.line_num + first_line - 1}).\n"
            '  Next: close its quotation marks, double every one inside a quoted cell ("" for "), or save as JSONL.'
        ) from error


def _refuse_twins(path: Path, header: list[str], wanted: Collection[str]) -> None:
    twins = {name for name in header if header.count(name) > 1 and name.lower() in wanted}
    if twins:
        name = min(twins)
        at = " and ".join(str(number) for number, cell in enumerate(header, start=1) if cell == name)
        raise DataError(
            f"{path}: the header names {name!r} more than once (columns {at}).\n"
            "  Next: give every column a name of its own, so that it is clear which one to train on."
        )


def _row(path: Path, line: int, header: list[str], cells: list[str], delimiter: str) -> dict[str, object]:
    if any(cells[len(header) :]):  # empty cells at the end come from spreadsheets
        raise DataError(
            f"{path}, line {line}: {len(cells)} cells, but the header names {len(header)} "
            f"({', '.join(header)}).\n  Next: put quotation marks around cells that contain "
            f"{DELIMITERS.get(delimiter, repr(delimiter))}, or name the right one with --delimiter."
        )
    row: dict[str, object] = dict.fromkeys(header)
    row.update(zip(header, cells, strict=False))
    return row
