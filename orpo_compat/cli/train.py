"""`orpo-compat train`: one command from preference data to a model, its curves and its diagnosis.

The options are the command's own, declared below, and every field of `ORPOConfig`, taken from `config_options.json`.
What happens then is in `train_run`.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from orpo_compat.cli.config_options import config_options
from orpo_compat.cli.console import err, reported_errors

_RUN, _DATA, _MODEL = "The run", "Data", "Model and adapter"
Text = str | None
Flag = bool | None
Number = int | None
Real = float | None


def _declared(
    *,
    model: Annotated[
        Text, typer.Option(help="Folder, hub name, alias (SmolLM-135M) or tiny.", rich_help_panel=_RUN)
    ] = None,
    data: Annotated[
        Text,
        typer.Option(
            help="CSV, TSV, JSON, JSONL or Parquet file, a folder, or a hub name.", rich_help_panel=_RUN, metavar="FILE"
        ),
    ] = None,
    output: Annotated[
        Text, typer.Option("--output", "--output-dir", "-o", help="Folder for everything.", rich_help_panel=_RUN)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of options; the command line wins.", rich_help_panel=_RUN)
    ] = None,
    print_config: Annotated[
        Flag, typer.Option("--print-config", help="Print the options as YAML and stop.", rich_help_panel=_RUN)
    ] = None,
    resume: Annotated[
        Flag,
        typer.Option(
            "--resume", help="Go on with the run in --output, from its newest checkpoint.", rich_help_panel=_RUN
        ),
    ] = None,
    resume_from: Annotated[Text, typer.Option(help="Go on from this checkpoint.", rich_help_panel=_RUN)] = None,
    overwrite: Annotated[
        Flag, typer.Option("--overwrite", help="Replace an earlier run in --output.", rich_help_panel=_RUN)
    ] = None,
    total_batch_size: Annotated[
        Number, typer.Option(help="Pairs per update; accumulation is worked out.", rich_help_panel=_RUN)
    ] = None,
    learning_rate_end: Annotated[
        Real, typer.Option(help="Let the schedule end at this rate instead of 0.", rich_help_panel=_RUN)
    ] = None,
    health: Annotated[
        Flag, typer.Option("--health/--no-health", help="Diagnose while training.", rich_help_panel=_RUN)
    ] = None,
    live: Annotated[
        Flag, typer.Option("--live/--no-live", help="Live panel on a terminal.", rich_help_panel=_RUN)
    ] = None,
    plots: Annotated[Flag, typer.Option("--plots/--no-plots", help="Draw plots/*.png.", rich_help_panel=_RUN)] = None,
    split: Annotated[
        Text, typer.Option(help="Split with a slice: train, train[:5%], [:100].", rich_help_panel=_DATA)
    ] = None,
    eval_data: Annotated[
        Text, typer.Option(help="Held-out pairs, instead of a share of --data.", rich_help_panel=_DATA)
    ] = None,
    eval_split: Annotated[
        Text, typer.Option(help="Split of --eval-data, or of --data if that is not given.", rich_help_panel=_DATA)
    ] = None,
    eval_fraction: Annotated[
        Real,
        typer.Option(
            help="Share held out, whole prompts at a time; 0 for none. Unset: 0.1 from 20 prompts on.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    max_samples: Annotated[
        Number, typer.Option(help="Use the first N pairs that pass the filters.", rich_help_panel=_DATA)
    ] = None,
    prompt_column: Annotated[Text, typer.Option(help="Column of the prompt.", rich_help_panel=_DATA)] = None,
    chosen_column: Annotated[
        Text, typer.Option(help="Column of the preferred response.", rich_help_panel=_DATA)
    ] = None,
    rejected_column: Annotated[Text, typer.Option(help="Column of the other response.", rich_help_panel=_DATA)] = None,
    system_column: Annotated[Text, typer.Option(help="Column of a system message.", rich_help_panel=_DATA)] = None,
    delimiter: Annotated[
        Text, typer.Option(help="Between cells, instead of finding it out.", rich_help_panel=_DATA)
    ] = None,
    encoding: Annotated[Text, typer.Option(help="Of the file, if not UTF-8.", rich_help_panel=_DATA)] = None,
    as_chat: Annotated[
        Flag, typer.Option("--as-chat", help="Turn text into messages for the chat template.", rich_help_panel=_DATA)
    ] = None,
    keep_identical: Annotated[
        Flag, typer.Option("--keep-identical", help="Keep pairs of equal responses.", rich_help_panel=_DATA)
    ] = None,
    keep_duplicates: Annotated[
        Flag, typer.Option("--keep-duplicates", help="Keep repeats of a pair.", rich_help_panel=_DATA)
    ] = None,
    drop_overlength: Annotated[
        Flag, typer.Option("--drop-overlength", help="Drop pairs over --max-length, not trim.", rich_help_panel=_DATA)
    ] = None,
    tokenizer: Annotated[
        Text, typer.Option(help="Where the tokenizer is, if elsewhere.", rich_help_panel=_MODEL)
    ] = None,
    dtype: Annotated[
        Text,
        typer.Option(
            help="Of the weights: float32, bfloat16, auto. Unset: float32; with LoRA, auto.", rich_help_panel=_MODEL
        ),
    ] = None,
    attn: Annotated[
        Text, typer.Option(help="Attention: sdpa, eager, flash_attention_2 (vanilla, flash).", rich_help_panel=_MODEL)
    ] = None,
    chat_template: Annotated[
        Text,
        typer.Option(
            help="Jinja file, or chatml, for a tokenizer without a template of its own.", rich_help_panel=_MODEL
        ),
    ] = None,
    use_peft: Annotated[Flag, typer.Option("--use-peft", hidden=True, help="--lora-r 16.")] = None,
    load_in_4bit: Annotated[
        Flag, typer.Option("--load-in-4bit", help="QLoRA: 4-bit weights, with bitsandbytes.", rich_help_panel=_MODEL)
    ] = None,
    lora_r: Annotated[Number, typer.Option(help="Train a LoRA adapter of this rank.", rich_help_panel=_MODEL)] = None,
    lora_alpha: Annotated[Number, typer.Option(help="Unset: twice the rank.", rich_help_panel=_MODEL)] = None,
    lora_dropout: Annotated[
        Real, typer.Option(help="Needs --disable-dropout base to have an effect.", rich_help_panel=_MODEL)
    ] = None,
    lora_target_modules: Annotated[
        Text, typer.Option(help="Comma-separated modules. Unset: all linear layers.", rich_help_panel=_MODEL)
    ] = None,
    use_dora: Annotated[Flag, typer.Option("--use-dora", help="DoRA instead of LoRA.", rich_help_panel=_MODEL)] = None,
    merge_lora: Annotated[
        Flag, typer.Option("--merge-lora", help="Also save the merged model in OUTPUT/merged.", rich_help_panel=_MODEL)
    ] = None,
) -> None:
    """Declare the command's own options."""


def train(**options: Any) -> None:
    """Train a model on preference pairs.

    Reads CSV, TSV, JSON, JSONL, Parquet, folders and hub datasets; columns are found by their usual names. Writes the
    model, run.json, metrics.jsonl, plots and report.html to the output folder. Runs as it is under accelerate launch
    and torchrun.

    Example: orpo-compat train --model SmolLM-135M --data prefs.csv --output out/ --learning-rate 8e-6
    """
    with reported_errors():
        from orpo_compat.cli.train_settings import read_request

        request = read_request({**options, "config": None, "print_config": None}, options["config"])
        if options["print_config"]:
            typer.echo(request.as_yaml(), nl=False)
            return
        request.settings.required()
        quiet()
        console = err()
        if os.environ.get("RANK", "0") == "0":
            console.print("loading torch and transformers ...", style="dim")
        from orpo_compat.cli.log_filter import ToldInWords
        from orpo_compat.cli.train_run import run

        chosen = "learning_rate" in request.config
        told = ("bfloat16 does not pay", "Token indices sequence length is longer", "orpo-compat read")
        with ToldInWords(told if chosen else (*told, "learning_rate is")):
            raise typer.Exit(int(run(request, console)))


def quiet() -> None:
    """Keep libraries' progress bars and deprecations out of a run's output; their warnings stay."""
    import warnings

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _signature() -> inspect.Signature:
    own = list(inspect.signature(_declared, eval_str=True).parameters.values())
    return inspect.Signature([*own, *(option.parameter() for option in config_options())])


train.__signature__ = _signature()  # type: ignore[attr-defined]  # typer reads the options from here
