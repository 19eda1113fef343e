"""Everything is paired by name, and what only one side has is a finding. Distances are worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parity.compare import STAGES, Measure, compare, compare_groups, compare_metrics, compare_tensors, scale_of
from tests.parity.traces import first, write_trace


def _found(measures: list[Measure], stage: str) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures if measure.stage == stage and measure.distance}


def test_a_trace_is_at_no_distance_from_itself(tmp_path):
    trace = write_trace(tmp_path)
    assert all(measure.distance == 0 for measure in compare(trace, trace))


def test_measures_come_in_training_order(tmp_path):
    trace = write_trace(tmp_path)
    measures = compare(trace, trace)
    assert [measure.order for measure in measures] == sorted(measure.order for measure in measures)
    stages = [measure.stage for measure in measures if measure.step == 0]
    assert stages.index("batch") < stages.index("logps") < stages.index("loss") < stages.index("gradient")


def test_a_step_that_only_one_side_took_is_found(tmp_path):
    theirs, ours = write_trace(tmp_path / "a", steps=3), write_trace(tmp_path / "b", steps=2)
    names = [measure.name for measure in compare(theirs, ours) if measure.problem == "missing"]
    assert "micro 2 (only theirs)" in names
    assert "step 2 (only theirs)" in names
    assert "log of step 3" in names


def test_odds_losses_are_measured_by_pair_on_the_scale_of_the_rewards(tmp_path):
    def rounded(events):
        first(events, "micro")["odds_losses"] = [-0.05, -0.04001]

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=rounded)
    (measure,) = _found(compare(theirs, ours), "odds_loss").values()
    assert (measure.step, measure.theirs, measure.ours) == (0, -0.04, -0.04001)
    assert measure.distance == pytest.approx(1e-5 / 0.2)  # the rewards of step 0 are -0.1 and -0.2


def test_a_pair_whose_odds_loss_only_one_side_has_is_found(tmp_path):
    def short(events):
        first(events, "micro")["odds_losses"] = [-0.05]

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=short)
    assert _found(compare(theirs, ours), "odds_loss")["per pair"].problem == "shape"


def test_traces_of_before_odds_losses_were_noted_are_still_compared(tmp_path):
    def older(events):
        for event in events:
            event.pop("odds_losses", None)

    theirs, ours = (write_trace(tmp_path / name, change=older) for name in "ab")
    measures = compare(theirs, ours)
    assert not [measure for measure in measures if measure.stage == "odds_loss"]
    assert all(measure.distance == 0 for measure in measures)


def test_a_parameter_that_only_one_side_has_is_found():
    theirs = {"weight/a": torch.ones(2), "weight/b": torch.ones(2)}
    ours = {"weight/a": torch.ones(2), "weight/c": torch.ones(2)}
    names = {measure.name for measure in compare_tensors(0, theirs, ours) if measure.problem == "missing"}
    assert names == {"weight/b (only theirs)", "weight/c (only ours)"}


def test_parameters_are_paired_by_name_and_not_by_position():
    theirs = {"grad/a": torch.tensor([1.0]), "grad/b": torch.tensor([2.0])}
    ours = dict(reversed(theirs.items()))
    assert all(measure.distance == 0 for measure in compare_tensors(0, theirs, ours))


def test_a_tensor_is_measured_by_its_relative_frobenius_norm():
    # |(0.03, 0.04)| / |(3, 4)| = 0.05 / 5
    theirs, ours = {"grad/a": torch.tensor([3.0, 4.0])}, {"grad/a": torch.tensor([3.03, 4.04])}
    (measure,) = compare_tensors(0, theirs, ours)
    assert measure.distance == pytest.approx(0.01, rel=1e-5)


def test_equal_means_do_not_hide_unequal_values(tmp_path):
    def change(events):
        first(events, "micro")["chosen_logps"] = [-1.5, -1.0]

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    # the largest deviation 0.5 over theirs' largest entry 1.5
    assert _found(compare(theirs, ours), "logps")["chosen"].distance == pytest.approx(1 / 3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_found_before_any_distance(tmp_path, value):
    def change(events):
        first(events, "micro")["loss"] = value

    theirs, ours = write_trace(tmp_path / "a", change=change), write_trace(tmp_path / "b", change=change)
    problem = _found(compare(theirs, ours), "loss")["loss"]
    assert problem.problem == "nonfinite", "equal infinities are not agreement"


def test_a_nan_in_a_tensor_is_found_even_on_both_sides():
    both = {"weight/a": torch.tensor([1.0, math.nan])}
    (measure,) = compare_tensors(0, both, both)
    assert measure.problem == "nonfinite"


def test_a_nan_in_a_vector_is_not_lost_behind_a_larger_entry(tmp_path):
    def change(events):
        first(events, "micro")["chosen_logps"] = [-9.0, math.nan]

    trace = write_trace(tmp_path, change=change)
    assert _found(compare(trace, trace), "logps")["chosen"].problem == "nonfinite"


def test_a_tensor_of_another_shape_is_found():
    (measure,) = compare_tensors(0, {"grad/a": torch.ones(4)}, {"grad/a": torch.ones(2)})
    assert measure.problem == "shape"


def test_a_tensor_of_rounding_noise_is_measured_by_the_size_of_its_neighbours():
    theirs = {"grad/bias": torch.tensor([3e-7]), "grad/w": torch.tensor([1.0])}
    ours = {"grad/bias": torch.tensor([-3e-7]), "grad/w": torch.tensor([1.0])}
    by_name = {measure.name: measure.distance for measure in compare_tensors(0, theirs, ours)}
    assert by_name["grad/bias"] == pytest.approx(2e-6)


def test_a_zero_tensor_against_a_live_one_is_infinitely_apart():
    (measure,) = compare_tensors(0, {"grad/a": torch.zeros(2)}, {"grad/a": torch.ones(2)})
    assert measure.distance == math.inf


def test_a_metric_that_ours_lacks_is_found_and_one_that_ours_adds_is_not():
    measures = list(compare_metrics(0, 0, {"nll_loss": 1.0, "rewards/margins": 1.0}, {"nll_loss": 1.0, "extra": 2.0}))
    assert [measure.name for measure in measures if measure.problem] == ["rewards/margins (only theirs)"]


def test_clocks_are_not_compared():
    assert list(compare_metrics(0, 0, {"eval_runtime": 1.0, "eval_samples_per_second": 2.0}, {})) == []


def test_a_margin_is_measured_by_the_rewards_it_came_from():
    values = {"rewards/margins": 1e-6, "rewards/chosen": -2.0, "rewards/rejected": -1.0}
    assert scale_of("rewards/margins", values) == 2.0
    assert scale_of("eval_rewards/margins", {f"eval_{name}": value for name, value in values.items()}) == 2.0


def test_another_batch_is_found_whatever_its_loss(tmp_path):
    def change(events):
        first(events, "micro")["pairs"][0]["chosen"][1] += 1

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    assert _found(compare(theirs, ours), "batch")["pairs"].problem == "unequal"


GROUP = {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.1, "num_params": 2, "members": "m"}


@pytest.mark.parametrize(
    ("change", "stage"),
    [
        ({"lr": 1.01e-3}, "learning_rate"),
        ({"eps": 1e-6}, "optimizer"),
        ({"betas": [0.9, 0.99]}, "optimizer"),
        ({"weight_decay": 0.0}, "optimizer"),
        ({"members": "others"}, "optimizer"),
    ],
)
def test_every_setting_of_the_optimizer_is_compared(change, stage):
    measures = [measure for measure in compare_groups(0, [GROUP], [{**GROUP, **change}]) if measure.distance]
    assert {measure.stage for measure in measures} == {stage}


def test_the_last_place_of_a_learning_rate_is_no_difference():
    measures = compare_groups(0, [GROUP], [{**GROUP, "lr": math.nextafter(1e-3, 1)}])
    assert all(measure.distance == 0 for measure in measures)


@pytest.mark.parametrize(("ours", "apart"), [(3.5001, False), (3.5002, True), (math.nan, True)])
def test_a_logged_loss_may_be_rounded_to_four_decimals_and_no_further(tmp_path, ours, apart):
    def change(events):
        first(events, "log")["logs"]["loss"] = ours

    theirs, other = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    assert ("loss" in _found(compare(theirs, other), "logged")) is apart


def test_a_missing_gradient_is_not_a_zero_gradient(tmp_path):
    def change(events):
        first(events, "step")["no_gradient"] = ["head.weight"]

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    assert "head.weight (only ours)" in _found(compare(theirs, ours), "gradient")


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=5), st.floats(1e-6, 1e-2))
def test_a_scaled_tensor_is_apart_by_its_scale(values, scale):
    tensor = torch.tensor(values, dtype=torch.float64)
    (measure,) = compare_tensors(0, {"weight/a": tensor}, {"weight/a": tensor * (1 + scale)})
    assert measure.distance == pytest.approx(scale if tensor.norm() else 0.0, rel=1e-6)


def test_every_stage_has_its_place():
    assert len(set(STAGES)) == len(STAGES)


def _eval_events(accuracy: float, logps: list[float], num_pairs: int = 2):
    def change(events):
        metrics = {"eval_rewards/accuracies": accuracy, "eval_logps/chosen": -1.0}
        batch = {"event": "eval_batch", "num_pairs": num_pairs, "chosen_logps": logps, "metrics": metrics}
        events[-1:-1] = [
            {**batch, "rejected_logps": [-2.0, -2.0]},
            {"event": "eval", "metrics": {"eval_loss": 1.0, "eval_runtime": 5.0, **metrics}},
        ]

    return change


def test_a_tie_broken_by_rounding_is_left_to_the_log_probabilities(tmp_path):
    theirs = write_trace(tmp_path / "a", change=_eval_events(1.0, [-1.0, -1.9999999]))
    ours = write_trace(tmp_path / "b", change=_eval_events(0.5, [-1.0, -2.0]))
    found = _found(compare(theirs, ours), "evaluation")
    assert list(found) == ["batch 0: chosen logps"]
    assert found["batch 0: chosen logps"].distance == pytest.approx(5e-8, rel=0.01)


def test_an_accuracy_that_its_own_pairs_deny_is_a_difference(tmp_path):
    theirs = write_trace(tmp_path / "a", change=_eval_events(1.0, [-1.0, -1.0]))
    ours = write_trace(tmp_path / "b", change=_eval_events(0.5, [-1.0, -1.0]))
    assert "batch 0: eval_rewards/accuracies" in _found(compare(theirs, ours), "evaluation")


def test_an_evaluation_that_lacks_a_batch_is_found(tmp_path):
    theirs, ours = write_trace(tmp_path / "a", change=_eval_events(1.0, [-1.0, -1.0])), write_trace(tmp_path / "b")
    assert _found(compare(theirs, ours), "evaluation")["number of batches"].problem == "unequal"
