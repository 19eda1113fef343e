"""Whether a result can be written is asked before the work, and every command that works for long asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from orpo_compat.cli.app import app
from orpo_compat.cli.destinations import require_writable
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.errors import OutputError


def test_a_file_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    require_writable("--html", tmp_path / "old.html")
    require_writable("--html", tmp_path / "new" / "page.html")
    require_writable("--html", None)
    require_writable("--diff", Path("-"))
    assert (tmp_path / "old.html").read_text() == "old"
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("name", ["folder", "file/page.html"])
def test_a_place_that_cannot_be_written_is_named_with_its_option(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=rf"--html .*{name}: cannot be written \(.+\)\.\n  Next: "):
        require_writable("--html", tmp_path / name)


@pytest.mark.parametrize(
    "command",
    [
        ("parity", "--model", "no such model", "--html", "{bad}"),
        ("parity", "--model", "no such model", "--json", "{bad}"),
        ("migrate", "{root}", "--no-verify", "--report", "json", "--output", "{bad}"),
        ("migrate", "{root}", "--diff", "{bad}"),
        ("scan", "{root}", "--report", "json", "--output", "{bad}"),
        ("eval", "--model", "tiny", "--data", "nothing.jsonl", "--rows-out", "{bad}"),
    ],
)
def test_no_command_works_first_and_finds_out_afterwards(command: tuple[str, ...], tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "train.py").write_text("from trl import ORPOTrainer\n")
    bad = tmp_path / "folder"
    bad.mkdir()
    result = CliRunner().invoke(app, [part.format(root=root, bad=bad) for part in command])
    assert result.exit_code == ExitCode.USAGE
    assert "cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert (root / "train.py").read_text() == "from trl import ORPOTrainer\n"
