"""`orpo-compat doctor`: what is installed, what of it works with ORPO, and what to do about the rest.

TRL is asked in a process of its own, so that a broken one cannot break this; its known defects come from the parity
harness, which measured them.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orpo_compat.cli.console import err, out, reported_errors
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.trl_defects import obstacles

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

IMPORTS = (
    "from trl import ORPOConfig, ORPOTrainer",
    "from trl.trainer import ORPOConfig, ORPOTrainer",
    "from trl.trainer.orpo_trainer import ORPOTrainer",
    "from trl.experimental.orpo import ORPOConfig, ORPOTrainer",
)
_FLOORS = ("torch", "transformers", "accelerate", "peft", "datasets")
_SHADOWS = ("trl", "orpo_compat", "parity", "codemods", "datasets", "transformers", "torch", "peft")
_STYLE = {"ok": "green", "note": "yellow", "missing": "dim", "trouble": "bold red"}
_PROBE = """
import importlib, json, re, sys
answers = {}
for line in json.loads(sys.argv[1]):
    try:
        exec(line, {})
        answers[line] = ""
    except BaseException as error:
        first = (str(error).splitlines() or [""])[0]
        answers[line] = f"{type(error).__name__}: {re.sub(' [(]/.*[)]$', '', first)}"
print(json.dumps(answers))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    state: str
    """ok; note (works, but know this); missing (not needed for everything); trouble (something will not work)."""
    detail: str
    advice: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not try to reach the hub.")] = False,
) -> None:
    """Look at this installation: versions, TRL and its defects, GPU, quantization, attention, hub.

    Exits 3 if something will not work.

    Example: orpo-compat doctor
    """
    with reported_errors():
        if not as_json:
            err().print("looking (torch and TRL take a few seconds to import) ...", style="dim")
        found = list(examine(offline=offline))
        if as_json:
            typer.echo(json.dumps({"findings": [asdict(each) for each in found]}, indent=2))
        else:
            _show(found)
        troubled = any(each.state == "trouble" for each in found)
        raise typer.Exit(int(ExitCode.FINDINGS if troubled else ExitCode.DONE))


def examine(*, offline: bool) -> Iterator[Finding]:
    """Look at everything, in the order in which it is shown."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _packages()
    yield from _shadows(Path.cwd())
    yield from _trl()
    yield _device()
    yield _optional("bitsandbytes", "--load-in-4bit", "pip install bitsandbytes")
    yield _optional("flash_attn", "--attn flash_attention_2", "pip install flash-attn; --attn sdpa needs nothing")
    yield _hub(offline)


def _packages() -> Iterator[Finding]:
    import orpo_compat

    yield Finding("orpo-compat", "ok", orpo_compat.__version__)
    floors = _declared_floors()
    for name in _FLOORS:
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding(name, "trouble", "not installed", f"pip install {name}")
            continue
        wanted = floors.get(name)
        if wanted is not None and not wanted.contains(found, prereleases=True):
            advice = f"pip install '{name}{wanted}'"
            yield Finding(name, "trouble", f"{found}, but orpo-compat needs {wanted}", advice)
        else:
            yield Finding(name, "ok", found)


def _declared_floors() -> dict[str, SpecifierSet]:
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in requires("orpo-compat") or ()]
    except PackageNotFoundError:  # run from a source tree
        return {}
    return {each.name: each.specifier for each in wanted if each.marker is None}


def _shadows(folder: Path) -> Iterator[Finding]:
    own = Path(__file__).resolve().parents[2]
    for name in _SHADOWS:
        here = next((p for p in (folder / name, folder / f"{name}.py") if p.exists()), None)
        importable = here is not None and (here.is_file() or any(here.glob("*.py")))
        if here is not None and importable and folder.resolve() != own:
            advice = "run from another folder, or rename it; python -m puts the current folder first."
            yield Finding(f"./{here.name}", "note", "has the name of a package that training imports", advice)


def _trl() -> Iterator[Finding]:
    try:
        found = version("trl")
    except PackageNotFoundError:
        advice = "only `orpo-compat parity` needs it: pip install 'orpo-compat[parity]'"
        yield Finding("trl", "missing", "not installed; training does not need it", advice)
        return
    yield Finding("trl", "ok", found)
    answers = probe_imports(IMPORTS)
    for line, problem in answers.items():
        if problem:
            yield Finding(line, "note", f"fails: {problem}", "orpo-compat migrate rewrites it.")
        else:
            yield Finding(line, "ok", "works with this TRL")
    for what in known_defects(found, _version_or_none("transformers")):
        yield Finding(f"TRL {found}", "note", what, "orpo_compat does not have it; see docs/differences.md.")
    for each in obstacles(found):
        yield Finding(f"TRL {found}", "note", each.what, each.advice)


def probe_imports(lines: tuple[str, ...]) -> dict[str, str]:
    """Try import lines in a process of their own; empty text for those that work, else the error."""
    environment = {**os.environ, "TRL_EXPERIMENTAL_SILENCE": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-I", "-c", _PROBE, json.dumps(lines)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=True)
        answers: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.SubprocessError, json.JSONDecodeError, IndexError) as error:
        return dict.fromkeys(lines, f"could not be tried ({type(error).__name__})")
    return answers


def known_defects(trl: str, transformers: str | None) -> list[str]:
    """What is known to be wrong with this release of TRL, given the transformers beside it."""
    from packaging.version import Version

    from parity.known import DEFECTS

    def within(found: str | None, first: str, last: str) -> bool:
        return found is not None and Version(first) <= Version(found) <= Version(last)

    return [
        defect.what
        for defect in DEFECTS
        if within(trl, defect.first, defect.last)
        and (defect.transformers is None or within(transformers, *defect.transformers))
    ]


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        index = torch.cuda.current_device()
        facts = torch.cuda.get_device_properties(index)
        more = f", one of {torch.cuda.device_count()}" if torch.cuda.device_count() > 1 else ""
        number = "bfloat16" if torch.cuda.is_bf16_supported() else "float16 only (--fp16)"
        return Finding("device", "ok", f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, {number}{more}")
    if torch.backends.mps.is_available():
        return Finding("device", "ok", "Apple GPU (mps)")
    advice = "fine for trying things; for CUDA, install the torch build that fits the driver."
    return Finding("device", "note", f"no GPU; {os.cpu_count()} CPU cores, float32", advice)


def _optional(module: str, option: str, install: str) -> Finding:
    if find_spec(module) is None:
        return Finding(module, "missing", f"not installed; {option} needs it", install)
    return Finding(module, "ok", _version_or_none(module) or "installed")


def _hub(offline: bool) -> Finding:
    from huggingface_hub import constants, get_token

    token = "with a token" if get_token() else "without a token (gated models need one: hf auth login)"
    if offline or constants.HF_HUB_OFFLINE:
        why = "--offline" if offline else "HF_HUB_OFFLINE is set"
        return Finding("hub", "note", f"not tried: {why}", "folders and cached models work without it.")
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(constants.ENDPOINT, timeout=5):
            return Finding("hub", "ok", f"{constants.ENDPOINT} answers, {token}")
    except urllib.error.HTTPError:
        return Finding("hub", "ok", f"{constants.ENDPOINT} answers, {token}")
    except (OSError, ValueError) as error:
        advice = "use folders or --model tiny, set HF_ENDPOINT for a mirror, or HTTPS_PROXY for a proxy."
        return Finding("hub", "note", f"cannot reach {constants.ENDPOINT} ({error})", advice)


def _version_or_none(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _show(found: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = out()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold", max_width=max(18, console.width // 3))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in found:
        detail = Text(each.detail)
        if each.advice:
            detail.append(f"\n{each.advice}", style="dim")
        table.add_row(Text(each.subject), Text(each.state, style=_STYLE[each.state]), detail)
    console.print(table)
