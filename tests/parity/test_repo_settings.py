"""Settings are read from call sites as literals; what is not literal is reported and never guessed."""

from __future__ import annotations

import pytest

from parity.repo_settings import CAPS, CallSite, find_call_sites, settings_of, spec_for_repository

SOURCE = """
from trl import ORPOConfig as Config
LR = 8e-6
steps = 3
steps = 4
args = Config(output_dir="x", learning_rate=LR, beta=0.2, max_steps=steps, per_device_train_batch_size=n(), **more)
"""


def test_literals_and_constants_are_read_and_the_rest_is_named(tmp_path):
    (tmp_path / "train.py").write_text(SOURCE)
    (site,) = find_call_sites(tmp_path)
    assert (site.path, site.line) == ("train.py", 6)
    assert site.literals == {"output_dir": "x", "learning_rate": 8e-6, "beta": 0.2}
    assert site.unread == ("max_steps", "per_device_train_batch_size", "**")


def test_environments_and_broken_files_are_passed_over(tmp_path):
    for name in (".venv/lib/a.py", "build/a.py", "node_modules/a.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("ORPOConfig(beta=1.0)")
    (tmp_path / "broken.py").write_text("ORPOConfig(beta=")
    (tmp_path / "null.py").write_bytes(b"ORPOConfig(beta=1)\0")
    assert find_call_sites(tmp_path) == []


def test_what_does_not_fit_is_capped_and_said():
    settings, notes = settings_of(CallSite("a.py", 1, {"max_length": 8192, "gradient_accumulation_steps": 64}))
    assert settings == {name: CAPS[name] for name in ("max_length", "gradient_accumulation_steps")}
    assert "max_length 8192 capped at 512" in notes
    assert "gradient_accumulation_steps 64 capped at 8" in notes


def test_an_optimizer_of_another_machine_is_replaced_and_said():
    settings, notes = settings_of(CallSite("a.py", 1, {"optim": "paged_adamw_8bit"}))
    assert "optim" not in settings
    assert any("paged_adamw_8bit" in note for note in notes)


def test_the_question_is_asked_at_the_repositorys_settings(tmp_path):
    (tmp_path / "train.py").write_text("ORPOConfig(learning_rate=3e-5, beta=0.25, warmup_ratio=0.5, seed=7, bf16=True)")
    said: list[str] = []
    spec = spec_for_repository(tmp_path, report=said.append)
    assert spec.settings["learning_rate"] == 3e-5
    assert spec.settings["beta"] == 0.25
    assert spec.seed == 7
    assert spec.scenario == "repo"
    assert "settings of train.py:1" in spec.notes
    assert "not taken over: bf16" in spec.notes


def test_a_repository_without_a_call_site_is_asked_at_the_base_settings(tmp_path):
    said: list[str] = []
    spec = spec_for_repository(tmp_path, report=said.append)
    assert "base settings" in spec.notes[0]
    assert said


@pytest.mark.parametrize("seed", [-1, 2**40, "7", None])
def test_a_seed_that_is_none_is_not_used(tmp_path, seed):
    (tmp_path / "train.py").write_text(f"ORPOConfig(seed={seed!r})")
    assert spec_for_repository(tmp_path, report=lambda line: None).seed == 20


@pytest.mark.parametrize("source", ["", "ORPOConfig(per_device_train_batch_size=1, gradient_accumulation_steps=4)"])
def test_an_evaluation_fills_the_batches_of_all_processes(tmp_path, source):
    (tmp_path / "train.py").write_text(source)
    spec = spec_for_repository(tmp_path, report=lambda line: None, steps=2, processes=3)
    assert spec.processes == 3
    assert spec.num_eval_rows == 6  # two a batch in each of three processes; one process alone evaluates four rows
    assert spec.num_rows == (2 * 1 * 4 * 3 if source else 2 * 2 * 2 * 3)
