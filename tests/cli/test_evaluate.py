"""`eval`, `generate` and `compare` on the embedded tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orpo_compat.cli.app import app
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.tiny_model import tiny_model, tiny_tokenizer


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)


@pytest.fixture
def prefs(tmp_path: Path) -> Path:
    path = tmp_path / "prefs.csv"
    path.write_text("prompt,chosen,rejected\nname a bird: ,a wren,no\nname a fish: ,a carp,never\nempty,,x\n")
    return path


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder as `train` leaves it: another model of the same kind, and where it came from."""
    folder = tmp_path / "out"
    tiny_model(seed=1).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    (folder / "run.json").write_text(json.dumps({"settings": {"model": "tiny"}}))
    return folder


def test_two_models_are_scored_on_the_same_pairs(prefs: Path, trained: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    result = run("eval", "--model", trained, "--base", "tiny", "--data", prefs, "--json", "--rows-out", rows)
    assert result.exit_code == ExitCode.DONE, result.output
    summary = json.loads(result.stdout)
    assert [part["pairs"] for part in summary.values()] == [2, 2]
    scores = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [(score["model"], score["place"]) for score in scores[:2]] == [("tiny", 2), ("tiny", 3)]
    assert len(scores) == 4


def test_the_table_says_how_many_pairs_were_gained(prefs: Path, trained: Path) -> None:
    result = run("eval", "--model", trained, "--base", "tiny", "--data", prefs)
    for text in ("2 pairs", "win rate", "mean log-odds", "pairs gained"):
        assert text in result.stdout


def test_compare_finds_the_base_in_the_run_and_takes_prompts_from_a_file(prefs: Path, trained: Path) -> None:
    result = run("compare", "--model", trained, "--data", prefs, "--rows", 2, "--max-new-tokens", 4, "--json")
    assert result.exit_code == ExitCode.DONE, result.output
    rows = json.loads(result.stdout)
    assert [row["prompt"] for row in rows] == ["name a bird: ", "name a fish: "]
    assert [list(row["answers"]) for row in rows] == [["tiny", str(trained)]] * 2


def test_generation_is_greedy_by_default_and_seeded_when_it_samples() -> None:
    ask = ("generate", "--model", "tiny", "--prompt", "hello", "--max-new-tokens", 6, "--json")
    assert run(*ask).stdout == run(*ask).stdout
    sample = (*ask, "--temperature", 1.0, "--seed")
    assert run(*sample, 1).stdout == run(*sample, 1).stdout != run(*sample, 2).stdout


@pytest.mark.parametrize(
    ("args", "fragment"),
    [
        (("generate", "--model", "tiny"), "no prompts"),
        (("compare", "--model", "{tmp}", "--prompt", "x"), "name it with --base"),
        (("eval", "--model", "tiny", "--data", "absent.csv"), "no such file"),
    ],
)
def test_a_mistake_is_answered_without_a_traceback(tmp_path: Path, args: tuple[str, ...], fragment: str) -> None:
    result = run(*(arg.replace("{tmp}", str(tmp_path)) for arg in args))
    assert result.exit_code == ExitCode.USAGE
    assert fragment in result.stderr
    assert "Traceback" not in result.output
