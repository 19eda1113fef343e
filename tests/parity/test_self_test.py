"""The harness against real planted bugs on the tiny model: each is DIFFERENT, in the stage it belongs to."""

from __future__ import annotations

import pytest

from parity.compare import STAGES
from parity.mutants import PANEL, PLANTS
from parity.reference import find_reference
from parity.self_test import run_self_test

BY_HAND = ("beta doubled", "labels shifted", "prompt masked", "learning rate +1%")


def test_the_panel_names_stages_that_exist_and_no_bug_twice():
    assert all(set(mutant.stages) <= set(STAGES) for mutant in PANEL)
    assert len(PLANTS) == len(PANEL) >= 14


def test_no_bug_of_the_panel_is_found_by_the_loss_alone():
    assert all(mutant.stages != ("loss",) or mutant.name == "odds sign" for mutant in PANEL)


def test_the_four_everyday_bugs_are_caught_and_an_honest_trainer_passes(tmp_path):
    panel = tuple(mutant for mutant in PANEL if mutant.name in BY_HAND)
    result = run_self_test(find_reference(), tmp_path, panel=panel, report=lambda line: None)
    assert len(result.catches) == 8, "each on the padded and the packed path"
    assert result.all_caught, result.table()


@pytest.mark.slow
def test_the_whole_panel_is_caught(tmp_path):
    result = run_self_test(find_reference(), tmp_path, report=lambda line: None)
    assert result.all_caught, result.table()
    assert len(result.catches) == 27
