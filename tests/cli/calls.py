"""Calls of the command line inside the test's own process, with stdout and stderr apart."""

from __future__ import annotations

import dataclasses

from typer.testing import CliRunner, Result

from orpo_compat.cli.app import app
from orpo_compat.cli.migrate_options import Request


def call(*arguments: object, stdin: bytes = b"") -> Result:
    """Run ``orpo-compat`` with these arguments."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def migrate(*arguments: object, stdin: bytes = b"") -> Result:
    """Run ``orpo-compat migrate`` with these arguments."""
    return call("migrate", *arguments, stdin=stdin)


def request(*paths: object, **asked: object) -> Request:
    """A request as the command line would make it, everything off but what is ``asked``."""
    off = {field.name: False for field in dataclasses.fields(Request) if field.type == "bool"}
    nothing = ("to", "verify_with", "reference_python", "reference", "report", "output")
    empty = {"diff": "", **dict.fromkeys(nothing)}
    plain = {
        **off,
        **empty,
        "include": [],
        "exclude": [],
        "verify_subclass": [],
        "jobs": 1,
        "paths": [str(path) for path in paths],
    }
    return Request(**{**plain, **asked})  # type: ignore[arg-type]
