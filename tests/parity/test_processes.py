"""Two and three data-parallel processes of each arm, in what each scenario presses; every run trains both trainers."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.reference import find_reference
from parity.repo_settings import spec_for_repository
from parity.run import Outcome, Request, run_parity
from parity.scenarios import make_spec
from parity.spec import Spec

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc").exists(), reason="gloo over the loopback device")]

SETTINGS = "ORPOConfig(learning_rate=1e-3, beta=0.25, per_device_train_batch_size=1, gradient_accumulation_steps=2)"


def _judged(spec: Spec, folder: Path) -> Outcome:
    outcome = run_parity(Request(spec=spec, reference=find_reference(), folder=folder))
    assert len(outcome.theirs.micros) == spec.steps * spec.accumulation
    assert all(len(micro.pairs) == spec.batch_size * spec.processes for micro in outcome.theirs.micros)
    return outcome


@pytest.mark.parametrize("scenario", ["lora", "moe", "encoder-decoder", "evaluation"])
def test_a_scenario_is_judged_over_two_processes(scenario: str, tmp_path: Path) -> None:
    outcome = _judged(make_spec(scenario, steps=2, processes=2), tmp_path)
    assert outcome.verdict.passes, outcome.headline


def test_a_repositorys_settings_are_judged_over_three_processes(tmp_path: Path) -> None:
    """Three processes evaluate six pairs at once: more than the four rows that one process evaluates."""
    (tmp_path / "train.py").write_text(SETTINGS)
    spec = spec_for_repository(tmp_path, report=lambda line: None, steps=2, processes=3)
    outcome = _judged(spec, tmp_path / "run")
    assert outcome.verdict.passes, outcome.headline
    assert [batch.num_pairs for batch in outcome.theirs.eval_batches] == [6]
    assert [batch.num_pairs for batch in outcome.ours["default"].eval_batches] == [6]
