"""Turns rows of any common layout into preference pairs: prompt, chosen, rejected, all text or all chat.

Understood: TRL's strings and messages, with an explicit or an implicit prompt; ShareGPT; Alpaca (LLaMA-Factory's
preference layout included); prompt strings beside message lists; messages written as JSON in a CSV cell.
Missing cells are kept as empty text for `orpo_compat.selection` to count and drop.
"""

from __future__ import annotations

import ast
import contextlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from orpo_compat.columns import Columns, find_columns
from orpo_compat.data import split_shared_start
from orpo_compat.errors import DataError
from orpo_compat.sources import Source

__all__ = ["Message", "Pair", "Pairs", "to_pairs"]

Message = dict[str, str]
Turns = str | list[Message]

_ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "model": "assistant",
    "bot": "assistant", "chatgpt": "assistant", "system": "system", "observation": "tool", "tool": "tool",
    "function_call": "assistant", "function": "tool",
}  # fmt: skip
_LOOKS_LIKE_MESSAGES = re.compile(r"""\s*(\[\s*)?\{\s*["'](role|content|from|value)["']\s*:""")
_NOT_A_NUMBER = frozenset({"nan", "#n/a", "<na>"})


@dataclass(frozen=True, slots=True)
class Pair:
    """One preference: a prompt and two responses, each a string or a list of chat messages, all three alike."""

    prompt: Turns
    chosen: Turns
    rejected: Turns
    place: int
    """Line or row number in the source, from 1."""

    def as_row(self) -> dict[str, Turns]:
        """The row as trainers take it."""
        return {"prompt": self.prompt, "chosen": self.chosen, "rejected": self.rejected}


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of a source, in its order."""

    rows: list[Pair]
    chat: bool
    columns: Columns
    layout: str
    """In words, for the user: what the rows were taken to be."""


def flat_text(turns: Turns) -> str:
    """The words of a prompt or response, without roles."""
    return turns if isinstance(turns, str) else "\n".join(message["content"] for message in turns)


def to_pairs(source: Source, asked: Columns = Columns(), *, as_chat: bool = False) -> Pairs:  # noqa: B008 frozen
    """Read every row of a source as a pair.

    Args:
        source: the rows.
        asked: columns fixed by the user.
        as_chat: turn text rows into user and assistant messages, so that the model's chat template is applied and
            files that mix text and chat can be used.

    Raises:
        DataError: no obvious columns, a cell that is neither text nor messages, or text and chat mixed.
    """
    names = list(dict.fromkeys(name for row in source.rows[:1000] for name in row))
    columns = find_columns(names, asked, where=source.name, sample=source.rows[0])
    wants_chat = as_chat or bool(columns.history and any(row.get(columns.history) for row in source.rows))
    reader = _RowReader(source, columns)
    rows = [reader.read(row, place) for row, place in zip(source.rows, source.places, strict=True)]
    if wants_chat:
        rows = [_chatted(pair) for pair in rows]
    chat = _one_kind(rows, source)
    if chat:
        rows = [_chatted(pair) for pair in rows]
    return Pairs(rows, chat, columns, _layout(columns, chat))


class _RowReader:
    """Reads the cells of one source's rows; knows where it is, for messages."""

    def __init__(self, source: Source, columns: Columns) -> None:
        self.columns = columns
        self.delimited = source.kind in ("csv", "tsv")
        self.where: Callable[[int], str] = lambda place: f"{source.name}, {source.unit} {place}"

    def read(self, row: dict[str, object], place: int) -> Pair:
        columns = self.columns
        chosen, rejected = (self.cell(row, name, place) for name in (columns.chosen, columns.rejected))
        if columns.paired:
            both = row.get(columns.paired)
            chosen, rejected = (str(both[0]), str(both[1])) if isinstance(both, list) and len(both) == 2 else ("", "")
        if columns.prompt is None:
            prompt, chosen, rejected = split_implicit(chosen, rejected)
        else:
            prompt, chosen, rejected = join_prompt(self.prompt(row, place), chosen, rejected)
        return Pair(prompt, chosen, rejected, place)

    def prompt(self, row: dict[str, object], place: int) -> Turns:
        columns = self.columns
        prompt = self.cell(row, columns.prompt, place)
        extra = self.cell(row, columns.extra_input, place)
        if isinstance(prompt, str) and isinstance(extra, str) and extra:
            prompt = f"{prompt}\n{extra}" if prompt else extra
        history = row.get(columns.history) if columns.history else None
        if history and isinstance(history, list) and isinstance(prompt, str):
            prompt = [*_earlier_turns(history), _message("user", prompt)]
        system = self.cell(row, columns.system, place)
        if isinstance(system, str) and system:
            prompt = f"{system}\n\n{prompt}" if isinstance(prompt, str) else [_message("system", system), *prompt]
        return prompt

    def cell(self, row: dict[str, object], name: str | None, place: int) -> Turns:
        value = row.get(name) if name else None
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if isinstance(value, str):
            if self.delimited and value.strip().lower() in _NOT_A_NUMBER:
                return ""
            return _messages_in(value) or value
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, dict):
            value = [value]
        turns = _as_messages(value)
        if turns is None and name != self.columns.paired:
            raise self.unreadable(value, name, place)
        return turns or ""

    def unreadable(self, value: object, name: str | None, place: int) -> DataError:
        """The error for a cell that is neither text nor messages."""
        what, step = "neither text nor messages", "write messages as"
        if "tool_calls" in str(value) or "'image" in str(value):
            what = "messages with more than text in them (tool calls or images)"
            step = "render these to text with the model's chat template in Python; otherwise write messages as"
        return DataError(
            f"{self.where(place)}: column {name!r} holds {str(value)[:60]!r}, {what}.\n"
            f'  Next: {step} [{{"role": "user", "content": "..."}}] or ShareGPT\'s from/value.'
        )


def split_implicit(chosen: Turns, rejected: Turns) -> tuple[Turns, Turns, Turns]:
    """Take the prompt that two responses share out of them; one that is empty or equal leaves both whole."""
    if not chosen or not rejected or chosen == rejected:
        return "", chosen, rejected
    parts = split_shared_start(chosen, rejected)
    return parts["prompt"], parts["chosen"], parts["rejected"]


def join_prompt(prompt: Turns, chosen: Turns, rejected: Turns) -> tuple[Turns, Turns, Turns]:
    """Make the three parts alike when the prompt is text and the responses are messages, or the reverse."""
    if isinstance(chosen, list) and isinstance(rejected, list) and isinstance(prompt, str):
        if chosen[0]["role"] != "assistant":  # the responses repeat the prompt as messages, as UltraFeedback does
            return split_implicit(chosen, rejected)
        return [_message("user", prompt)] if prompt else "", chosen, rejected
    if isinstance(prompt, list) and isinstance(chosen, str) and isinstance(rejected, str):
        return prompt, *([_message("assistant", text)] if text else "" for text in (chosen, rejected))  # type: ignore[return-value]
    return prompt, chosen, rejected


def _earlier_turns(history: list[list[str]]) -> list[Message]:
    roles = ("user", "assistant")
    return [_message(role, text) for turn in history for role, text in zip(roles, turn, strict=False)]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _as_messages(value: object) -> list[Message] | None:
    if not isinstance(value, list) or not value or not all(isinstance(turn, dict) for turn in value):
        return None
    turns: list[Message] = []
    for turn in value:
        role, content = turn.get("role", turn.get("from")), _text_of(turn.get("content", turn.get("value")))
        if not isinstance(role, str) or not isinstance(content, str | None) or turn.get("tool_calls"):
            return None
        turns.append(_message(_ROLES.get(role.lower(), role), content or ""))
    return turns


def _text_of(content: object) -> object:
    """The words of a content given in parts, if all of them are text; anything else as it is."""
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        texts = [part.get("text") if part.get("type", "text") == "text" else None for part in content]
        return "".join(map(str, texts)) if None not in texts else content
    return content


def _messages_in(text: str) -> list[Message] | None:
    """Messages written into a text cell, as JSON or as Python prints them; None for a text that is one."""
    if not _LOOKS_LIKE_MESSAGES.match(text):
        return None
    for read in (json.loads, ast.literal_eval, _as_numpy_prints):
        with contextlib.suppress(ValueError, SyntaxError):
            value = read(text.strip())
            return _as_messages([value] if isinstance(value, dict) else value)
    return None


def _as_numpy_prints(text: str) -> object:
    """A column of messages that pandas read from Parquet is written with line ends instead of commas."""
    return ast.literal_eval(re.sub(r"\}\s*\n\s*\{", "}, {", text))


def _chatted(pair: Pair) -> Pair:
    def wrap(turns: Turns, role: str) -> list[Message]:
        return turns if isinstance(turns, list) else [_message(role, turns)] if turns else []

    return Pair(
        wrap(pair.prompt, "user"),
        wrap(pair.chosen, "assistant"),
        wrap(pair.rejected, "assistant"),
        pair.place,
    )


def _kinds(pair: Pair) -> set[type]:
    return {type(part) for part in (pair.prompt, pair.chosen, pair.rejected) if part}


def _one_kind(rows: list[Pair], source: Source) -> bool:
    """True when every row is chat, False when every row is text; empty parts do not count."""
    text = [pair.place for pair in rows if str in _kinds(pair)]
    chat = [pair.place for pair in rows if list in _kinds(pair)]
    if text and chat:
        raise DataError(
            f"{source.name}: text and chat messages are mixed: {len(text)} rows hold text (first: {source.unit} "
            f"{text[0]}), {len(chat)} hold messages (first: {source.unit} {chat[0]}).\n"
            "  Next: give --as-chat to turn the text into user and assistant messages, or split the file."
        )
    return bool(chat)


def _layout(columns: Columns, chat: bool) -> str:
    prompt = f"prompt from {columns.prompt!r}" if columns.prompt else "prompt shared by both responses"
    both = f"both responses from {columns.paired!r}" if columns.paired else (
        f"chosen from {columns.chosen!r}, rejected from {columns.rejected!r}"
    )  # fmt: skip
    return f"{'chat' if chat else 'text'}; {prompt}, {both}"
