"""Every command that the documents show parses, and runs: the quick ones here, the others under ``-m slow``.

A page's commands run in a shell, in order, in a folder with data, a repository and models under the names they use.
What a page shows of the output has to be in the output, but for the digits.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import typer.main
import yaml
from packaging.requirements import Requirement

from orpo_compat.cli.app import app
from tests import docs_stage
from tests.docs_blocks import PAGES, ROOT, Block, Command, all_blocks

LANGUAGES = {"bash", "console", "python", "yaml", "json", "diff", "text"}
RUN = [block for block in all_blocks() if block.commands and not block.reason]
QUICK = re.compile(r"(cd|git|rm|ls|cat) |orpo-compat (scan|migrate|plan)\b.*|python -m codemods")
GATED = re.compile(r"orpo-compat migrate\b(?!.*--(no-verify|dry-run|check|rollback|resume|diff))")


def quick(block: Block) -> bool:
    """Whether nothing in the block trains."""
    lines = [command.text.partition(" #")[0] for command in block.commands if not installs(command)]
    return all(QUICK.match(line) and not GATED.match(line) for line in lines)


def installs(command: Command) -> bool:
    """Whether the command needs the package index."""
    return command.text.startswith("pip install")


def without_digits(line: str) -> str:
    """Leave out what rounding decides: numbers, and which quantity came out farthest."""
    line = re.sub(r"apart \(in \w+\)", "apart", line)
    return re.sub(r"[\d.,]+(e[-+]?\d+)?", "#", " ".join(line.split()))


@dataclass
class Stage:
    """A folder to run a page's commands in."""

    folder: Path
    python_path: str = ""

    def run(self, block: Block) -> None:
        for name in ("repo", "your-repository"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            docs_stage.fill_repository(self.folder / name)
        at = self.folder
        for command in block.commands:
            if command.text.startswith("cd "):
                at = at / shlex.split(command.text, comments=True)[1]
            elif not installs(command):
                self._run(command, at, block)

    def _run(self, command: Command, at: Path, block: Block) -> None:
        environment = {**docs_stage.environment(self.folder), "PYTHONPATH": self.python_path}
        done = subprocess.run(
            ["bash", "-c", command.text], cwd=at, env=environment, text=True, timeout=560,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode in command.exit_codes, f"{block.name}: {command.text}\n{done.stdout[-3000:]}"
        printed = {without_digits(line) for line in done.stdout.splitlines()}
        missing = [
            line for line in command.shown if line.strip() not in ("", "...") and without_digits(line) not in printed
        ]
        assert not missing, f"{block.name}: {command.text}\n{done.stdout[-3000:]}"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    docs_stage.fill_data(tmp_path)
    return Stage(tmp_path)


@pytest.mark.parametrize("block", [b for b in RUN if quick(b)], ids=lambda block: block.name)
def test_quick_commands_run(block: Block, stage: Stage) -> None:
    stage.run(block)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", sorted({b.page for b in RUN if not quick(b)}), ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_the_commands_of_the_page_run(
    page: Path, stage: Stage, docs_hub: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (stage.folder / "hub").symlink_to(docs_hub)
    blocks = [block for block in all_blocks() if block.page == page]
    if any("bitsandbytes" in block.body.lower() for block in blocks):
        stage.python_path = str(fetched("bitsandbytes", tmp_path_factory.mktemp("fetched")))
    for block in blocks:
        if block.title:
            (stage.folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (stage.folder / block.title).write_text(block.body, "utf-8")
    for block in blocks:
        if block in RUN and not quick(block):
            stage.run(block)


def fetched(package: str, folder: Path) -> Path:
    """Install a package into a folder of its own, for pages that say that it is needed."""
    options = ["-q", "--disable-pip-version-check", "--no-deps", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *options, "-c", str(ROOT / "constraints.txt"), package]
    if subprocess.run(command, timeout=300).returncode:
        pytest.skip(f"{package} cannot be fetched here")
    return folder


def parse(arguments: list[str]) -> None:
    """Parse a command line as the program would, without running it."""
    command: click.Command = typer.main.get_command(app)
    context = command.make_context("orpo-compat", arguments)
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None, name
        command, context = found, found.make_context(name, arguments, parent=context)


def inline_commands(page: Path) -> list[str]:
    """Command lines of ours in running text."""
    prose = re.sub(r"```.*?^ *```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = re.findall(r"`(orpo-compat [^`]+)`", prose)
    return [command for command in found if "..." not in command and "[" not in command]


def ours(page: Path) -> list[str]:
    """Every command line of ours on a page, those that no test runs included."""
    blocks = [block for block in all_blocks() if block.page == page]
    lines = [command.text for block in blocks for command in block.commands]
    launched = [re.sub(r"^.*? -m orpo_compat ", "orpo-compat ", line) for line in lines]
    return [line for line in launched if line.startswith("orpo-compat ")] + inline_commands(page)


@pytest.mark.parametrize("page", [page for page in PAGES if ours(page)], ids=lambda page: page.name)
def test_every_command_line_of_ours_parses(page: Path) -> None:
    for line in ours(page):
        try:
            parse(shlex.split(line, comments=True)[1:])
        except click.exceptions.Exit:
            continue  # --help, --version
        except click.ClickException as error:
            pytest.fail(f"{line}: {error.format_message()}")


def test_what_is_installed_is_ours_or_pinned() -> None:
    pinned = {Requirement(line).name for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"}
    commands = [command for block in RUN for command in block.commands if installs(command)]
    assert commands
    for command in commands:
        for named in (word for word in shlex.split(command.text, comments=True)[2:] if not word.startswith("-")):
            requirement = Requirement(named)
            assert requirement.name == "orpo-compat" or requirement.name in pinned, command.text
            assert requirement.extras <= {"parity", "docs", "dev"}, command.text


def test_every_block_says_what_it_is() -> None:
    assert [block.name for block in all_blocks() if block.language not in LANGUAGES] == []
    for block in all_blocks():
        if block.language == "yaml":
            assert yaml.safe_load(block.body), block.name


def test_contributing_lists_exactly_the_blocks_that_no_test_runs() -> None:
    page = (ROOT / "docs" / "contributing.md").read_text("utf-8")
    section = page.partition("## What no test runs")[2].partition("\n## ")[0]
    stated = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)
    found = [
        (block.page.relative_to(ROOT).as_posix(), block.body.splitlines()[0].split("#")[0].strip(), block.reason)
        for block in all_blocks()
        if block.reason
    ]
    assert sorted(stated) == sorted(found)
