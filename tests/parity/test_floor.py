"""The floor is the largest distance between right answers so far, and never below rounding itself."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from parity.compare import Measure
from parity.floor import EPSILON, LEAST, Floor, make_floor


def _measure(step: int, distance: float, name: str = "weight/a", stage: str = "weight") -> Measure:
    return Measure(step, -1, stage, name, distance)


def _floor(*runs: list[Measure], num_steps: int = 3) -> Floor:
    named = {f"run{index}": measures for index, measures in enumerate(runs)}
    return make_floor(named, dtype="float32", num_steps=num_steps, skipped={})


def test_the_largest_perturbation_counts():
    floor = _floor([_measure(0, 1e-3)], [_measure(0, 2e-3)])
    assert floor.at(_measure(0, 0)) == 2e-3


def test_the_floor_never_sinks_again():
    floor = _floor([_measure(0, 1e-3), _measure(1, 1e-4)])
    assert floor.at(_measure(1, 0)) == 1e-3


def test_a_later_floor_does_not_excuse_an_earlier_step():
    floor = _floor([_measure(2, 1e-2)])
    assert floor.at(_measure(1, 0)) == LEAST * EPSILON["float32"]


def test_a_tensor_that_nothing_moved_has_the_upper_quartile_of_its_stage():
    run = [_measure(0, distance * 1e-3, f"weight/{distance}") for distance in (4, 1, 3, 2)]
    assert _floor(run).at(_measure(0, 0, "weight/unseen")) == 4e-3
    run += [_measure(0, 5e-3, "weight/5"), _measure(0, 6e-3, "weight/6"), _measure(0, 7e-3, "weight/7")]
    assert _floor(run).at(_measure(0, 0, "weight/unseen")) == 6e-3


def test_a_perturbation_that_is_another_function_is_left_out_and_said():
    honest = [Measure(0, 0, "nll", "nll_loss", 1e-7), _measure(1, 1e-6)]
    other = [Measure(0, 0, "nll", "nll_loss", 2e-3), _measure(1, 1e-1)]
    floor = make_floor({"nudge": honest, "rows": other}, dtype="float32", num_steps=1, skipped={})
    assert floor.at(_measure(1, 0)) == 1e-6
    assert "another function (nll_loss moved by 2.0e-03)" in floor.perturbations["rows"]
    assert "weights moved" in floor.perturbations["nudge"]


def test_bit_equal_reruns_still_allow_rounding():
    floor = make_floor({"rerun": [_measure(0, 0.0)]}, dtype="float32", num_steps=1, skipped={})
    assert floor.rerun_identical
    assert floor.at(_measure(0, 0)) == LEAST * EPSILON["float32"]


def test_a_rerun_that_differs_is_said():
    floor = make_floor({"rerun": [_measure(0, 1e-9)]}, dtype="float32", num_steps=1, skipped={})
    assert not floor.rerun_identical


def test_a_perturbation_that_broke_does_not_make_the_floor_infinite():
    floor = _floor([Measure(0, -1, "weight", "weight/a", math.inf, problem="nonfinite"), _measure(0, 1e-3)])
    assert floor.at(_measure(0, 0)) == 1e-3


def test_evaluation_is_judged_by_the_last_floor():
    assert _floor([_measure(3, 1e-2)], num_steps=3).at(_measure(7, 0)) == 1e-2


def test_what_could_not_be_perturbed_is_said():
    floor = make_floor({"rerun": []}, dtype="float32", num_steps=1, skipped={"split": "no"})
    assert floor.perturbations["split"] == "no"


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), max_size=20))
def test_a_floor_survives_json_and_grows_with_the_steps(found):
    floor = _floor([_measure(step, distance) for step, distance in found])
    again = Floor.from_dict(json.loads(json.dumps(floor.as_dict())))
    assert again == floor
    assert again.digest == floor.digest
    heights = [floor.at(_measure(step, 0)) for step in range(4)]
    assert heights == sorted(heights)
