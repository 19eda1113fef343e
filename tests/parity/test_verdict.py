"""The lattice of verdicts, one question at a time, on traces written by hand and a floor that is known."""

from __future__ import annotations

import math

import pytest

from parity.compare import Measure, compare
from parity.floor import EPSILON, LEAST, make_floor
from parity.verdict import Verdict, judge, preflight, ratio_of, worst
from tests.parity.traces import first, write_trace

FLOOR = LEAST * EPSILON["float32"]


def _floor():
    return make_floor({"rerun": []}, dtype="float32", num_steps=3, skipped={})


def _judge(theirs, ours):
    return judge(compare(theirs, ours), _floor(), theirs, ours)


def _scaled(step: int, prefix: str, factor: float):
    def tensors(at, content):
        for name in content:
            if at == step and name.startswith(prefix):
                content[name] = content[name] * factor

    return tensors


def test_the_same_numbers_are_identical(tmp_path):
    trace = write_trace(tmp_path)
    assert _judge(trace, trace).verdict is Verdict.IDENTICAL


def test_other_final_weights_are_not_identical_even_where_every_measure_is_zero(tmp_path):
    def change(events):
        first(events, "end")["weights"] = "w2"

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    assert _judge(theirs, ours).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize(
    ("floors", "step", "verdict"),
    [
        (1.0, 2, Verdict.EQUIVALENT),
        (4.0, 2, Verdict.INVESTIGATE),
        (6.0, 2, Verdict.DIFFERENT),
        (1.0, 0, Verdict.EQUIVALENT),
        (4.0, 0, Verdict.DIFFERENT),
    ],
)
def test_a_weight_is_judged_in_floors_and_strictly_at_step_0(tmp_path, floors, step, verdict):
    theirs = write_trace(tmp_path / "a")
    ours = write_trace(tmp_path / "b", tensors=_scaled(step, "weight/", 1 + floors * FLOOR))
    judgement = _judge(theirs, ours)
    assert judgement.verdict is verdict
    if not verdict.passes:
        assert (judgement.divergence.step, judgement.divergence.stage) == (step, "weight")
        assert judgement.divergence.inputs_agreed


def test_equal_losses_do_not_hide_unequal_weights(tmp_path):
    theirs = write_trace(tmp_path / "a")
    ours = write_trace(tmp_path / "b", tensors=_scaled(1, "weight/", 1.001))
    judgement = _judge(theirs, ours)
    assert judgement.verdict is Verdict.DIFFERENT
    assert judgement.stages["loss"]["ratio"] == 0.0


def test_the_first_divergence_is_the_earliest_stage_of_the_earliest_step(tmp_path):
    def change(events):
        micros = [event for event in events if event["event"] == "micro"]
        micros[1]["loss"] += 1
        micros[1]["metrics"]["nll_loss"] += 1
        micros[2]["chosen_logps"] = [-3.0, -3.0]

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    divergence = _judge(theirs, ours).divergence
    assert (divergence.step, divergence.stage, divergence.name) == (1, "nll", "nll_loss")
    assert (divergence.theirs, divergence.ours) == (3.0, 4.0)


@pytest.mark.parametrize("field", ["plan", "rows", "weights", "dtype", "device", "num_parameters"])
def test_another_question_is_incomparable_and_names_the_field_and_both_values(tmp_path, field):
    def change(events):
        first(events, "start")[field] = "elsewise"
        first(events, "micro")["loss"] = 99.0

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    judgement = _judge(theirs, ours)
    assert judgement.verdict is Verdict.INCOMPARABLE
    assert judgement.verdict.exit_code == 4
    assert field in judgement.headline
    assert "elsewise" in judgement.headline
    assert str(theirs.start[field]) in judgement.headline


def test_another_spec_is_incomparable(tmp_path):
    def change(events):
        first(events, "run")["spec"] = "other"

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    assert preflight(theirs, ours) == [("spec", "s", "other")]


def test_a_nan_of_ours_alone_is_a_difference(tmp_path):
    def change(events):
        first(events, "micro")["loss"] = math.nan

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    assert _judge(theirs, ours).verdict is Verdict.DIFFERENT
    assert _judge(ours, theirs).verdict is Verdict.DIFFERENT


def test_a_nan_on_both_sides_proves_nothing(tmp_path):
    def change(events):
        first(events, "micro")["loss"] = math.nan

    trace = write_trace(tmp_path, change=change)
    assert _judge(trace, trace).verdict is Verdict.INVESTIGATE


def _still(events):
    first(events, "end")["weights"] = first(events, "start")["weights"]


def _no_gradient(events):
    for event in events:
        if event["event"] == "step":
            event["grad_norm_before_clip"] = 0.0


@pytest.mark.parametrize("dead", [_still, _no_gradient])
def test_a_run_that_learned_nothing_fails_and_two_of_them_prove_nothing(tmp_path, dead):
    alive, still = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=dead)
    assert _judge(alive, still).verdict is Verdict.DIFFERENT
    assert _judge(still, alive).verdict is Verdict.DIFFERENT
    assert _judge(still, still).verdict is Verdict.INVESTIGATE


@pytest.mark.parametrize(("padded", "verdict"), [(True, Verdict.IDENTICAL), (False, Verdict.DIFFERENT)])
def test_mean_logits_count_only_where_no_row_was_padded(tmp_path, padded, verdict):
    def change(events):
        for event in events:
            if event["event"] == "micro":
                event["metrics"]["logits/chosen"] = 9.0

    theirs = write_trace(tmp_path / "a", padded=padded)
    ours = write_trace(tmp_path / "b", padded=padded, change=change)
    assert _judge(theirs, ours).verdict is verdict


def test_an_exact_stage_knows_no_floor():
    assert ratio_of(Measure(0, -1, "learning_rate", "lr", 1e-9), _floor()) == math.inf
    assert ratio_of(Measure(0, -1, "weight", "w", FLOOR), _floor()) == pytest.approx(1.0)


def test_the_gravest_verdict_wins():
    assert worst([Verdict.EQUIVALENT, Verdict.INVESTIGATE, Verdict.IDENTICAL]) is Verdict.INVESTIGATE
    assert worst([Verdict.DIFFERENT, Verdict.INCOMPARABLE]) is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("verdict", "passes", "code"),
    [("IDENTICAL", True, 0), ("EQUIVALENT", True, 0), ("INVESTIGATE", False, 3), ("DIFFERENT", False, 1)],
)
def test_exit_codes_follow_the_verdict(verdict, passes, code):
    assert (Verdict[verdict].passes, Verdict[verdict].exit_code) == (passes, code)


def test_a_judgement_is_strict_json_even_with_infinite_ratios(tmp_path):
    import json

    def change(events):
        first(events, "step")["groups"][0]["lr"] = 1.0

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    json.dumps(_judge(theirs, ours).as_dict(), allow_nan=False)


@pytest.mark.parametrize(("sizes", "verdict"), [((2, 2), Verdict.DIFFERENT), ((2, 1), Verdict.IDENTICAL)])
def test_evaluation_means_count_only_where_batches_are_equally_large(tmp_path, sizes, verdict):
    def events_with(loss):
        def change(events):
            batches = [{"event": "eval_batch", "num_pairs": size, "metrics": {"eval_loss": 1.0}} for size in sizes]
            events[-1:-1] = [*batches, {"event": "eval", "metrics": {"eval_loss": loss}}]

        return change

    theirs = write_trace(tmp_path / "a", change=events_with(1.0))
    ours = write_trace(tmp_path / "b", change=events_with(1.5))
    assert _judge(theirs, ours).verdict is verdict
