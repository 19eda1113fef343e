"""Preference rows in every shape people store them, brought to strings: prompt, chosen, rejected.

Pure functions of one row: knows chat templates and implicit prompts, nothing of token ids or models. The rules are
TRL 1.16's (``maybe_extract_prompt``, ``maybe_apply_chat_template``), so that the same row gives the same text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Messages = Sequence[Mapping[str, Any]]


def is_messages(value: object) -> bool:
    """Tell whether a cell is a list of chat messages rather than text."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and isinstance(value[0], Mapping)
        and "role" in value[0]
    )


def split_shared_start(chosen: Any, rejected: Any) -> dict[str, Any]:
    """Split an implicit prompt off: the longest common start of chosen and rejected, text or messages.

    A space just before the parting stays with the responses. Where one is a prefix of the other, the last common
    element stays with the responses, so that neither is ever empty (TRL does the same).

    Raises:
        ValueError: one of the two is empty, or neither text nor messages.
    """
    _require_readable({"chosen": chosen, "rejected": rejected})
    shortest = min(len(chosen), len(rejected))
    if shortest == 0:
        raise ValueError(
            "a row without 'prompt' needs a non-empty 'chosen' and 'rejected' to take the prompt from, got lengths "
            f"{len(chosen)} and {len(rejected)}; drop the row or give it a prompt"
        )
    parting = next((i for i in range(shortest) if chosen[i] != rejected[i]), None)
    if parting is None:
        parting = shortest - 1
    elif parting > 0 and chosen[parting - 1] == " ":
        parting -= 1
    return {"prompt": chosen[:parting], "chosen": chosen[parting:], "rejected": rejected[parting:]}


def with_prompt(row: Row) -> dict[str, Any]:
    """Return prompt, chosen and rejected of a row, taking an implicit prompt out of the responses.

    A text prompt beside conversational responses is discarded for the messages' own, as TRL does: many datasets
    carry it only for reading.

    Raises:
        KeyError: 'chosen' or 'rejected' is missing.
    """
    for column in ("chosen", "rejected"):
        if column not in row:
            raise KeyError(
                f"a preference row needs the column {column!r}, got {sorted(row)}; rename your columns, or pass "
                "tokenized rows with 'chosen_input_ids' and 'rejected_input_ids'"
            )
    if "prompt" in row and row["prompt"] is not None and is_messages(row["chosen"]) == is_messages(row["prompt"]):
        return {"prompt": row["prompt"], "chosen": row["chosen"], "rejected": row["rejected"]}
    return split_shared_start(row["chosen"], row["rejected"])


def _common_start(first: str, second: str) -> str:
    for position, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return first[:position]
    return first[: min(len(first), len(second))]


def _generation_options(prompt: Messages) -> dict[str, bool]:
    last_role = prompt[-1]["role"]
    if last_role in ("user", "tool", "system"):
        return {"add_generation_prompt": True, "continue_final_message": False}
    if last_role == "assistant":
        return {"add_generation_prompt": False, "continue_final_message": True}
    raise ValueError(f"the prompt's last message has role {last_role!r}, expected user, tool, system or assistant")


def render_chat(row: Row, tokenizer: Any) -> dict[str, str]:
    """Apply the tokenizer's chat template to a conversational row and split it at the responses.

    Templates may write more after a prompt alone than inside a conversation (DeepSeek-R1's ``<think>``), so the
    prompt is what all three renderings start with, and both responses are cut at that one place.

    Raises:
        ValueError: the prompt ends with a role that cannot be answered.
    """
    options = {
        "tools": row.get("tools") or None,
        "tokenize": False,
        **(row.get("chat_template_kwargs") or {}),
    }
    messages = list(row["prompt"])
    chosen = tokenizer.apply_chat_template(messages + list(row["chosen"]), **options)
    rejected = tokenizer.apply_chat_template(messages + list(row["rejected"]), **options)
    prompt = tokenizer.apply_chat_template(messages, **_generation_options(messages), **options)
    shared = _common_start(_common_start(prompt, chosen), rejected)
    return {"prompt": shared, "chosen": chosen[len(shared) :], "rejected": rejected[len(shared) :]}


def to_text(row: Row, tokenizer: Any) -> dict[str, str]:
    """Bring one row, of any supported shape, to ``prompt``, ``chosen`` and ``rejected`` strings.

    Raises:
        KeyError: a column is missing.
        ValueError: the row is neither text nor messages throughout.
    """
    parts = with_prompt(row)
    if is_messages(parts["chosen"]):
        extras = {key: row[key] for key in ("tools", "chat_template_kwargs") if key in row}
        return render_chat({**parts, **extras}, tokenizer)
    _require_readable(parts, kinds=(str,))
    return parts


def _require_readable(cells: Row, kinds: tuple[type, ...] = (str, Sequence)) -> None:
    for column, value in cells.items():
        if not isinstance(value, kinds):
            raise ValueError(
                f"{column} should be a string or a list of messages, got {type(value).__name__}: {value!r:.80}; "
                "repair the row or drop it"
            )
