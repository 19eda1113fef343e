"""How every command reads its line and shows its help: paragraphs, examples, `--like_this`, names of other tools.

What a command does is its own file's business.
"""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from orpo_compat.cli.other_tools import counterpart, normalized


class Command(TyperCommand):
    """A command whose help reads as prose and whose options may be written with underscores."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **_readable(kwargs))

    def get_params(self, ctx: Any) -> list[Any]:
        """All options; a switch shows no type, since typer's <bool> reads as if it took a value."""
        return [_quiet(param) for param in super().get_params(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; say what to write instead of another tool's option."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # typer's own NoSuchOption, whose home differs between its releases
            hint = counterpart(getattr(error, "option_name", ""))
            if hint and type(error).__name__ == "NoSuchOption":
                error.message += f". Here that is {hint}"  # type: ignore[attr-defined]
                error.possibilities = None  # type: ignore[attr-defined]
            raise


class Group(TyperGroup):
    """A group of commands with the same habits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **_readable(kwargs))

    def get_params(self, ctx: Any) -> list[Any]:
        """All options; a switch shows no type, since typer's <bool> reads as if it took a value."""
        return [_quiet(param) for param in super().get_params(ctx)]


def adopt_all(app: typer.Typer) -> None:
    """Give an app, its commands and its groups these habits."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
        command.context_settings = {"token_normalize_func": _underscores_too, **(command.context_settings or {})}
        if command.name == "train":
            command.context_settings["token_normalize_func"] = normalized
    for group in app.registered_groups:
        group.cls = Group
        if group.typer_instance is not None:
            adopt_all(group.typer_instance)


def _underscores_too(name: str) -> str:
    return name.replace("_", "-")


def _readable(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Join the lines of each paragraph of a help text; the terminal decides where they break."""
    text = inspect.cleandoc(kwargs.get("help") or "")
    kwargs["help"] = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")) or None
    return kwargs


def _quiet(param: Any) -> Any:
    if getattr(param, "is_flag", False):
        param.display_type_rich = lambda ctx: None
    return param
