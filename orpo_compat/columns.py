"""Which column is the prompt, the chosen and the rejected response: by the user's word, else when obvious.

Nothing is guessed between two candidates: the error lists the columns and the option that settles it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orpo_compat.errors import DataError

_NAMES: dict[str, tuple[str, ...]] = {
    "prompt": (
        *("prompt", "conversations", "conversation", "messages", "question", "instruction", "query"),
        *("problem", "context", "user", "input"),
    ),
    "chosen": (
        *("chosen", "chosen_response", "response_chosen", "chosen_answer", "preferred", "accepted"),
        *("winner", "better", "good", "positive", "response_w", "y_w"),
    ),
    "rejected": (
        *("rejected", "rejected_response", "response_rejected", "rejected_answer", "dispreferred"),
        *("loser", "worse", "bad", "negative", "response_l", "y_l"),
    ),
    "system": ("system", "system_prompt"),
}
KNOWN_NAMES = frozenset(name for names in _NAMES.values() for name in names) | {"output", "history", "id"}


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names by role. A prompt of None means that the responses carry it (an implicit prompt)."""

    prompt: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    system: str | None = None
    extra_input: str | None = None
    """Alpaca's ``input`` beside ``instruction``, appended to the prompt."""
    history: str | None = None
    """Alpaca's earlier turns, a list of [user, assistant]."""
    paired: str | None = None
    """An old Alpaca column that holds [chosen, rejected] in one cell."""

    def asked(self) -> list[str]:
        """The names given by the user, for finding delimiters."""
        return [name for name in (self.prompt, self.chosen, self.rejected, self.system) if name]


def find_columns(names: Sequence[str], asked: Columns, *, where: str, sample: dict[str, object]) -> Columns:
    """Settle the role of each column.

    Args:
        names: the columns that exist, in their order.
        asked: what the user fixed; the other roles are guessed.
        where: the source's name, for messages.
        sample: one row, which tells an old Alpaca ``output`` pair from a plain one.

    Raises:
        DataError: an asked column does not exist, or no column is obviously chosen or rejected.
    """
    for role in ("prompt", "chosen", "rejected", "system"):
        name = getattr(asked, role)
        if name is not None and name not in names:
            raise _no_such_column(name, role, names, where)
    lower = {name.lower(): name for name in reversed(names)}
    taken = set(asked.asked())

    def guess(role: str) -> str | None:
        return next((lower[n] for n in _NAMES[role] if n in lower and lower[n] not in taken), None)

    found = replace(asked, **{role: getattr(asked, role) or guess(role) for role in _NAMES})
    pair = lower.get("output")
    if found.chosen is None and found.rejected is None and pair and _is_pair(sample.get(pair)):
        found = replace(found, chosen=pair, rejected=pair, paired=pair)
    if found.chosen and not found.rejected and _is_pair(sample.get(found.chosen)):
        found = replace(found, rejected=found.chosen, paired=found.chosen)
    for role in ("chosen", "rejected"):
        if getattr(found, role) is None:
            raise _nothing_obvious(role, names, where)
    if "instruction" in lower and found.prompt == lower["instruction"]:
        found = replace(found, extra_input=lower.get("input"), history=lower.get("history"))
    return found


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _no_such_column(name: str, role: str, names: Sequence[str], where: str) -> DataError:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"--{role}-column {near[0]!r}" if near else f"one of these with --{role}-column"
    return DataError(
        f"{where}: no column {name!r} for the {role}. It has: {', '.join(map(repr, names))}.\n"
        f"  Next: give {hint}.{_delimiter_hint(names)}"
    )


def _nothing_obvious(role: str, names: Sequence[str], where: str) -> DataError:
    what = "response that was preferred" if role == "chosen" else "response that was not preferred"
    lower = {name.lower() for name in names}
    why, step = "", f"name it with --{role}-column NAME."
    if {"label", "completion"} <= lower:
        why = " Rows with one completion and a label are unpaired (KTO) data; ORPO needs two responses to a prompt."
        step = "join two completions of each prompt into one row, the preferred one as chosen."
    elif not lower & KNOWN_NAMES and len(names) > 1:
        step += " If the first line is a pair already, put a header above it, such as prompt,chosen,rejected."
    elif lower <= KNOWN_NAMES and len(names) < 3:
        step = f"add the {role} responses as a column: ORPO learns from two responses to each prompt."
    return DataError(
        f"{where}: no column is obviously the {what}. It has: {', '.join(map(repr, names))}.{why}\n"
        f"  Next: {step}{_delimiter_hint(names)}"
    )


def _delimiter_hint(names: Sequence[str]) -> str:
    if len(names) != 1:
        return ""
    used = next((mark for mark in (";", "\t", "|", ",", ":", "^", "~") if mark in names[0]), None)
    spelled = {"\t": "$'\\t'"}.get(used or "", repr(used))
    return (
        f"\n  The header is one cell; if {spelled} separates the columns, give --delimiter {spelled}." if used else ""
    )
