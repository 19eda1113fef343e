"""`orpo-compat data inspect`: look at a preference file as the model will see it, before spending an hour on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orpo_compat.cli.console import err, out, paragraph, reported_errors
from orpo_compat.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from orpo_compat.inspection import Inspection
    from orpo_compat.pairs import Pair, Pairs

data_app = typer.Typer(name="data", no_args_is_help=True)

_BAR = "\u2588"
_PARTS = ("prompt", "chosen", "rejected", "together")


@data_app.callback()
def data() -> None:
    """Look at preference data.

    Example: orpo-compat data inspect prefs.csv
    """


@data_app.command("inspect")
def inspect(
    file: Annotated[str, typer.Argument(help="CSV, TSV, JSON, JSONL or Parquet file, a folder, or a hub name.")],
    model: Annotated[
        str | None, typer.Option(help="Whose tokenizer counts; unset: lengths in characters, no truncation.")
    ] = None,
    max_length: Annotated[int, typer.Option(help="As in training.")] = 1024,
    max_prompt_length: Annotated[int | None, typer.Option(help="As in training.")] = None,
    truncation_mode: Annotated[str, typer.Option(help="keep_end or keep_start.")] = "keep_end",
    rows: Annotated[int, typer.Option(help="Pairs to print; 0 for none.")] = 3,
    split: Annotated[str | None, typer.Option(help="Split with a slice: train[:5%] or [:100].")] = None,
    prompt_column: Annotated[str | None, typer.Option(help="Column of the prompt.")] = None,
    chosen_column: Annotated[str | None, typer.Option(help="Column of the preferred response.")] = None,
    rejected_column: Annotated[str | None, typer.Option(help="Column of the other response.")] = None,
    system_column: Annotated[str | None, typer.Option(help="Column of a system message.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between cells, instead of finding it out.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the file, if not UTF-8.")] = None,
    as_chat: Annotated[bool, typer.Option("--as-chat", help="Turn text into messages for the chat template.")] = False,
    chat_template: Annotated[str | None, typer.Option(help="Jinja file, or chatml, if the tokenizer has none.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")] = False,
) -> None:
    """Count, measure and show preference pairs.

    Exits 3 if there is something to look at: empty or equal responses, duplicates, contradictions, a length bias,
    what truncation would cut.

    Example: orpo-compat data inspect prefs.csv --model SmolLM-135M --max-length 512
    """
    with reported_errors():
        from orpo_compat.cli.train_data import read_pairs
        from orpo_compat.cli.train_settings import TrainSettings
        from orpo_compat.inspection import inspect_pairs
        from orpo_compat.models import give_template

        settings = TrainSettings(
            prompt_column=prompt_column,
            chosen_column=chosen_column,
            rejected_column=rejected_column,
            system_column=system_column,
            delimiter=delimiter,
            encoding=encoding,
            as_chat=as_chat,
        )
        source, pairs = read_pairs(settings, file, split)
        tokenizer, rules = _tokenization(model, max_length, max_prompt_length, truncation_mode)
        if tokenizer is not None:
            give_template(tokenizer, chat_template, needed=pairs.chat)
        found = inspect_pairs(pairs, tokenizer=tokenizer, rules=rules)
        if as_json:
            facts = {"source": file, "format": source.kind, "digest": source.digest, "notes": list(source.notes)}
            typer.echo(json.dumps({**facts, **found.as_dict()}, indent=2))
        else:
            console = out()
            _show(console, found, source.unit, [f"{source.kind}, {note}" for note in source.notes])
            _show_rows(console, pairs, source.unit, rows, tokenizer, rules)
        raise typer.Exit(int(ExitCode.FINDINGS if found.findings else ExitCode.DONE))


def _tokenization(name: str | None, max_length: int, max_prompt: int | None, mode: str) -> tuple[Any, Any]:
    if name is None:
        return None, None
    err().print("loading the tokenizer ...", style="dim")
    from orpo_compat.models import load_tokenizer
    from orpo_compat.tokenization import TokenizationRules

    _expect_long_texts()
    rules = TokenizationRules(max_length=max_length, max_prompt_length=max_prompt, truncation_mode=mode)
    return load_tokenizer(name), rules


def _expect_long_texts() -> None:
    """Measuring untrimmed text is the point here; transformers warns that a model could not take it."""
    import transformers

    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def _show(console: Console, found: Inspection, unit: str, notes: list[str]) -> None:
    from orpo_compat.measuring import NOTE_WORDS

    told = [f"{found.rows:,} rows", f"{found.usable:,} complete pairs", f"{found.prompts:,} different prompts"]
    console.print(", ".join(told), style="bold")
    console.print(found.layout, style="dim", markup=False)
    for note in notes:
        console.print(note, style="dim", markup=False)
    _show_lengths(console, found)
    if found.truncation:
        console.print("\nAt these settings", style="bold")
        for name, words in {"untouched": "fit as they are", **NOTE_WORDS}.items():
            if found.truncation.get(name) or name == "untouched":
                console.print(f"  {found.truncation.get(name, 0):>7,}  {words}", markup=False)
    console.print("\nFindings" if found.findings else "\nNo findings.", style="bold")
    for finding in found.findings:
        first = ", ".join(map(str, finding.places[:6])) + (", ..." if finding.count > 6 else "")
        paragraph(console, f"{finding.what} ({unit} {first})", lead=f"  {finding.count:>7,}  ", style="yellow")
        paragraph(console, finding.advice, lead=" " * 11, style="dim")


def _show_lengths(console: Console, found: Inspection) -> None:
    from rich.table import Table

    if not found.lengths:
        return
    table = Table(box=None, pad_edge=False, title_justify="left")
    for heading in (f"{found.unit}", "min", "25%", "50%", "75%", "max"):
        table.add_column(heading, justify="left" if heading == found.unit else "right")
    for part in _PARTS:
        spread = found.lengths[part]
        table.add_row(part, *(f"{n:,}" for n in (spread.smallest, *spread.quartiles, spread.largest)))
    console.print()
    console.print(table)
    width = max(10, min(50, console.width - 34))
    for part in ("prompt", "chosen", "rejected"):
        spread = found.lengths[part]
        console.print(f"\n{part}", style="bold")
        top, last = max(spread.counts), max(i for i, count in enumerate(spread.counts) if count)
        for edge, count in zip(spread.edges[: last + 1], spread.counts, strict=False):
            bar = _BAR * (-(-count * width // top) if count else 0)
            console.print(f"  to {edge:>7,}  [cyan]{bar}[/cyan] {count or ''}")


def _show_rows(console: Console, pairs: Pairs, unit: str, count: int, tokenizer: Any, rules: Any) -> None:
    from orpo_compat.pairs import flat_text

    shown = [pair for pair in pairs.rows if flat_text(pair.chosen).strip() and flat_text(pair.rejected).strip()][:count]
    if not shown:
        return
    console.print("\nAs the model sees them" if tokenizer else "\nPairs", style="bold")
    console.print("[dim]prompt: trained on as text (NLL), masked in the preference[/dim]")
    console.print("[green]chosen: trained on, and preferred[/green]")
    console.print("[red]rejected: masked in the NLL, only disfavoured[/red]")
    for pair in shown:
        console.print(f"\n{unit} {pair.place}", style="bold", highlight=False)
        parts = _seen(pair, tokenizer, rules) if tokenizer else _plain(pair)
        for name, (text, style) in zip(_PARTS, parts, strict=False):
            console.print(f"{name}: {text}", style=style, markup=False)


def _plain(pair: Pair) -> list[tuple[str, str]]:
    from orpo_compat.pairs import flat_text

    texts = [_short(flat_text(turns)) for turns in (pair.prompt, pair.chosen, pair.rejected)]
    return list(zip(texts, ("dim", "green", "red"), strict=True))


def _seen(pair: Pair, tokenizer: Any, rules: Any) -> list[tuple[str, str]]:
    """Prompt and responses decoded from the very ids that training uses, special tokens and cuts included."""
    from orpo_compat.measuring import pair_lengths, tokenized

    batch = tokenized([pair], tokenizer, rules)
    (whole,) = pair_lengths([pair], tokenizer)
    parts: list[tuple[str, str]] = []
    for side, style in (("chosen", "green"), ("rejected", "red")):
        ids, labels = batch[f"{side}_input_ids"][0], batch[f"{side}_labels"][0]
        start = sum(label == rules.label_pad_token_id for label in labels)
        if side == "chosen":
            cut = whole.prompt - start
            parts.append(
                (_short(tokenizer.decode(ids[:start])) + (f" [{cut} tokens of it cut]" if cut > 0 else ""), "dim")
            )
        cut = getattr(whole, side) - (len(ids) - start)
        parts.append((_short(tokenizer.decode(ids[start:])) + (f" [{cut} tokens cut]" if cut > 0 else ""), style))
    return parts


def _short(text: str, limit: int = 700) -> str:
    text = text.strip("\n")
    return text if len(text) <= limit else f"{text[: limit // 2]} [...] {text[-limit // 2 :]}"
