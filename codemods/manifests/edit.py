"""Dependency lists: puts orpo-compat beside trl, or in its place, or says what to do by hand.

What would change is worked out in any case; without `Options.deps` it is reported and not written. An edited
file is read again, and must list exactly what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import tomlkit
from tomlkit.exceptions import TOMLKitError

from codemods.containers.task import Task
from codemods.edits import Edit, arranged, splice
from codemods.findings import Finding, Severity
from codemods.manifests.entry import REQUIREMENT, Entry, Swap, is_orpo_era, swap_entries, swap_for
from codemods.manifests.formats import Format, format_of
from codemods.manifests.listing import Listing, read_listing
from codemods.manifests.toml_files import script_entries
from codemods.manifests.toml_spans import NotToml
from codemods.rewrite import Rewrite

_TOML = (Format.PYPROJECT, Format.PIPFILE, Format.PIXI, Format.SCRIPT)
_ODD = "Its list has an odd shape: add orpo-compat by hand."


def rewrite_manifest(task: Task) -> Rewrite:
    """Edits or reports one dependency list. A file that does not list trl comes back as it is, in silence."""
    kind = format_of(task.path)
    if kind is None:
        return task.unchanged()
    listing = read_listing(kind, task.source)
    if listing.trouble:
        message = f"This {kind.value} names trl and cannot be read: {listing.trouble}"
        return task.unchanged(Finding("OC120", task.path, 1, 1, message, f"Add {REQUIREMENT} by hand."))
    return rewrite_listing(task, kind, listing)


def rewrite_listing(task: Task, kind: Format, listing: Listing) -> Rewrite:
    """The same for a list that has been read already."""
    swap = swap_for(task.direction, drop_trl=task.options.drop_trl)
    held = [entry for entry in listing.entries if entry.name == swap.held]
    planned = [] if listing.compiled else swap_entries(task.source, listing.entries, swap)
    edits = arranged(edit for edit, _ in planned)
    if edits and not _still_reads(kind, task.source, edits, swap, held):
        planned, edits = [], ()
        held = [replace(entry, fixed=entry.fixed or _ODD) for entry in held]
    touched = {id(entry) for _, entry in planned}
    findings = [
        finding
        for entry in held
        for finding in _remarks(task, kind, listing, entry, touched=id(entry) in touched)
        if task.forward
    ]
    return task.result(edits if task.options.deps else (), tuple(findings))


def _still_reads(kind: Format, source: bytes, edits: tuple[Edit, ...], swap: Swap, held: list[Entry]) -> bool:
    """Whether the edited file reads again and lists what it should: the names it had, with the swap carried out."""
    result = splice(source, edits)
    if kind in _TOML:
        try:
            tomlkit.parse(result.decode("utf-8-sig"))
        except (TOMLKitError, UnicodeDecodeError):
            return False
    again = read_listing(kind, result)
    names = [entry.name for entry in again.entries]
    asked = [entry for entry in held if not entry.fixed and not entry.constraint]
    gained = not asked or swap.gained in names
    kept = swap.held in names or swap.drop
    return not again.trouble and gained and kept


def _remarks(task: Task, kind: Format, listing: Listing, entry: Entry, *, touched: bool) -> Iterator[Finding]:
    """What a reader should know of one entry for trl."""
    line, column = task.places.at(entry.start)
    listed = f"{entry.label} lists trl" + (f" ({entry.text})" if entry.text not in ("trl", "*") else "")
    deps, drop = task.options.deps, task.options.drop_trl

    def found(message: str, advice: str, severity: Severity = Severity.WARNING) -> Finding:
        words = message[0].upper() + message[1:] if message.startswith("the ") else message
        return Finding("OC120", task.path, line, column, words, advice, severity)

    if listing.compiled:
        advice = f"Add {REQUIREMENT} to the file it is compiled from, and compile it again."
        yield found(f"{listed}; the {kind.value} is compiled or pins hashes and is not edited.", advice)
    elif entry.fixed:
        yield found(f"{listed}.", entry.fixed)
    elif touched and deps:
        done = "removed from" if entry.constraint else f"replaced by {REQUIREMENT} in" if drop else "kept in"
        beside = "" if drop else f", {REQUIREMENT} added beside it"
        yield found(f"trl is {done} {entry.label}{beside}.", "Lock and install again.", Severity.INFO)
    elif touched and not entry.constraint:
        yield found(f"{listed} and not orpo-compat.", f"--deps adds {REQUIREMENT}.")
    if is_orpo_era(entry.text) and not (touched and deps and drop):
        advice = "If ORPO was the reason, lift the bound; --drop-trl removes trl where nothing else needs it."
        yield found(f"{entry.label} holds trl below 0.29 ({entry.text}).", advice, Severity.INFO)


def rewrite_script_list(task: Task) -> Rewrite:
    """The same for the TOML of a PEP 723 header, which is the task's whole text."""
    try:
        listing = Listing(tuple(script_entries(task.source)))
    except NotToml as trouble:
        message = f"The inline script metadata cannot be read: {trouble}"
        return task.unchanged(Finding("OC120", task.path, 1, 1, message, f"Add {REQUIREMENT} by hand."))
    return rewrite_listing(task, Format.SCRIPT, listing)
