"""The options of ``orpo-compat parity``: what each is called, what it means, and what was typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

_CHOSEN = "the scenario's"

Model = Annotated[str | None, Option(help="tiny, SmolLM-135M, ..., a hub name, or a folder.", show_default=_CHOSEN)]
Weights = Annotated[str, Option(help="auto: disk, hub, else random; hub; or random.")]
Steps = Annotated[int | None, Option(min=1, help="Optimizer steps.", show_default=_CHOSEN)]
Seed = Annotated[int, Option(help="Seed of weights, rows and training.")]
Scenario = Annotated[
    str, Option(help="What to press: base, accumulation, lora, chat, ..., repo; several with commas, or all.")
]
Data = Annotated[Path | None, Option(help="Rows to train on, JSON or JSONL, instead of the embedded ones.")]
Repository = Annotated[
    Path, Option(help="Where to look for an environment with TRL and for --scenario repo's settings.")
]
ReferencePython = Annotated[Path | None, Option(help="An interpreter or environment that has TRL.")]
ReferenceRelease = Annotated[
    str | None, Option("--reference", help="Build and cache an environment, e.g. trl==0.24.0.")
]
Packing = Annotated[str, Option(help="auto judges both of ours' paths; never only the padded one.")]
Resync = Annotated[bool, Option("--resync", help="Copy theirs' state into ours each step, to isolate one bad update.")]
Threads = Annotated[int | None, Option(min=1, help="Threads of each arm.", show_default="chosen to fit")]
Processes = Annotated[int, Option(min=1, help="Data-parallel processes of each arm, under one launcher.")]
Device = Annotated[str, Option(help="cpu, which is bit-reproducible, or auto for what the trainers choose.")]
Repeat = Annotated[int, Option(min=0, help="Alternating untraced repetitions for speed and memory; 3 or more resolve.")]
Ours = Annotated[str, Option(help="The trainer under test, module:Class.", hidden=True)]
Theirs = Annotated[str, Option(help="The reference trainer: trl, or module:Class.", hidden=True)]
Json = Annotated[Path | None, Option("--json", help="Write the sealed evidence here.")]
Html = Annotated[Path | None, Option("--html", help="Write the report as one HTML page.")]
Markdown = Annotated[Path | None, Option(help="Write the report for a pull request.")]
JUnit = Annotated[Path | None, Option(help="Write the judgements as JUnit XML.")]
Output = Annotated[Path | None, Option(help="Keep the raw traces here.", show_default="beside --json, else a cache")]
Timeout = Annotated[
    float | None,
    Option(help="Seconds of silence after which an arm counts as hung.", show_default="300; large models 1800"),
]
Short = Annotated[bool, Option("--short", help="Leave out the table of steps.")]
Checklist = Annotated[
    bool, Option("--checklist", help="Measure W&B (offline) and a hub push (local stand-in) as well.")
]
SelfTest = Annotated[bool, Option("--self-test", help="Plant known bugs into ours; each must be caught.")]
EvidenceFile = Annotated[Path, typer.Argument(help="Evidence made with orpo-compat parity --json FILE.")]
Traces = Annotated[Path | None, Option(help="The raw traces, if they have moved.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one ``orpo-compat parity``, as typed."""

    model: str | None
    weights: str
    steps: int | None
    seed: int
    scenario: str
    data: Path | None
    repository: Path
    reference_python: Path | None
    reference: str | None
    packing: str
    resync: bool
    threads: int | None
    processes: int
    device: str
    repeat: int
    ours: str
    theirs: str
    json: Path | None
    html: Path | None
    markdown: Path | None
    junit: Path | None
    output: Path | None
    timeout: float | None
    short: bool
    checklist: bool
