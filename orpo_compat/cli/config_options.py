"""Every `ORPOConfig` field as an option of `train`, without importing transformers to find out what there is.

The list is data, in `config_options.json`, written by ``python -m orpo_compat.cli.describe_config`` and tested to be
up to date. An option left out on the command line is None and never reaches the config, whose default then holds.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from orpo_compat.errors import ConfigError

OPTIONS_FILE = Path(__file__).with_name("config_options.json")
_TYPES: dict[str, Any] = {"int": int, "float": float, "bool": bool}
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ConfigOption:
    """One field as the command line offers it."""

    name: str
    kind: str
    """int, float, bool, text, or structured (a dict or list, written as JSON; a list of words also with commas)."""
    default: str
    help: str
    group: str
    """The panel under which help shows it; empty for an older spelling, which works but is not shown."""

    @property
    def flag(self) -> str:
        """The option's name on the command line."""
        return "--" + self.name.strip("_").replace("_", "-")

    def parameter(self) -> inspect.Parameter:
        """The option as a typer parameter whose default is None."""
        flag = f"{self.flag}/--no{self.flag[1:]}" if self.kind == "bool" else self.flag
        shown = f"{self.help} [dim]\\[default: {self.default}][/dim]" if self.default else self.help
        info = typer.Option(
            flag,
            help=shown,
            rich_help_panel=self.group or None,
            hidden=not self.group,
            show_default=False,
            metavar=None if self.kind in _TYPES else "JSON" if self.kind == "structured" else "TEXT",
        )
        kind = _TYPES.get(self.kind, str)
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, info]
        )

    def read(self, value: Any) -> Any:
        """The field's value from what the command line or a YAML file gave.

        Raises:
            ConfigError: JSON that does not parse.
        """
        if isinstance(value, float) and value.is_integer() and self.kind == "float" and self.name.endswith("_steps"):
            return int(value)
        if not isinstance(value, str) or self.kind in _TYPES:
            return value
        if value.lower() in _TRUTHS:
            return _TRUTHS[value.lower()]
        if value[:1] in ("{", "["):
            try:
                return json.loads(value)
            except json.JSONDecodeError as error:
                raise ConfigError(
                    f"{self.flag}: not JSON at column {error.colno} ({error.msg}).\n  Next: quote it for the shell, "
                    f"""for instance {self.flag} '{{"key": 1}}'."""
                ) from error
        if self.kind == "structured" and self.name in ("report_to", "debug", "include_for_metrics", "label_names"):
            return [word.strip() for word in value.split(",")]
        return value


def config_options() -> list[ConfigOption]:
    """All options, in the order in which help shows them."""
    return [ConfigOption(**entry) for entry in json.loads(OPTIONS_FILE.read_text("utf-8"))]


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those config fields that were given a value, ready for ``ORPOConfig``."""
    known = {option.name: option for option in config_options()}
    return {name: known[name].read(value) for name, value in options.items() if name in known and value is not None}
