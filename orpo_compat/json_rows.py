"""Reads JSON and JSONL files as rows, whatever the outer wrapping and whatever the suffix claims.

A list of rows, ``{"data": [...]}``, columns (``{"prompt": [...], "chosen": [...]}``), the hub viewer's
``{"rows": [{"row": ...}]}`` and one object per line are all understood. What a key means is not known here.
"""

from __future__ import annotations

import json
from pathlib import Path

from orpo_compat.delimited import Located, explained_bytes, open_text
from orpo_compat.errors import DataError


def read_json(path: Path, *, encoding: str | None) -> tuple[list[Located], list[str]]:
    """Read a JSON or JSONL file.

    Returns:
        The rows, each with its line (JSONL) or its number in the list (JSON), and notes on the file.

    Raises:
        DataError: not JSON, or JSON that is no list of objects.
    """
    with explained_bytes(path), open_text(path, encoding) as stream:
        text = stream.read()
    if not text.strip():
        raise DataError(f"{path}: the file is empty.\n  Next: give a file with one JSON object per line.")
    by_line = ".jsonl" in path.suffixes or ".ndjson" in path.suffixes
    if by_line and not text.lstrip().startswith("["):
        return _lines(path, text), []
    try:
        rows, notes = _whole(path, text)
        return rows, ["the file is one JSON list, though its name says one object per line", *notes][not by_line :]
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _lines(path, text), ["the file has one JSON object per line, though its name says one document"]
        raise DataError(
            f"{path}, line {error.lineno}, column {error.colno}: not JSON ({_reason(error)}).\n"
            "  Next: mend that place, or check the file with `python -m json.tool`."
        ) from error


def _reason(error: json.JSONDecodeError) -> str:
    before = error.doc[: error.pos].rstrip()
    if before.endswith(",") and error.doc[error.pos :].lstrip()[:1] in ("]", "}"):
        return "there is a comma after the last entry, which JSON does not allow"
    return error.msg


def _lines(path: Path, text: str) -> list[Located]:
    rows: list[Located] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}, line {number}, column {error.colno}: not JSON ({_reason(error)}).\n"
                "  Next: every line must be one complete JSON object; mend or delete that line."
            ) from error
        rows.append((number, _as_object(path, number, row)))
    return rows


def _whole(path: Path, text: str) -> tuple[list[Located], list[str]]:
    document, notes = json.loads(text), []
    if (
        isinstance(document, dict)
        and len(document) > 1
        and "train" in document
        and all(map(_are_rows, document.values()))
    ):
        notes = [f"read the split 'train', left aside {', '.join(name for name in document if name != 'train')}"]
        document = document["train"]
    rows = _unwrap(path, document)
    return [(number, _as_object(path, number, row)) for number, row in enumerate(rows, start=1)], notes


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _unwrap(path: Path, document: object) -> list[object]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        lists = {key: value for key, value in document.items() if isinstance(value, list)}
        if isinstance(lists.get("rows"), list) and all(isinstance(row, dict) and "row" in row for row in lists["rows"]):
            return [row["row"] for row in lists["rows"]]
        of_rows = [value for value in lists.values() if _are_rows(value)]
        if len(lists) == 1 and of_rows:
            return of_rows[0]
        if len(lists) > 1 and len({len(value) for value in lists.values()}) == 1:
            return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
        if {"chosen", "rejected"} <= set(document):
            return [document]
    raise DataError(
        f"{path}: the JSON document is no list of rows (it is {_describe(document)}).\n"
        '  Next: write a list of objects, each with "prompt", "chosen" and "rejected".'
    )


def _as_object(path: Path, number: int, row: object) -> dict[str, object]:
    if isinstance(row, dict):
        return row
    raise DataError(
        f"{path}, row {number}: {_describe(row)} where an object with named columns was expected.\n"
        '  Next: write rows as {"prompt": ..., "chosen": ..., "rejected": ...}.'
    )


def _describe(value: object) -> str:
    if isinstance(value, dict):
        return f"an object with keys {', '.join(map(repr, list(value)[:6])) or '(none)'}"
    return {list: "a list", str: "a string", type(None): "null"}.get(type(value), "a number or a truth value")
