"""The harness against real planted bugs on the tiny model: each is DIFFERENT, in the stage it belongs to."""

from __future__ import annotations

import pytest

from parity.compare import STAGES, compare
from parity.errors import SpecError
from parity.mutants import PANEL, PLANTS
from parity.reference import find_reference
from parity.run import Request, run_parity
from parity.scenarios import make_spec
from parity.self_test import run_self_test
from parity.verdict import ratio_of

BY_HAND = ("beta doubled", "labels shifted", "prompt masked", "learning rate +1%", "odds in half precision")


def test_the_panel_names_stages_that_exist_and_no_bug_twice():
    assert all(set(mutant.stages) <= set(STAGES) for mutant in PANEL)
    assert len(PLANTS) == len(PANEL) >= 15


def test_no_bug_of_the_panel_is_found_by_the_loss_alone():
    assert all(mutant.stages != ("loss",) for mutant in PANEL)


def test_the_everyday_bugs_and_one_of_the_value_alone_are_caught_and_an_honest_trainer_passes(tmp_path):
    panel = tuple(mutant for mutant in PANEL if mutant.name in BY_HAND)
    result = run_self_test(find_reference(), tmp_path, panel=panel, report=lambda line: None)
    assert len(result.catches) == 10, "each on the padded and the packed path"
    assert result.all_caught, result.table()


@pytest.mark.slow
def test_resync_leaves_a_bad_update_standing_alone(tmp_path):
    spec = make_spec("base", steps=3)
    request = Request(
        spec=spec, reference=find_reference(), folder=tmp_path, packing="never", plant="weight decay off", resync=True
    )
    outcome = run_parity(request)
    (trace,) = outcome.ours.values()
    by_stage = {}
    for measure in compare(outcome.theirs, trace):
        ratio = ratio_of(measure, outcome.floor)
        by_stage[measure.stage, measure.step] = max(by_stage.get((measure.stage, measure.step), 0.0), ratio)
    assert all(by_stage["weight", step] > 5 for step in range(3)), "each update is bad"
    assert all(by_stage["gradient", step] < 3 for step in range(3)), "and none of them spoils the next step"
    assert outcome.judgements[0].divergence.stage == "optimizer"


def test_resync_is_refused_where_tensors_are_only_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr("parity.plan._WHOLE_UP_TO", 10)
    request = Request(spec=make_spec("base"), reference=None, folder=tmp_path, resync=True)
    with pytest.raises(SpecError, match="whole tensors"):
        run_parity(request)


@pytest.mark.slow
def test_the_whole_panel_is_caught(tmp_path):
    result = run_self_test(find_reference(), tmp_path, report=lambda line: None)
    assert result.all_caught, result.table()
    assert len(result.catches) == 29
