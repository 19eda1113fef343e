"""Calls of the command line inside the test's own process, with stdout and stderr apart."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from orpo_compat.cli.app import app


def call(*arguments: object, stdin: bytes = b"") -> Result:
    """Run ``orpo-compat`` with these arguments."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def migrate(*arguments: object, stdin: bytes = b"") -> Result:
    """Run ``orpo-compat migrate`` with these arguments."""
    return call("migrate", *arguments, stdin=stdin)
