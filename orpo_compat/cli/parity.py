"""``orpo-compat parity``: train theirs and ours on the same batches and conclude whether they are the same.

It turns options into a question, shows progress on stderr, prints the report on stdout, and returns the verdict's exit
code. What it means to be the same is decided in the ``parity`` package.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from orpo_compat.cli import parity_options as ask
from orpo_compat.cli.destinations import require_writable
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.parity_options import Options

if TYPE_CHECKING:
    from orpo_compat.cli.parity_progress import Progress
    from parity.reference import Reference
    from parity.run import Request
    from parity.spec import Spec

parity_app = typer.Typer(
    name="parity",
    help="Train TRL's ORPO trainer and ours on the same batches, and judge whether they are the same.\n\n"
    "Example: orpo-compat parity --model tiny --scenario lora --html parity.html",
    invoke_without_command=True,
    no_args_is_help=False,
)


@parity_app.callback()
def parity(
    context: typer.Context,
    model: ask.Model = None,
    weights: ask.Weights = "auto",
    steps: ask.Steps = None,
    seed: ask.Seed = 20,
    scenario: ask.Scenario = "base",
    data: ask.Data = None,
    repository: ask.Repository = Path(),
    reference_python: ask.ReferencePython = None,
    reference: ask.ReferenceRelease = None,
    packing: ask.Packing = "auto",
    resync: ask.Resync = False,
    threads: ask.Threads = None,
    processes: ask.Processes = 1,
    device: ask.Device = "cpu",
    repeat: ask.Repeat = 0,
    ours: ask.Ours = "orpo_compat:ORPOTrainer",
    theirs: ask.Theirs = "trl",
    json: ask.Json = None,
    html: ask.Html = None,
    markdown: ask.Markdown = None,
    junit: ask.JUnit = None,
    output: ask.Output = None,
    timeout: ask.Timeout = None,
    short: ask.Short = False,
    checklist: ask.Checklist = False,
    self_test: ask.SelfTest = False,
) -> None:
    """Train TRL's ORPO trainer and ours on the same batches, and judge whether they are the same."""
    if context.invoked_subcommand is not None:
        return
    # fmt: off
    options = Options(
        model=model, weights=weights, steps=steps, seed=seed, scenario=scenario, data=data, repository=repository,
        reference_python=reference_python, reference=reference, packing=packing, resync=resync, threads=threads,
        device=device, processes=processes,
        repeat=repeat, ours=ours, theirs=theirs, json=json, html=html, markdown=markdown, junit=junit, output=output,
        timeout=timeout, short=short, checklist=checklist,
    )
    # fmt: on
    raise typer.Exit(_guarded(lambda: _self_test(options) if self_test else _run(options)))


@parity_app.command("verify")
def verify_command(file: ask.EvidenceFile, traces: ask.Traces = None) -> None:
    """Conclude a verdict again from the raw traces, and say what was altered."""
    raise typer.Exit(_guarded(lambda: _verify(file, traces)))


def _guarded(action: Any) -> int:
    """Run a command; user mistakes become one message and the exit code they belong to."""
    from orpo_compat.errors import OrpoCompatError
    from parity.errors import ArmFailed, EvidenceInvalid, ParityError, ReferenceUnavailable

    try:
        return int(action())
    except (ReferenceUnavailable, ArmFailed) as error:
        typer.echo(f"parity not run: {error}", err=True)
        return ExitCode.PARITY_NOT_RUN
    except EvidenceInvalid as error:
        typer.echo(f"evidence: {error}", err=True)
        return ExitCode.PENDING
    except (ParityError, OrpoCompatError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        return ExitCode.USAGE
    except KeyboardInterrupt:
        typer.echo("interrupted; the arms were stopped", err=True)
        return ExitCode.INTERRUPTED
    except Exception:
        # Python's own exit code for this, 1, would read as DIFFERENT.
        typer.echo(f"error of our own, please report it:\n{traceback.format_exc().rstrip()}", err=True)
        return ExitCode.USAGE


def _verify(file: Path, traces: Path | None) -> int:
    from parity.evidence import verify

    checked = verify(file, traces=traces)
    typer.echo(f"{checked.verdict.value}: {checked.headline}")
    for problem in checked.problems:
        typer.echo(f"does not stand: {problem}", err=True)
    if checked.stands:
        typer.echo("the evidence stands: seal, raw traces and verdict agree", err=True)
        return checked.verdict.exit_code
    return ExitCode.PENDING


def _reference(options: Options) -> Reference:
    from parity.environments import build_reference
    from parity.reference import find_reference

    if options.reference is not None:
        return build_reference(options.reference, report=lambda line: typer.echo(line, err=True))
    return find_reference(python=options.reference_python, root=options.repository)


def _spec(options: Options, scenario: str) -> Spec:
    from parity.catalog import find_model
    from parity.fit import fit
    from parity.repo_settings import spec_for_repository
    from parity.scenarios import SCENARIOS, make_spec

    data = str(options.data.resolve()) if options.data else None
    if scenario == "repo":
        said = spec_for_repository(
            options.repository,
            report=lambda line: typer.echo(line, err=True),
            model=options.model,
            steps=options.steps,
            processes=options.processes,
        )
        return replace(
            said, weights=options.weights, data=data, device=options.device, threads=options.threads or said.threads
        )
    default = SCENARIOS[scenario].model if scenario in SCENARIOS else "tiny"
    chosen = fit(find_model(options.model or default), steps=options.steps)
    return make_spec(
        scenario,
        model=options.model,
        weights=options.weights,
        steps=chosen.steps,
        seed=options.seed,
        threads=options.threads or max(chosen.threads // options.processes, 1),
        processes=options.processes,
        data=data,
        settings=chosen.settings,
        notes=chosen.notes,
        max_row_chars=chosen.max_row_chars,
        device=options.device,
    )


def _folder(options: Options, spec: Spec, several: bool) -> Path:
    # Absolute, because the arms run in a folder of their own.
    if options.output is not None:
        base = options.output.resolve() / spec.scenario if several else options.output.resolve()
        base.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="run-", dir=base))
    if options.json is not None:
        beside = options.json.resolve().parent
        beside.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{options.json.stem}-traces-", dir=beside))
    from parity.environments import cache_folder

    runs = cache_folder() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{spec.scenario}-", dir=runs))


def _run(options: Options) -> int:
    """Run each scenario asked for and return the exit code of the gravest verdict."""
    from parity.known import around_defects
    from parity.scenarios import SCENARIOS
    from parity.verdict import worst

    for option in ("json", "html", "markdown", "junit"):
        require_writable(f"--{option}", getattr(options, option))
    names = list(SCENARIOS) if options.scenario == "all" else options.scenario.split(",")
    specs = [_spec(options, name.strip()) for name in names]
    reference = _reference(options)
    specs = [around_defects(spec, reference.versions) for spec in specs]
    return worst([_run_one(options, spec, reference, len(specs) > 1) for spec in specs]).exit_code


def _run_one(options: Options, spec: Spec, reference: Reference, several: bool) -> Any:
    from rich.console import Console

    from orpo_compat.cli.parity_progress import Progress
    from parity.evidence import make_evidence, write_evidence
    from parity.extras import measure_extras
    from parity.report import print_report
    from parity.run import Request, run_parity

    folder = _folder(options, spec, several)
    silence = options.timeout or (300.0 if spec.max_row_chars == 0 else 1800.0)
    request = Request(
        spec=spec,
        reference=reference,
        folder=folder,
        packing=options.packing,
        resync=options.resync,
        ours=options.ours,
        theirs=options.theirs,
        silence=silence,
    )
    with Progress(spec, packing=options.packing) as progress:
        outcome = run_parity(request, progress.note)
        measurements = _measure(options, request, progress) if options.repeat else None
    extras = measure_extras(request) if options.checklist else None
    content = make_evidence(outcome, measurements=measurements, extras=extras)
    file = write_evidence(content, _named(options.json, spec, several) or folder / "evidence.json", folder)
    console = Console(width=None if sys.stdout.isatty() else 120)
    print_report(content, console, short=options.short, checklist=options.checklist)
    typer.echo(f"evidence: {file}", err=True)
    _write_reports(options, content, spec, several)
    return outcome.verdict


def _named(path: Path | None, spec: Spec, several: bool) -> Path | None:
    """Return the file to write; with several scenarios each has its own."""
    if path is None or not several:
        return path
    return path.with_name(f"{path.stem}-{spec.scenario}{path.suffix}")


def _measure(options: Options, request: Request, progress: Progress) -> dict[str, Any]:
    from parity.measure import measure

    return measure(request, repetitions=options.repeat, progress=progress.note)


def _write_reports(options: Options, content: dict[str, Any], spec: Spec, several: bool) -> None:
    wanted = (
        (options.html, "parity.report_html", "make_html"),
        (options.markdown, "parity.report_text", "make_markdown"),
        (options.junit, "parity.report_text", "make_junit"),
    )
    for path, module, maker in wanted:
        target = _named(path, spec, several)
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(getattr(import_module(module), maker)(content), encoding="utf-8")
            typer.echo(f"report: {target}", err=True)


def _self_test(options: Options) -> int:
    from parity.self_test import run_self_test

    with tempfile.TemporaryDirectory(prefix="orpo-compat-self-test-") as folder:
        result = run_self_test(
            _reference(options), Path(folder), ours=options.ours, report=lambda line: typer.echo(line, err=True)
        )
    typer.echo(result.table())
    return ExitCode.DONE if result.all_caught else ExitCode.PENDING
