"""`orpo-compat data inspect` on files as people have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orpo_compat.cli.app import app
from orpo_compat.cli.exit_codes import ExitCode

GOOD = "prompt,chosen,rejected\nname a bird: ,a wren,no\nname a fish: ,a carp,never\n"


def inspect(*args: object) -> Result:
    return CliRunner().invoke(app, ["data", "inspect", *map(str, args)], catch_exceptions=False)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_good_file_is_shown_and_exits_0(tmp_path: Path) -> None:
    result = inspect(write(tmp_path / "prefs.csv", GOOD), "--model", "tiny")
    assert result.exit_code == ExitCode.DONE, result.output
    for text in ("2 rows, 2 complete pairs", "fit as they are", "No findings.", "<s>name a bird:", "a wren</s>"):
        assert text in result.stdout


def test_findings_exit_3_and_name_their_lines(tmp_path: Path) -> None:
    result = inspect(write(tmp_path / "prefs.csv", GOOD + "x,same,same\n"))
    assert result.exit_code == ExitCode.FINDINGS
    assert "chosen and rejected are the same (line 4)" in result.stdout


def test_json_is_the_only_thing_on_stdout(tmp_path: Path) -> None:
    result = inspect(write(tmp_path / "prefs.csv", GOOD), "--json", "--model", "tiny", "--max-length", 12)
    plain = json.loads(result.stdout)
    assert (plain["rows"], plain["unit"], plain["format"]) == (2, "tokens", "csv")
    assert plain["truncation"]["untouched"] == 0
    assert result.exit_code == ExitCode.FINDINGS


def test_cuts_are_shown_where_they_fall(tmp_path: Path) -> None:
    path = write(tmp_path / "prefs.csv", GOOD.replace("a wren", "a wren with a very long tail"))
    result = inspect(path, "--model", "tiny", "--max-length", 24, "--rows", 1)
    assert "tokens cut]" in result.stdout


@pytest.mark.parametrize(
    ("name", "content", "fragment"),
    [
        ("wrong.csv", b"prompt;chosen;rejected\na;b;c\n", "separated by a semicolon"),
        ("bom.csv", b"\xef\xbb\xbf" + GOOD.encode(), "2 rows, 2 complete pairs"),
        ("cells.csv", b"prompt,chosen,rejected\na,NaN,c\nd,e,f\n", "a part is empty (line 2)"),
        ("table.parquet", b"", "not a Parquet file"),
        ("column.csv", b"prompt,chosen,other\na,b,c\n", "--rejected-column NAME"),
        (
            "mixed.jsonl",
            b'{"prompt": "q", "chosen": "a", "rejected": "b"}\n'
            b'{"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],'
            b' "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]}\n',
            "--as-chat",
        ),
    ],
)
def test_messy_files_are_read_or_answered_with_a_next_step(
    tmp_path: Path, name: str, content: bytes, fragment: str
) -> None:
    result = inspect(write(tmp_path / name, content))
    assert fragment in result.output.replace("\n", " ").replace("  ", " ")
    assert "Traceback" not in result.output


def test_colour_is_left_out_of_pipes_and_narrow_terminals_are_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    result = inspect(write(tmp_path / "prefs.csv", GOOD))
    assert "\x1b[" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 50
