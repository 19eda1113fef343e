"""`orpo-compat eval`: how a model ranks held-out pairs, beside another model if one is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orpo_compat.cli.console import err, out, reported_errors
from orpo_compat.cli.destinations import require_writable

if TYPE_CHECKING:
    from orpo_compat.pairs import Pair
    from orpo_compat.scoring import PairScore, Summary

_ROWS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("win rate", lambda s: f"{s.win_rate:.1%} ({s.win_rate_low:.1%} to {s.win_rate_high:.1%})"),
    ("mean log-odds", lambda s: f"{s.mean_log_odds:+.4f} +- {s.mean_log_odds_error:.4f}"),
    ("NLL", lambda s: f"{s.nll:.4f}"),
    ("loss", lambda s: f"{s.loss:.4f}"),
)


def evaluate(
    model: Annotated[str, typer.Option(help="Folder, hub name, alias or tiny.")],
    data: Annotated[str, typer.Option(help="Held-out pairs: a file, a folder or a hub name.", metavar="FILE")],
    base: Annotated[str | None, typer.Option(help="Another model to put beside it.")] = None,
    split: Annotated[str | None, typer.Option(help="Split with a slice: test, test[:10%].")] = None,
    max_samples: Annotated[int | None, typer.Option(help="Use the first N pairs.")] = None,
    max_length: Annotated[int, typer.Option(help="As in training.")] = 1024,
    batch_size: Annotated[int, typer.Option(help="Pairs per forward pass.")] = 8,
    beta: Annotated[float, typer.Option(help="Only enters the loss.")] = 0.1,
    prompt_column: Annotated[str | None, typer.Option(help="Column of the prompt.")] = None,
    chosen_column: Annotated[str | None, typer.Option(help="Column of the preferred response.")] = None,
    rejected_column: Annotated[str | None, typer.Option(help="Column of the other response.")] = None,
    as_chat: Annotated[bool, typer.Option("--as-chat", help="Turn text into messages for the chat template.")] = False,
    chat_template: Annotated[str | None, typer.Option(help="Jinja file, or chatml, if the tokenizer has none.")] = None,
    rows_out: Annotated[Path | None, typer.Option(help="Write every pair's scores here, as JSON lines.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> None:
    """Score held-out pairs: win rate, mean log-odds, NLL.

    A pair is won when the chosen response has the higher mean log-probability per token.

    Example: orpo-compat eval --model out/ --base SmolLM-135M --data held_out.csv
    """
    with reported_errors():
        from orpo_compat.cli.train_data import read_pairs
        from orpo_compat.cli.train_settings import TrainSettings
        from orpo_compat.selection import screen

        require_writable("--rows-out", rows_out)
        settings = TrainSettings(
            prompt_column=prompt_column, chosen_column=chosen_column, rejected_column=rejected_column, as_chat=as_chat
        )
        _, pairs = read_pairs(settings, data, split)
        kept = screen(pairs.rows, drop_duplicates=False).kept[:max_samples]
        options = {"max_length": max_length, "batch_size": batch_size, "beta": beta}
        template: dict[str, Any] = {"template": chat_template, "chat": pairs.chat}
        results = {
            name: _score(name, kept, options, **template) for name in dict.fromkeys([*([base] if base else []), model])
        }
        if rows_out is not None:
            _write_rows(rows_out, results)
        if as_json:
            typer.echo(json.dumps({name: summary.as_dict() for name, (_, summary) in results.items()}, indent=2))
        else:
            _show(results)


def _score(
    name: str, pairs: list[Pair], options: dict[str, Any], *, template: str | None, chat: bool
) -> tuple[list[PairScore], Summary]:
    from orpo_compat import models
    from orpo_compat.cli.log_filter import ToldInWords
    from orpo_compat.cli.train import quiet
    from orpo_compat.scoring import score_pairs

    quiet()
    err().print(f"scoring {len(pairs)} pairs with {name} ...", style="dim", markup=False)
    model, tokenizer = models.load(name, {})
    models.give_template(tokenizer, template, needed=chat)
    with ToldInWords(("Token indices sequence length is longer", "bfloat16 does not pay")):
        return score_pairs(model, tokenizer, pairs, **options)


def _write_rows(path: Path, results: dict[str, tuple[list[PairScore], Summary]]) -> None:
    lines = [
        json.dumps({"model": name, **score.as_dict()}) for name, (scores, _) in results.items() for score in scores
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _show(results: dict[str, tuple[list[PairScore], Summary]]) -> None:
    from rich.table import Table

    console = out()
    table = Table(box=None, pad_edge=False)
    count = next(iter(results.values()))[1].pairs
    table.add_column(f"{count} pairs")
    for name in results:
        table.add_column(name, justify="right", overflow="fold")
    for label, value in _ROWS:
        table.add_row(label, *(value(summary) for _, summary in results.values()))
    console.print(table)
    if len(results) == 2:
        (before, _), (after, _) = results.values()
        gained = sum(new.won and not old.won for old, new in zip(before, after, strict=True))
        lost = sum(old.won and not new.won for old, new in zip(before, after, strict=True))
        console.print(f"{gained} pairs gained, {lost} lost", style="dim")
