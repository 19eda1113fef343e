"""`orpo-compat plan` from the outside: what it prints, writes and exits with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orpo_compat.cli.exit_codes import ExitCode
from tests.cli.calls import call


def test_an_estimate_says_that_it_is_one_and_what_it_rests_on() -> None:
    result = call("plan", "--model", "8B", "--gpus", 8)
    assert result.exit_code == ExitCode.DONE
    for words in ("estimate, not a measurement", "35%", "orpo-compat", "TRL", "per_device_train_batch_size"):
        assert words in result.stdout


def test_a_model_that_does_not_fit_exits_3_and_says_what_would() -> None:
    result = call("plan", "--model", "8B")
    assert result.exit_code == ExitCode.FINDINGS
    assert "Does not fit" in result.stdout
    assert "--lora-r 16" in result.stdout


def test_json_has_the_same_numbers_under_plain_names() -> None:
    result = call("plan", "--model", "1B", "--gpus", 2, "--pairs", 1000, "--json")
    assert result.exit_code == ExitCode.DONE
    found = json.loads(result.stdout)
    ours = found["ours"]
    assert found["estimate"] is True
    assert ours["memory_gib"]["total"] == pytest.approx(
        sum(size for name, size in ours["memory_gib"].items() if name != "total"), abs=0.01
    )
    # 1000 pairs in updates of 64 are 16 updates.
    assert ours["hours"] == pytest.approx(16 * ours["seconds_per_update"] / 3600)
    assert ours["gpu_hours"] == pytest.approx(2 * ours["hours"])
    assert found["accelerate_config"]["num_processes"] == 2


def test_real_lengths_come_from_the_file(tmp_path: Path) -> None:
    data = tmp_path / "pairs.jsonl"
    rows = [{"prompt": "Why? ", "chosen": "Because of it.", "rejected": "No."}, {"prompt": "A" * 40, "chosen": "b",
            "rejected": "c"}]  # fmt: skip
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    result = call("plan", "--model", "tiny", "--data", data, "--json")
    assert result.exit_code == ExitCode.DONE, result.output
    pairs = json.loads(result.stdout)["pairs"]
    # One token per byte, one before and one after: 1 + 5 + 14 + 1 and the other's 4, 1 + 40 + 2 and the other's 2.
    assert (pairs["count"], pairs["longest"]) == (2, 43)
    assert pairs["tokens_packed"] == ((1 + 5 + 15 + 4) + (1 + 40 + 2 + 2)) / 2


def test_the_configuration_is_written_once_and_nothing_else_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "accelerate.yaml"
    asked = ("plan", "--model", "8B", "--gpus", 8, "--write", path)
    assert call(*asked).exit_code == ExitCode.DONE
    assert call(*asked).exit_code == ExitCode.DONE
    path.write_text("mine: true\n", encoding="utf-8")
    result = call(*asked)
    assert result.exit_code == ExitCode.REFUSED
    assert path.read_text(encoding="utf-8") == "mine: true\n"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--model", "9B"], "135M"),
        (["--model", "8B", "--gpu", "h900"], "--gpu custom"),
        (["--model", "8B", "--gpus", "0"], "at least 1"),
        (["--model", "8B", "--gpus", "8", "--batch", "4"], "--batch 4"),
        (["--model", "8B", "--load-in-4bit"], "--lora-r"),
        (["--model", "8B", "--mfu", "35"], "share"),
        (["--model", "8B", "--lora-r", "0"], "--lora-r"),
        (["--model", "8B", "--length", "1"], "--length"),
        (["--model", "tiny", "--data", "no/such/file.csv"], "no/such/file.csv"),
    ],
)
def test_what_cannot_be_planned_is_a_sentence(options: list[str], word: str) -> None:
    result = call("plan", *options)
    assert result.exit_code == ExitCode.USAGE
    assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_planning_a_known_size_imports_no_torch() -> None:
    code = (
        "import sys\nfrom orpo_compat.cli.app import app\n"
        "try:\n    app(['plan', '--model', '8B', '--gpus', '8'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_nothing_is_written_where_nothing_fits(tmp_path: Path) -> None:
    path = tmp_path / "accelerate.yaml"
    result = call("plan", "--model", "8B", "--write", path)
    assert result.exit_code == ExitCode.FINDINGS
    assert "not written" in result.stderr
    assert not path.exists()


def test_a_share_that_is_no_power_of_two_is_split_evenly() -> None:
    result = call("plan", "--model", "1B", "--gpus", 6, "--batch", 60, "--json")
    ours = json.loads(result.stdout)["ours"]
    assert ours["pairs_per_gpu"] * ours["accumulation"] == 10
