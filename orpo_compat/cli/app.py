"""Joins the commands into one program. Each command lives in its own file and registers a function here."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import orpo_compat
from orpo_compat.cli.command import adopt_all
from orpo_compat.cli.data import data_app
from orpo_compat.cli.demo import demo
from orpo_compat.cli.diagnose import diagnose
from orpo_compat.cli.doctor import doctor
from orpo_compat.cli.evaluate import evaluate
from orpo_compat.cli.generate import compare, generate
from orpo_compat.cli.migrate import migrate
from orpo_compat.cli.parity import parity_app
from orpo_compat.cli.plan import plan
from orpo_compat.cli.scan import scan
from orpo_compat.cli.train import train

app = typer.Typer(
    name="orpo-compat",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"orpo-compat {orpo_compat.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from; may stand anywhere in the line.")
    ] = False,
) -> None:
    """ORPO training without TRL: switch a repository, prove the numbers, train.

    Example: orpo-compat train --model tiny --data prefs.csv --output out/
    """


app.command("migrate")(migrate)
app.command("scan")(scan)
app.add_typer(parity_app, name="parity")
app.command("train")(train)
app.add_typer(data_app, name="data")
app.command("plan")(plan)
app.command("diagnose")(diagnose)
app.command("doctor")(doctor)
app.command("eval")(evaluate)
app.command("generate")(generate)
app.command("compare")(compare)
app.command("demo")(demo)
adopt_all(app)


def main() -> None:
    """Run the command line; console-script entry point."""
    if "--debug" in sys.argv[1:]:
        sys.argv.remove("--debug")
        os.environ["ORPO_COMPAT_DEBUG"] = "1"
    app()
