"""`orpo-compat generate` and `compare`: read what a model writes, alone or beside the model it was trained from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orpo_compat.cli.console import err, out, reported_errors
from orpo_compat.errors import ModelError

if TYPE_CHECKING:
    from orpo_compat.pairs import Turns

Prompt = Annotated[list[str] | None, typer.Option("--prompt", "-p", help="A prompt; may be given several times.")]
Data = Annotated[str | None, typer.Option(help="Take prompts from a preference file instead.", metavar="FILE")]
Count = Annotated[int, typer.Option("--rows", help="How many prompts to take from --data.")]
Chat = Annotated[bool, typer.Option("--chat", help="Send --prompt through the model's chat template.")]
Tokens = Annotated[int, typer.Option(help="Longest answer, in tokens.")]
Temperature = Annotated[float, typer.Option(help="0 takes the likeliest token; above, samples.")]
TopP = Annotated[float, typer.Option(help="Share of probability to sample from.")]
Seed = Annotated[int, typer.Option(help="Of the sampling.")]
Template = Annotated[str | None, typer.Option(help="Jinja file, or chatml, if the tokenizer has none.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print prompts and answers as JSON on stdout.")]


def generate(
    model: Annotated[str, typer.Option(help="Folder, hub name, alias or tiny.")],
    prompt: Prompt = None,
    data: Data = None,
    rows: Count = 3,
    chat: Chat = False,
    chat_template: Template = None,
    max_new_tokens: Tokens = 128,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Let a model answer prompts.

    Example: orpo-compat generate --model out/ --prompt "Why do birds sing?" --chat
    """
    with reported_errors():
        prompts = _prompts(prompt, data, rows, chat)
        options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
        _show(prompts, {model: _answers(model, prompts, options, chat_template)}, as_json=as_json)


def compare(
    model: Annotated[str, typer.Option(help="The trained model: a folder, hub name or alias.")],
    base: Annotated[str | None, typer.Option(help="What it was trained from; unset: as run.json says.")] = None,
    prompt: Prompt = None,
    data: Data = None,
    rows: Count = 3,
    chat: Chat = False,
    chat_template: Template = None,
    max_new_tokens: Tokens = 128,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Put the answers of the base and the trained model side by side.

    Example: orpo-compat compare --model out/ --data prefs.csv --rows 5
    """
    with reported_errors():
        before = base or base_of(Path(model))
        prompts = _prompts(prompt, data, rows, chat)
        options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
        names = dict.fromkeys([before, model])
        _show(prompts, {name: _answers(name, prompts, options, chat_template) for name in names}, as_json=as_json)


def base_of(folder: Path) -> str:
    """What a run was trained from, by its `run.json` or its adapter's configuration.

    Raises:
        ModelError: neither says.
    """
    for name, keys in (("run.json", ("settings", "model")), ("adapter_config.json", ("base_model_name_or_path",))):
        if (folder / name).is_file():
            value: Any = json.loads((folder / name).read_text("utf-8"))
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            if value:
                return str(value)
    raise ModelError(f"{folder}: nothing here says what it was trained from.\n  Next: name it with --base.")


def _prompts(given: list[str] | None, data: str | None, rows: int, chat: bool) -> list[Turns]:
    from orpo_compat.answering import as_user

    prompts: list[Turns] = [as_user(text) if chat else text for text in given or []]
    if data:
        from orpo_compat.cli.train_data import read_pairs
        from orpo_compat.cli.train_settings import TrainSettings

        _, pairs = read_pairs(TrainSettings(as_chat=chat), data, None)
        taken = {str(pair.prompt): pair.prompt for pair in pairs.rows if pair.prompt}
        prompts += list(taken.values())[:rows]
    if not prompts:
        raise ModelError("no prompts.\n  Next: give --prompt TEXT, or --data FILE to take some from.")
    return prompts


def _answers(name: str, prompts: list[Turns], options: dict[str, Any], template: str | None) -> list[str]:
    from orpo_compat import models
    from orpo_compat.answering import answers
    from orpo_compat.cli.log_filter import ToldInWords
    from orpo_compat.cli.train import quiet

    quiet()
    err().print(f"generating with {name} ...", style="dim", markup=False)
    model, tokenizer = models.load(name, {})
    models.give_template(tokenizer, template, needed=not all(isinstance(prompt, str) for prompt in prompts))
    with ToldInWords(("Token indices sequence length is longer",)):
        return list(answers(model, tokenizer, prompts, **options))


def _show(prompts: list[Turns], results: dict[str, list[str]], *, as_json: bool) -> None:
    from orpo_compat.pairs import flat_text

    if as_json:
        rows = [
            {"prompt": prompt, "answers": {name: texts[index] for name, texts in results.items()}}
            for index, prompt in enumerate(prompts)
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    console = out()
    for index, prompt in enumerate(prompts):
        console.print(f"\n{flat_text(prompt)}", style="bold", markup=False)
        table = Table(expand=True, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in results:
            table.add_column(Text(name), ratio=1, overflow="fold")
        table.add_row(*(Text(texts[index]) for texts in results.values()))
        console.print(table)
