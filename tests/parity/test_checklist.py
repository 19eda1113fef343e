"""Twelve points, each measured or said not to be; and the rows of a divergence in words."""

from __future__ import annotations

import math

from parity.checklist import make_checklist
from parity.decode import decode_rows
from parity.plan import make_plan
from parity.scenarios import make_spec
from parity.verdict import Divergence
from tests.parity.evidence_sample import sample_evidence
from tests.parity.traces import first, write_trace

RESOURCES = {"theirs": {}, "ours": {}, "seconds_per_step": {"theirs": 1.0, "ours default": 2.0}}


def _by_name(points):
    return {point["point"]: point for point in points}


def test_there_are_twelve_points_and_none_is_ticked_unmeasured(tmp_path):
    points = sample_evidence(tmp_path)["checklist"]
    assert len(points) == 12
    by_name = _by_name(points)
    assert by_name["training starts"]["ours"] == "yes"
    for name in ("logs to W&B offline", "pushes to the hub", "memory is no higher", "speed is no lower"):
        assert by_name[name]["ours"] == "not measured"


def test_a_nan_in_one_metric_unticks_finiteness(tmp_path):
    def change(events):
        first(events, "micro")["metrics"]["nll_loss"] = math.nan

    theirs, ours = write_trace(tmp_path / "a"), write_trace(tmp_path / "b", change=change)
    point = _by_name(make_checklist(theirs, ours, RESOURCES, {}))["loss is finite"]
    assert (point["theirs"], point["ours"]) == ("yes", "no")


def test_repeated_measurements_answer_speed(tmp_path):
    trace = write_trace(tmp_path)
    quantity = {"ratio": 1.5, "resolving_power": 0.1, "resolved": True}
    resources = {**RESOURCES, "measurements": {"quantities": {"seconds_per_step": quantity}}}
    assert _by_name(make_checklist(trace, trace, resources, {}))["speed is no lower"]["ours"] == "no"
    quantity["resolved"] = False
    assert _by_name(make_checklist(trace, trace, resources, {}))["speed is no lower"]["ours"] == "yes"


def test_rows_are_decoded_with_the_response_apart(tmp_path):
    plan = make_plan(make_spec("base"), tmp_path / "plan")
    theirs = write_trace(tmp_path / "a")

    def change(events):
        first(events, "micro")["pairs"][0]["rejected"][2] = 40

    ours = write_trace(tmp_path / "b", change=change)
    at = Divergence(0, 0, "batch", "pairs", None, None, math.inf, "unequal", True)
    lines = decode_rows(at, theirs, ours, plan.file)
    assert any("chosen: " in line and "</s>" in line and " -> " in line for line in lines)
    assert any("rejected (theirs): " in line for line in lines)
    assert any("rejected (ours): " in line for line in lines)


def test_a_divergence_of_a_whole_step_shows_its_micro_batches(tmp_path):
    plan = make_plan(make_spec("base"), tmp_path / "plan")
    trace = write_trace(tmp_path / "a")
    at = Divergence(1, -1, "weight", "weight/a", 1.0, 2.0, 9.0, "", True)
    assert {line.split(",")[0] for line in decode_rows(at, trace, trace, plan.file)} == {"micro-batch 1"}
