"""`orpo-compat diagnose` on folders as our own and other trainers leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from orpo_compat.cli.app import app
from orpo_compat.cli.exit_codes import ExitCode


def diagnose(*args: object) -> Result:
    return CliRunner().invoke(app, ["diagnose", *map(str, args)], catch_exceptions=False)


def points(count: int, *, factor: float = 1.0) -> list[dict[str, Any]]:
    """A run whose NLL falls and whose log-odds rise; the loss is a multiple of its terms."""
    made = []
    for step in range(1, count + 1):
        nll, odds, ratio = 4.0 - 2.0 * step / count, 2.0 * step / count, -0.69 + 0.4 * step / count
        made.append(
            {
                "step": step,
                "epoch": step / count,
                "loss": factor * (nll - 0.1 * ratio),
                "nll_loss": nll,
                "log_odds_chosen": odds,
                "log_odds_ratio": ratio,
                "logps/chosen": -nll,
                "logps/rejected": -nll - odds,
                "rewards/chosen": -0.1 * nll,
                "rewards/accuracies": 0.8,
                "learning_rate": 5e-6,
            }
        )
    return made


def test_a_healthy_folder_of_ours_exits_0(tmp_path: Path) -> None:
    lines = [json.dumps(point) for point in points(40)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    result = diagnose(tmp_path)
    assert result.exit_code == ExitCode.DONE, result.output
    assert "No trouble seen." in result.stdout


def test_the_newest_checkpoint_of_another_trainer_is_read(tmp_path: Path) -> None:
    for step, factor in ((9, 1.0), (10, 8.0)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": points(step, factor=factor)}))
    result = diagnose(tmp_path)
    assert result.exit_code == ExitCode.FINDINGS
    assert "loss is 8.00 times nll_loss - beta * log_odds_ratio" in result.stdout
    assert "TRL 0.20 or later" in result.stdout.replace("\n", " ")


def test_json_names_the_trouble_with_its_remedies(tmp_path: Path) -> None:
    lines = [json.dumps(point) for point in points(5)]
    lines.append(json.dumps({"step": 6, "loss": "nan", "nll_loss": "nan"}))
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    result = diagnose(tmp_path, "--json")
    (trouble,) = json.loads(result.stdout)["troubles"]
    assert trouble["code"] == "not-finite"
    assert trouble["evidence"][0].startswith("step 6: ")
    assert trouble["remedies"]


def test_a_folder_without_a_history_is_answered_with_what_to_give(tmp_path: Path) -> None:
    result = diagnose(tmp_path)
    assert result.exit_code == ExitCode.USAGE
    assert "no training history here" in result.stderr
    assert "Next:" in result.stderr


def test_a_damaged_history_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text('{"log_history": [')
    result = diagnose(tmp_path)
    assert result.exit_code == ExitCode.USAGE
    assert "not a training history" in result.stderr
