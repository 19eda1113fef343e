"""Records the pictures in docs/assets/screens from real runs: ``make screens``, or this file with names of screens.

Terminals are run in a pseudo-terminal and drawn as SVG by rich, pages are photographed by Chromium; each light and
dark. Every command is in ``SCREENS`` or ``PAGES``; nothing in a picture is written by hand. The folder that
the commands run in is shown as ``~``.
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, DIMMED_MONOKAI, TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import docs_stage  # noqa: E402

TARGET = ROOT / "docs" / "assets" / "screens"
THEMES: dict[str, TerminalTheme] = {"light": DEFAULT_TERMINAL_THEME, "dark": DIMMED_MONOKAI}
# rich's own template, less the web font that it would fetch.
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


@dataclass(frozen=True, slots=True)
class Screen:
    """One command whose terminal is recorded, and what has to run before it."""

    name: str
    command: str
    before: tuple[str, ...] = ()
    width: int = 100
    lines: int = 60
    """At most so many lines are drawn; more end in an ellipsis."""
    pick: Callable[[str], str] = str
    """What of the recording is drawn; the whole of it unless said."""


@dataclass(frozen=True, slots=True)
class Page:
    """One HTML page that is photographed."""

    name: str
    path: str
    before: tuple[str, ...]
    size: tuple[int, int] = (1100, 1300)


def last_panel(recording: str) -> str:
    """The last frame that a live panel drew, before it was taken away."""
    frames = re.split(r"(?:\x1b\[\d*A|\r)?\x1b\[2K", recording)
    panels = [frame for frame in frames if "\u256d" in frame and "\u2570" in frame]
    panel = panels[-1]
    return panel[panel.index("\u256d") : panel.rindex("\u256f") + 1]


TRAIN = (
    "orpo-compat train --model tiny --data prefs.csv --output out --learning-rate 2e-3 --num-train-epochs 12 "
    "--per-device-train-batch-size 8"
)
BADLY = "orpo-compat train --model tiny --data prefs.csv --output lora --lora-r 8 --num-train-epochs 12"
PARITY = "orpo-compat parity --short --json parity.json --html parity.html"
SCREENS = (
    Screen("scan", "orpo-compat scan your-repository", lines=45),
    Screen("migrate-dry-run", "orpo-compat migrate your-repository --dry-run", lines=70),
    Screen("parity", PARITY, width=120),
    Screen("data-inspect", "orpo-compat data inspect prefs.csv --model tiny", lines=70),
    Screen("train", TRAIN, pick=last_panel),
    Screen("diagnose", "orpo-compat diagnose lora", before=(BADLY,)),
    Screen("doctor", "orpo-compat doctor"),
    Screen("plan", "orpo-compat plan --model 8B --gpus 8 --length 2048"),
)
PAGES = (
    Page("parity-page", "parity.html", (PARITY,)),
    Page("train-page", "out/report.html", (TRAIN,), size=(1100, 1500)),
)


class Stage:
    """The folder that commands run in; each command runs once, whoever asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: dict[str, str] = {}
        docs_stage.fill_hub_cache(folder / "hub")
        docs_stage.fill_data(folder)
        docs_stage.fill_repository(folder / "your-repository")

    def record(self, command: str, width: int = 100) -> str:
        """Run a command in a pseudo-terminal and return all that it wrote."""
        if command not in self.done:
            environment = docs_stage.environment(self.folder) | {"TERM": "xterm-256color", "COLUMNS": str(width)}
            environment |= {"LINES": "60", "COLORTERM": "truecolor"}
            environment.pop("NO_COLOR")
            self.done[command] = self._run(command, environment)
        return self.done[command]

    def _run(self, command: str, environment: dict[str, str]) -> str:
        print(f"$ {command}", file=sys.stderr)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=self.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        written = b""
        while chunk := self._read(ours):
            written += chunk
        os.close(ours)
        if process.wait() not in (0, 3):
            raise SystemExit(f"{command} exited with {process.returncode}:\n{written.decode()[-2000:]}")
        text = written.decode("utf-8", "replace").replace("\r\n", "\n")
        return text.replace(f"{self.folder}/", "").replace(str(self.folder), "~")

    @staticmethod
    def _read(descriptor: int) -> bytes:
        try:
            return os.read(descriptor, 65536)
        except OSError:  # the other end is closed
            return b""


def final_lines(recording: str) -> str:
    """What is left on the screen once every line that was written over or erased is as it ended."""
    lines, row, over = [""], 0, False
    for part in re.split(r"(\x1b\[\??\d*[A-DJKhl]|\r|\n)", recording):
        if part == "\n":
            row, over = row + 1, False
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            over = True
        elif part.startswith("\x1b[") and part.endswith("A"):
            row = max(0, row - int(part[2:-1] or 1))
        elif part.startswith("\x1b[") and part.endswith(("J", "K")):
            lines[row] = ""
        elif part and not re.fullmatch(r"\x1b\[\??\d*[BCDhl]", part):
            lines[row], over = part if over else lines[row] + part, False
    return "\n".join(lines).strip("\n")


def draw(screen: Screen, recording: str) -> None:
    """Write the screen's pictures, one a theme."""
    text = Text.from_ansi(final_lines(screen.pick(recording)))
    lines = text.split("\n")
    shown = [Text.assemble(("$ ", "bold green"), (screen.command, "bold")), *lines[: screen.lines]]
    if len(lines) > screen.lines:
        shown.append(Text("...", style="dim"))
    shown.append(Text())
    for theme, colours in THEMES.items():
        console = Console(
            record=True, width=screen.width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
        )
        for line in shown:
            console.print(line, highlight=False, soft_wrap=False)
        title = f"orpo-compat {screen.name.replace('-', ' ')}"
        svg = console.export_svg(title=title, theme=colours, code_format=SVG, unique_id=f"{screen.name}-{theme}")
        (TARGET / f"{screen.name}-{theme}.svg").write_text(svg, "utf-8")


def photograph(page: Page, folder: Path) -> None:
    """Write the page's pictures, one a theme."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("photographs need Chromium (apt-get install chromium)")
    width, height = page.size
    for number, theme in enumerate(("dark", "light")):
        picture = TARGET / f"{page.name}-{theme}.png"
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--blink-settings=preferredColorScheme={number}", f"--window-size={width},{height}"]
        command += [f"--screenshot={picture}", (folder / page.path).as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def main(wanted: list[str]) -> None:
    """Record the named screens, or all of them."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        for screen in SCREENS:
            if not wanted or screen.name in wanted:
                for command in screen.before:
                    stage.record(command)
                draw(screen, stage.record(screen.command, screen.width))
        for page in PAGES:
            if not wanted or page.name in wanted:
                for command in page.before:
                    stage.record(command)
                photograph(page, stage.folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("screens", nargs="*", metavar="NAME", help="Record these only.")
    main(parser.parse_args().screens)
