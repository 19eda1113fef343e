"""W&B and the hub: what reaches them, and what is said where they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.extras import measure_hub, measure_wandb
from parity.plan import make_plan
from parity.reference import Reference
from parity.run import Request
from parity.scenarios import make_spec


@pytest.mark.slow
def test_a_push_reaches_the_stand_in_with_weights_and_model_card(tmp_path):
    spec = make_spec("base", steps=1)
    make_plan(spec, tmp_path / "plan")
    found = measure_hub(Request(spec=spec, reference=Reference(Path("x"), {}, ""), folder=tmp_path))
    assert found["ours"] is True, found["said"]
    assert "model.safetensors" in found["said"]


@pytest.mark.slow
def test_wandb_is_given_the_metrics_where_it_is_installed(tmp_path):
    pytest.importorskip("wandb")
    spec = make_spec("base", steps=1)
    make_plan(spec, tmp_path / "plan")
    found = measure_wandb(Request(spec=spec, reference=Reference(Path("x"), {}, ""), folder=tmp_path))
    assert found["ours"] is True, found["said"]


def test_wandb_is_not_claimed_where_it_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("parity.extras.importlib.util.find_spec", lambda name: None)
    assert measure_wandb(None)["ours"] is None
