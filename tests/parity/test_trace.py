"""Reading is strict: whatever is missing, doubled, cut or not a number must be noticed, never dropped."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.arm.events import spell
from parity.errors import TraceDamaged
from parity.trace import read_arm, read_events, read_trace, unspell
from tests.parity.traces import first, write_trace


def test_a_trace_is_read_back_as_it_was_written(tmp_path):
    trace = write_trace(tmp_path, steps=2)
    assert [micro.step for micro in trace.micros] == [0, 1]
    assert trace.steps[1].tensors()["weight/body.weight"].tolist() == [5.0] * 4
    assert trace.phases["train"]["rss_peak"] == 300


@given(st.recursive(st.floats() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)))
def test_every_number_survives_the_file_even_those_json_has_no_word_for(value):
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return
    text = json.dumps(spell(value), allow_nan=False)
    assert repr(unspell(json.loads(text))) == repr(value)


def test_a_nan_and_a_tiny_number_are_both_kept(tmp_path):
    def change(events):
        first(events, "micro")["loss"] = math.nan
        first(events, "micro")["chosen_logps"] = [1e-05, -1e-300]

    micro = write_trace(tmp_path, change=change).micros[0]
    assert math.isnan(micro.loss)
    assert micro.chosen_logps == [1e-05, -1e-300]


def test_a_line_cut_in_half_is_damage(tmp_path):
    write_trace(tmp_path)
    file = tmp_path / "events.jsonl"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(TraceDamaged, match="cut off"):
        read_trace(tmp_path)


@pytest.mark.parametrize("edit", [lambda lines: lines[:3] + lines[4:], lambda lines: lines[:3] + lines[2:]])
def test_a_missing_or_doubled_event_is_damage(tmp_path, edit):
    write_trace(tmp_path)
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(edit(file.read_text().splitlines())) + "\n")
    with pytest.raises(TraceDamaged, match="missing or doubled"):
        read_trace(tmp_path)


def test_a_run_without_its_end_is_damage(tmp_path):
    write_trace(tmp_path)
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(TraceDamaged, match="did not finish"):
        read_trace(tmp_path)


def test_a_bare_nan_is_not_strict_json(tmp_path):
    (tmp_path / "events.jsonl").write_text('{"n": 0, "event": "x", "loss": NaN}\n')
    with pytest.raises(TraceDamaged, match="NaN"):
        read_events(tmp_path / "events.jsonl")


def test_a_missing_tensor_file_is_damage(tmp_path):
    trace = write_trace(tmp_path)
    trace.steps[0].file.unlink()
    with pytest.raises(TraceDamaged, match="step-00000"):
        trace.steps[0].tensors()


def test_a_missing_trace_says_where_it_was_expected(tmp_path):
    with pytest.raises(TraceDamaged, match="nowhere"):
        read_trace(tmp_path / "nowhere")


def test_an_arm_that_never_introduced_itself_is_damage(tmp_path):
    (tmp_path / "arm.jsonl").write_text('{"n": 0, "event": "failed"}\n')
    with pytest.raises(TraceDamaged, match="before it imported"):
        read_arm(tmp_path)


def test_the_first_step_is_no_measure_of_speed(tmp_path):
    def change(events):
        steps = [event for event in events if event["event"] == "step"]
        for event, seconds in zip(steps, (9.0, 1.0, 2.0), strict=True):
            event["seconds"] = seconds

    assert write_trace(tmp_path, change=change).seconds_per_step == 2.0


def test_what_two_processes_saw_is_one_trace_with_each_ones_loss(tmp_path):
    def other(events):
        for event in events:
            if event["event"] == "micro":
                event.update(loss=4.5, chosen_logps=[-3.0, -4.0], odds_losses=[-0.03, -0.02])
                event["metrics"]["rewards/accuracies"] = 0.0

    write_trace(tmp_path / "base")
    write_trace(tmp_path / "rank-1" / "base", change=other)
    joined = read_trace(tmp_path / "base")
    assert len(joined.micros) == 3
    micro = joined.micros[0]
    assert micro.chosen_logps == [-1.0, -1.5, -3.0, -4.0]
    assert micro.odds_losses == [-0.05, -0.04, -0.03, -0.02]
    assert len(micro.pairs) == 4
    assert micro.loss == 4.0
    assert micro.metrics["rewards/accuracies"] == 0.5
    assert (micro.metrics["loss of process 0"], micro.metrics["loss of process 1"]) == (3.5, 4.5)
    assert joined.end["processes_agree"]


def test_processes_that_end_with_other_weights_are_told(tmp_path):
    from parity.compare import compare

    whole = write_trace(tmp_path / "a" / "base")
    write_trace(tmp_path / "b" / "base")
    write_trace(tmp_path / "b" / "rank-1" / "base", change=lambda events: first(events, "end").update(weights="other"))
    parted = read_trace(tmp_path / "b" / "base")
    assert not parted.end["processes_agree"]
    assert "weights equal in every process" in {m.name for m in compare(whole, parted) if m.problem == "unequal"}


def test_a_process_that_lost_a_micro_batch_is_damage(tmp_path):
    def lose(events):
        events.remove(first(events, "micro"))

    write_trace(tmp_path / "base")
    write_trace(tmp_path / "rank-1" / "base", change=lose)
    with pytest.raises(TraceDamaged, match="every one must write as many"):
        read_trace(tmp_path / "base")
