"""The recorded pictures: all of them are shown, small, whole, and tell nothing of the machine they were made on."""

from __future__ import annotations

import getpass
import re
import shlex
import socket
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from docs import record_screens
from tests.docs_blocks import PAGES, ROOT
from tests.test_docs_commands import parse

FOLDER = ROOT / "docs" / "assets" / "screens"
PICTURES = sorted(FOLDER.iterdir())
DRAWN = [path for path in PICTURES if path.suffix == ".svg"]


def words(picture: Path) -> str:
    """The text of a terminal's picture."""
    return "\n".join(ElementTree.parse(picture).getroot().itertext()).replace("\u00a0", " ")


def test_there_is_a_light_and_a_dark_picture_of_every_screen_and_page() -> None:
    screens = {f"{s.name}-{theme}.svg" for s in record_screens.SCREENS for theme in ("light", "dark")}
    pages = {f"{p.name}-{theme}.png" for p in record_screens.PAGES for theme in ("light", "dark")}
    assert {path.name for path in PICTURES} == screens | pages


def test_every_picture_is_shown_in_its_theme() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    shown = re.findall(r"!\[[^\]]+\]\((?:docs/|\.\./)?assets/screens/([\w-]+\.\w+)#gh-(light|dark)-mode-only\)", text)
    assert {name for name, _ in shown} == {path.name for path in PICTURES}
    assert all(f"-{theme}." in name for name, theme in shown)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_the_picture_is_small(picture: Path) -> None:
    assert 2_000 < picture.stat().st_size < 300_000


@pytest.mark.parametrize("picture", DRAWN, ids=lambda path: path.name)
def test_the_terminal_fetches_nothing_and_names_no_machine(picture: Path) -> None:
    source = picture.read_text("utf-8")
    assert set(re.findall(r"https?://[^\"' )]+", source)) <= {"http://www.w3.org/2000/svg"}
    told = words(picture)
    assert not re.search(r"/(tmp|home|root|work|usr|opt|var|builds?)/", told)
    assert socket.gethostname() not in told
    assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", told)


@pytest.mark.parametrize("screen", record_screens.SCREENS, ids=lambda screen: screen.name)
def test_the_recorded_commands_are_commands(screen: record_screens.Screen) -> None:
    for command in (screen.command, *screen.before):
        parse(shlex.split(command)[1:])
    told = words(FOLDER / f"{screen.name}-dark.svg")
    assert " ".join(screen.command.split()[:2]) in told
    assert "Traceback" not in told


def test_a_line_written_over_is_recorded_as_it_ended() -> None:
    assert record_screens.final_lines("reading 10%\r\x1b[2Kreading 100%\ndone") == "reading 100%\ndone"


def test_a_panel_drawn_again_is_recorded_once() -> None:
    first, second = "bar 1\ntime 1", "bar 2\ntime 2"
    again = f"\x1b[?25lbegin\n{first}\r\x1b[2K\x1b[1A\x1b[2K{second}\r\x1b[2K\x1b[1A\x1b[2K{second}\n\x1b[?25hend\n"
    assert record_screens.final_lines(again) == f"begin\n{second}\nend"


def test_the_last_panel_is_found_after_it_was_taken_away() -> None:
    first, last = (
        "\u256d one \u256e\n\u2502 1 \u2502\n\u2570 - \u256f",
        "\u256d two \u256e\n\u2502 2 \u2502\n\u2570 - \u256f",
    )
    recording = f"start\n{first}\r\x1b[1A\x1b[2K\x1b[1A\x1b[2K{last}\r\x1b[1A\x1b[2K\x1b[1A\x1b[2Kfinished\n"
    assert record_screens.last_panel(recording) == last
