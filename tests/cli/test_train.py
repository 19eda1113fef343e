"""`orpo-compat train` from a CSV to a folder, in one process on the embedded tiny model, and its mistakes answered."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from orpo_compat.checkpoints import STAGE
from orpo_compat.cli.app import app
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.model_folder import MODEL, MOVING

WORDS = ("sun", "rain", "wind", "snow", "tree", "bird", "fish", "moon", "star", "rock")
FAST = ("--max-length", "128", "--no-gradient-checkpointing", "--use-cpu", "--learning-rate", "3e-3")


@pytest.fixture
def prefs(tmp_path: Path) -> Path:
    """A hundred and three rows: one identical pair, one empty cell, one duplicate."""
    rng = random.Random(0)
    rows = []
    for _ in range(100):
        first, second = rng.choices(WORDS, k=2)
        number = rng.randrange(10**6)
        rows.append((f"name {first}, {second}, {number}: ", f"the {first} and the {second}", f"no {second} at all"))
    rows += [("same", "a", "a"), ("empty", "", "b"), rows[0]]
    path = tmp_path / "prefs.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("prompt", "chosen", "rejected"), *rows])
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)


def train(prefs: Path, output: Path, *more: object) -> Result:
    return run("train", "--model", "tiny", "--data", prefs, "--output", output, *FAST, "--no-plots", *more)


def record(output: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((output / "run.json").read_text("utf-8"))
    return loaded


def test_one_command_goes_from_csv_to_a_model_with_its_report(prefs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = train(prefs, out, "--max-steps", 20, "--seed", 1, "--plots")
    assert result.exit_code == ExitCode.DONE, result.output
    assert result.stdout == ""
    assert "103 rows: 90 pairs to train on, 10 held out" in result.stderr
    names = {path.name for path in out.iterdir()}
    assert {"model.safetensors", "tokenizer.json", "run.json", "metrics.jsonl", "report.html", "plots"} <= names
    assert {"overview.png", "loss.png", "rewards.png", "log_odds.png"} <= {p.name for p in (out / "plots").iterdir()}
    facts = record(out)
    assert facts["status"] == "finished"
    assert facts["settings"]["beta"] == 0.1
    assert facts["data"]["digest"].startswith("sha256:")
    assert {reason: at["first"] for reason, at in facts["data"]["dropped"].items()} == {
        "chosen and rejected are the same": [102],
        "a part is empty": [103],
        "the same pair was already there": [104],
    }
    assert facts["final"]["train"]["loss"] < 5.6
    assert 0 <= facts["final"]["eval"]["rewards/accuracies"] <= 1
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 21))
    assert sum("eval_loss" in line for line in lines) == 10


def test_the_trained_model_loads_with_transformers_alone(prefs: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    train(prefs, tmp_path / "out", "--max-steps", 2)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").config.model_type == "llama"
    assert AutoTokenizer.from_pretrained(tmp_path / "out").eos_token == "</s>"


def test_lora_trains_an_adapter_and_merges_it_on_request(prefs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = train(
        prefs, out, "--max-steps", 2, "--lora-r", 4, "--merge-lora", "--lora-target-modules", "q_proj,v_proj"
    )
    assert result.exit_code == ExitCode.DONE, result.output
    adapter = json.loads((out / "adapter_config.json").read_text("utf-8"))
    assert (adapter["r"], adapter["lora_alpha"], sorted(adapter["target_modules"])) == (4, 8, ["q_proj", "v_proj"])
    assert (out / "merged" / "model.safetensors").is_file()
    weights = record(out)["weights"]
    assert 0 < weights["trained"] < weights["all"] // 10


def test_options_that_are_worked_out_reach_the_config(prefs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(prefs, out, "--max-steps", 4, "--total-batch-size", 12, "--learning-rate-end", "1e-3", "--eval-fraction", 0)
    settings = record(out)["settings"]
    assert settings["per_device_train_batch_size"] * settings["gradient_accumulation_steps"] == 12
    assert settings["lr_scheduler_kwargs"] == {"power": 1.0, "lr_end": 1e-3}
    rates = [json.loads(line).get("learning_rate") for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [rate for rate in rates if rate] == pytest.approx([3e-3, 2.5e-3, 2e-3, 1.5e-3])


def test_a_yaml_file_gives_options_and_the_command_line_wins(prefs: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(f"model: tiny\ndata: {prefs}\nlearning-rate: 1e-4\nbeta: 0.3\nmax_steps: 7\noutput_dir: x\n")
    result = run("train", "--config", config, "--print-config", "--beta", 0.2, "--output", "y")
    assert result.exit_code == ExitCode.DONE, result.output
    printed = yaml.safe_load(result.stdout)
    assert printed["beta"] == 0.2
    assert float(printed["learning_rate"]) == 1e-4
    assert (printed["max_steps"], printed["output"]) == (7, "y")
    again = tmp_path / "again.yaml"
    again.write_text(result.stdout)
    assert run("train", "--config", again, "--print-config").stdout == result.stdout


def test_an_earlier_run_is_neither_overwritten_nor_mixed(prefs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(prefs, out, "--max-steps", 2)
    before = (out / "metrics.jsonl").read_bytes()
    refused = train(prefs, out, "--max-steps", 2)
    assert refused.exit_code == ExitCode.REFUSED
    assert "--resume" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert (out / "metrics.jsonl").read_bytes() == before
    assert train(prefs, out, "--max-steps", 3, "--overwrite").exit_code == ExitCode.DONE


def test_resuming_goes_on_with_the_same_numbers(prefs: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    settings = ("--max-steps", 4, "--save-steps", 2, "--logging-steps", 1, "--eval-fraction", 0)
    train(prefs, whole, *settings)
    train(prefs, parts, *settings)
    import shutil

    shutil.rmtree(parts / "checkpoint-4")
    resumed = train(prefs, parts, *settings, "--resume")
    assert resumed.exit_code == ExitCode.DONE, resumed.output

    def losses(out: Path) -> list[tuple[int, float]]:
        entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        return [(entry["step"], entry["loss"]) for entry in entries if "loss" in entry]

    assert losses(parts) == losses(whole)


def test_resume_alone_goes_on_with_what_the_run_was_asked_for(
    prefs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orpo_compat.cli.interrupting import StopOnInterrupt

    out = tmp_path / "out"
    stops_at_two = StopOnInterrupt.on_step_end

    def interrupted(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        stops_at_two(self, args, state, control, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(StopOnInterrupt, "on_step_end", interrupted)
        stopped = train(prefs, out, "--max-steps", 4, "--beta", "0.3")
    assert stopped.exit_code == ExitCode.INTERRUPTED, stopped.output
    assert f"orpo-compat train --output {out} --resume goes on from checkpoint-2" in stopped.stderr
    assert (record(out)["status"], (out / "model.safetensors").exists()) == ("interrupted", False)
    resumed = run("train", "--output", out, "--resume")
    assert resumed.exit_code == ExitCode.DONE, resumed.output
    facts = record(out)
    assert (facts["status"], facts["settings"]["beta"], facts["settings"]["max_steps"]) == ("finished", 0.3, 4)
    assert "resume: true" not in facts["command"]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]


def test_resume_finishes_the_move_of_a_model_that_a_kill_cut_short(prefs: Path, tmp_path: Path) -> None:
    """As a kill in the last milliseconds leaves it: whole on the disk, its configuration not yet in the folder."""
    out = tmp_path / "out"
    train(prefs, out, "--max-steps", 1, "--save-strategy", "no")
    staged = out / STAGE / MODEL
    staged.mkdir(parents=True)
    (out / "config.json").rename(staged / "config.json")
    (out / STAGE / MOVING).write_text(json.dumps(["config.json", "model.safetensors"]))
    again = run("train", "--output", out, "--resume")
    assert again.exit_code == ExitCode.USAGE
    assert "was whole but not all moved in; now it is" in again.stderr
    assert (out / "config.json").is_file()
    assert not (out / STAGE).exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--eval-fraction", 0, "--eval-strategy", "steps"), "--eval-strategy steps: no pairs are held out"),
        (("--eval-fraction", 0, "--load-best-model-at-end"), "--load-best-model-at-end: no pairs are held out"),
    ],
)
def test_evaluating_on_nothing_is_refused_in_a_sentence(
    options: tuple[object, ...], said: str, prefs: Path, tmp_path: Path
) -> None:
    result = train(prefs, tmp_path / "out", "--max-steps", 1, *options)
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr
    assert "Next: give --eval-data FILE" in result.stderr


@pytest.mark.parametrize("wrong", [("--beta", "-1"), ("--packing", "sometimes"), ("--lr-scheduler-type", "cosin")])
def test_a_value_that_no_config_takes_is_refused_before_the_model_is_loaded(
    wrong: tuple[str, str], prefs: Path, tmp_path: Path
) -> None:
    result = train(prefs, tmp_path / "out", *wrong)
    assert result.exit_code == ExitCode.USAGE
    assert wrong[1].strip("-") in result.stderr
    assert "loading tiny" not in result.stderr


def test_an_output_folder_that_cannot_be_made_is_said_with_the_way_on(prefs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = train(prefs, tmp_path / "file" / "out", "--max-steps", 1)
    assert result.exit_code == ExitCode.USAGE
    assert "cannot be written to (Not a directory)" in result.stderr
    assert "Next: give a folder" in result.stderr


def test_one_update_of_one_pair_is_not_said_in_the_plural(prefs: Path, tmp_path: Path) -> None:
    said = train(prefs, tmp_path / "out", "--max-steps", 1, "--per-device-train-batch-size", 1).stderr
    assert "\n1 update of 1 pair (" in said


def test_the_plan_is_said_before_training_and_the_numbers_after(prefs: Path, tmp_path: Path) -> None:
    default = ("--model", "tiny", "--data", prefs, "--output", tmp_path / "out", "--no-plots", "--max-steps", 2)
    said = run("train", *default, "--max-length", 32, "--use-cpu").stderr
    assert "2 updates of 8 pairs" in said
    assert "all 125,632 weights are trained" in said
    assert "have a response cut" in said
    assert "TRL's default of 1e-6" in said
    assert "held out: accuracy" in said
    assert "TRL's default" not in train(prefs, tmp_path / "other", "--max-steps", 1).stderr


def test_chat_data_needs_a_template_and_takes_one(prefs: Path, tmp_path: Path) -> None:
    from orpo_compat.tiny_model import tiny_model, tiny_tokenizer

    tiny_model().save_pretrained(tmp_path / "base")
    bare = tiny_tokenizer()
    bare.chat_template = None
    bare.save_pretrained(tmp_path / "base")
    options = ("--model", tmp_path / "base", "--as-chat", "--max-steps", 1, "--eval-fraction", 0)
    refused = train(prefs, tmp_path / "out", *options)
    assert refused.exit_code == ExitCode.USAGE
    assert "no chat template" in refused.stderr
    taken = train(prefs, tmp_path / "out", *options, "--chat-template", "chatml")
    assert taken.exit_code == ExitCode.DONE, taken.output
    assert "<|im_start|>" in (tmp_path / "out" / "chat_template.jinja").read_text("utf-8")


def test_nan_ends_the_run_with_its_row_and_keeps_no_weights(prefs: Path, tmp_path: Path) -> None:
    import torch

    from orpo_compat.tiny_model import tiny_model, tiny_tokenizer

    model = tiny_model()
    with torch.no_grad():
        model.get_input_embeddings().weight[tiny_tokenizer().convert_tokens_to_ids("Z")] = float("nan")
    model.save_pretrained(tmp_path / "bad")
    tiny_tokenizer().save_pretrained(tmp_path / "bad")
    rows = prefs.read_text("utf-8").splitlines()
    rows[42] = "what is it?,the Zebra,no"
    prefs.write_text("\n".join(rows), "utf-8")
    out = tmp_path / "out"
    result = run(
        *("train", "--model", tmp_path / "bad", "--data", prefs, "--output", out, *FAST),
        *("--num-train-epochs", 1, "--eval-fraction", 0),
    )
    assert result.exit_code == ExitCode.FINDINGS, result.output
    assert "line 43" in result.stderr
    facts = record(out)
    assert facts["status"] == "not finite"
    assert "line 43" in " ".join(facts["troubles"][0]["evidence"])
    assert not (out / "model.safetensors").exists()
    assert "line 43" in (out / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("args", "fragments"),
    [
        ((), ["--model and --data and --output missing", "Next:"]),
        (("--model", "SmolLM-153M", "--data", "{prefs}", "--output", "o"), ["did you mean SmolLM-135M"]),
        (("--model", "tiny", "--data", "prefs.cvs", "--output", "o"), ["no such file"]),
        (("--model", "tiny", "--data", "{prefs}", "--output", "o", "--beta", "-1"), ["beta"]),
        (("--model", "tiny", "--data", "{prefs}", "--output", "o", "--rejected-column", "bad"), ["no column 'bad'"]),
        (("--config", "absent.yaml"), ["absent.yaml: no such file"]),
        (
            ("--model", "tiny", "--data", "{prefs}", "--output", "o", "--total-batch-size", "0"),
            ["--total-batch-size 0"],
        ),
        (("--model", "tiny", "--data", "{prefs}", "--output", "o", "--load-in-4bit"), ["bitsandbytes"]),
        (("--model", "tiny", "--data", "{prefs}", "--output", "o", "--resume"), ["no checkpoint to resume from"]),
        (("--model", "tiny", "--data", "{prefs}", "--output", "{prefs}"), ["is a file", "give a folder"]),
        (("--model", "tiny", "--data", "{prefs}", "--output", "o", "--dtype", "f8"), ["--dtype f8", "bfloat16"]),
        (("--model", "tiny", "--data", "{prefs}", "--output", "o", "--attn", "fast"), ["--attn fast", "sdpa"]),
        (("--model", "tiny", "--data", "{prefs}", "--output", "o", "--optim", "foo"), ["foo is not", "adamw_torch"]),
        (
            ("--model", "tiny", "--data", "{prefs}", "--output", "o", "--lora-r", "2", "--lora-target-modules", "zz"),
            ["Target modules", "--lora-target-modules some of", "q_proj"],
        ),
    ],
)
def test_a_mistake_is_answered_without_a_traceback(
    prefs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], fragments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("train", *(arg.replace("{prefs}", str(prefs)) for arg in args))
    assert result.exit_code == ExitCode.USAGE, result.output
    assert "Traceback" not in result.output
    for fragment in fragments:
        assert fragment in result.stderr


def test_an_unknown_key_in_the_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("learning_rat: 1\n")
    result = run("train", "--config", tmp_path / "run.yaml")
    assert result.exit_code == ExitCode.USAGE
    assert "did you mean learning_rate" in result.stderr


@pytest.mark.slow
def test_two_processes_train_as_one(prefs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "orpo_compat", "train"]
    fast = [word for word in FAST if word != "--use-cpu"]  # which a user would not think of
    options = ["--model", "tiny", "--data", str(prefs), "--output", str(out), *fast, "--max-steps", "4"]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*command, *options], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    facts = record(out)
    assert (facts["status"], facts["processes"]) == ("finished", 2)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]


def test_help_names_the_fields_without_importing_torch() -> None:
    code = (
        "import sys; from orpo_compat.cli.app import app; print(sorted({'torch', 'transformers'} & sys.modules.keys()))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    text = run("train", "--help").output
    for flag in ("--beta", "--learning-rate", "--lora-r", "--eval-fraction", "--packing"):
        assert flag in text
