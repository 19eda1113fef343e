"""Jupyter notebooks: all code cells are one module, and only changed source lines change in the file.

Magics, shell lines and foreign cells are reported where they matter and never edited; a cell that Python
cannot read is reported and the others still move. Saved outputs are history and stay out of it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from codemods.containers.hosted import Outcome, Scope, merged, rewrite_scope
from codemods.containers.installs import report_installs
from codemods.containers.magics import Reading, placeholder, read_cell
from codemods.containers.mentions import excerpt, mention_spans, prose_spans
from codemods.containers.notebook_host import NotebookHost, slots_of
from codemods.containers.notebook_json import Cell, NotANotebook, NotebookText, read_notebook
from codemods.containers.task import Task
from codemods.containers.virtual import Piece, Virtual
from codemods.findings import Finding, Severity
from codemods.rewrite import Rewrite

_ALIAS = re.compile(rb"\bimport\s+trl(?:\.\w+)*\s+as\s+(\w+)")


@dataclass(frozen=True)
class _Sorted:
    """The code cells that Python can read, with their readings, and the others."""

    python: list[tuple[Cell, Reading]]
    others: list[tuple[Cell, Reading]]


def rewrite_notebook(task: Task) -> Rewrite:
    """Rewrites one `.ipynb` file; bytes outside the edited source lines stay as they are."""
    try:
        notebook = read_notebook(task.source)
    except NotANotebook as trouble:
        advice = "Open it in Jupyter and save it, then run again."
        return task.unchanged(Finding("OC115", task.path, 1, 1, f"Left alone: {trouble}.", advice))
    if notebook.language not in ("", "python", "python3", "ipython"):
        return task.unchanged(*_report_other_language(task, notebook))
    cells = _sort(notebook)
    outcome = _rewrite_cells(task, notebook, cells)
    around = Outcome((), tuple(_report_around(task, notebook, cells)) if task.forward else ())
    if outcome.edits and notebook.paired_with:
        around = Outcome((), (*around.findings, _pairing(task, notebook.paired_with)))
    done = merged(task, [outcome, around])
    if outcome.edits and _scope(read_notebook(done.result)).virtual.text != outcome.text:
        message = "Left alone: the edited notebook would not read as the rules meant it."
        return task.unchanged(Finding("OC117", task.path, 1, 1, message, "Change its cells by hand.", Severity.ERROR))
    return done


def _pairing(task: Task, formats: str) -> Finding:
    line, column = task.places.at(max(task.source.find(b'"jupytext"'), 0))
    message = f"Jupytext pairs this notebook with a script ({formats}); both hold the same code."
    return Finding("OC117", task.path, line, column, message, "Run `jupytext --sync` after the migration.")


def _sort(notebook: NotebookText) -> _Sorted:
    readings = [(cell, read_cell(cell.text)) for cell in notebook.code_cells if cell.text.strip()]
    python = [(cell, reading) for cell, reading in readings if not (reading.foreign or reading.broken)]
    return _Sorted(python, [entry for entry in readings if entry not in python])


def _rewrite_cells(task: Task, notebook: NotebookText, cells: _Sorted) -> Outcome:
    return rewrite_scope(task, _scope(notebook, cells), "OC117") if cells.python else Outcome()


def _scope(notebook: NotebookText, cells: _Sorted | None = None) -> Scope:
    """All readable code cells as one namespace."""
    python = (cells or _sort(notebook)).python
    names = frozenset({b"trl"} | {name for cell, _ in python for name in _ALIAS.findall(cell.text)})
    pieces: list[Piece] = []
    starts: list[int] = []
    size = 0
    for cell, reading in python:
        starts.append(size)
        grown = list(_cell_pieces(cell, reading, names))
        pieces += grown
        size += sum(len(piece.text) for piece in grown)
    virtual = Virtual(tuple(pieces))
    slots = slots_of(virtual, [cell for cell, _ in python])
    host = NotebookHost(slots, notebook.separator, notebook.ascii_only)
    return Scope(virtual, host, _placer(starts, [cell.number for cell, _ in python]))


def _placer(starts: list[int], numbers: list[int]) -> Callable[[int], str]:
    return lambda position: f"Cell {numbers[bisect_right(starts, position) - 1]}: "


def _cell_pieces(cell: Cell, reading: Reading, names: frozenset[bytes]) -> Iterator[Piece]:
    """A cell's own pieces with masked spans replaced, closed by a synthetic line end where it has none."""
    at = 0
    for token in cell.tokens:
        for piece in token.pieces:
            yield from _masked(cell.text, piece, at, reading, names)
            at += len(piece.text)
    if not cell.text.endswith((b"\n", b"\r")):
        end = cell.tokens[-1].end - 1
        yield Piece(b"\n", end, end, exact=False)


def _masked(text: bytes, piece: Piece, at: int, reading: Reading, names: frozenset[bytes]) -> Iterator[Piece]:
    """Cuts one piece along the masked spans of its cell."""
    end = at + len(piece.text)
    for start, stop in reading.masked:
        if stop <= at or start >= end:
            continue
        low, high = max(start, at), min(stop, end)
        if not piece.exact:
            stand_in = placeholder(text[start:stop], names)[low - start : high - start]
            yield Piece(stand_in, piece.start, piece.end, exact=False, masked=True)
            return
        if low > at:
            yield Piece(piece.text[: low - at], piece.start, piece.start + low - at)
        stand_in = placeholder(text[start:stop], names)[low - start : high - start]
        yield Piece(stand_in, piece.start + low - at, piece.start + high - at, exact=False, masked=True)
        piece = Piece(piece.text[high - at :], piece.start + high - at, piece.end)
        at = high
        if not piece.text:
            return
    yield piece


def _report_other_language(task: Task, notebook: NotebookText) -> Iterator[Finding]:
    for cell in notebook.code_cells:
        yield from _mentions(
            task,
            cell,
            (0, len(cell.text)),
            "OC117",
            f"code of a {notebook.language} notebook mentions TRL's ORPO",
            "Change it by hand; only Python notebooks are edited.",
        )


def _report_around(task: Task, notebook: NotebookText, cells: _Sorted) -> Iterator[Finding]:
    """Everything in the notebook that speaks of TRL and is not Python of the notebook's own scope."""
    for cell in notebook.code_cells:
        home = Virtual(tuple(piece for token in cell.tokens for piece in token.pieces)).file_offset
        yield from report_installs(task.path, task.places, cell.text, home, f"Cell {cell.number} ")
    spoken = _magic_spans(cells)
    for cell, reading in cells.python:
        for span in reading.masked:
            why = "a magic or shell line mentions TRL's ORPO"
            yield from _mentions(task, cell, span, "OC117", why, "Change the line by hand.", spans=spoken)
    for cell, reading in cells.others:
        whole = (0, len(cell.text))
        if reading.foreign:
            why = f"the text of a {reading.foreign} cell mentions TRL's ORPO"
            advice = "It runs elsewhere than this notebook: change it by hand."
            yield from _mentions(task, cell, whole, "OC117", why, advice)
        else:
            why = f"cannot be read as Python ({reading.broken}) and mentions TRL's ORPO"
            yield from _mentions(task, cell, whole, "OC115", why, "Change the cell by hand.")
    for cell in notebook.cells:
        if cell.cell_type != "code":
            why, advice = "text mentions TRL's ORPO", "Update the text by hand."
            whole = (0, len(cell.text))
            yield from _mentions(task, cell, whole, "OC118", why, advice, Severity.INFO)


def _magic_spans(cells: _Sorted) -> Callable[[bytes, int, int], list[tuple[int, int]]]:
    """What a magic line says of ORPO: by TRL's own name, or by a short name that a cell gives TRL."""
    names = {name for cell, _ in cells.python for name in _ALIAS.findall(cell.text)}
    short = re.compile(rb"(?<![\w.])(?:" + b"|".join(sorted(names)) + rb")(?:\.\w+)*\.ORPO(?:Trainer|Config)\b")

    def spans(text: bytes, start: int, end: int) -> list[tuple[int, int]]:
        by_short_name = [match.span() for match in short.finditer(text, start, end)] if names else []
        return mention_spans(text, start, end) + by_short_name

    return spans


def _mentions(
    task: Task,
    cell: Cell,
    span: tuple[int, int],
    code: str,
    why: str,
    advice: str,
    severity: Severity = Severity.WARNING,
    spans: Callable[[bytes, int, int], list[tuple[int, int]]] = mention_spans,
) -> Iterator[Finding]:
    home = Virtual(tuple(piece for token in cell.tokens for piece in token.pieces))
    told: set[int] = set()
    for offset, _ in [*spans(cell.text, *span), *(prose_spans(cell.text, *span) if code == "OC118" else ())]:
        line, column = task.places.at(home.file_offset(offset))
        if line in told:
            continue
        told.add(line)
        message = f"Cell {cell.number}: {why}: {excerpt(cell.text, offset)}"
        yield Finding(code, task.path, line, column, message, advice, severity)
