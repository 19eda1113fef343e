"""TRL's defects by release: each predicate on traces written by hand, and against the real releases (slow)."""

from __future__ import annotations

import math

import pytest

from parity.compare import compare
from parity.environments import build_reference
from parity.floor import make_floor
from parity.known import DEFECTS, applicable, around_defects, explain
from parity.run import Request, run_parity
from parity.scenarios import make_spec
from parity.verdict import Verdict, judge
from tests.parity.traces import first, write_trace

MODERN = {"trl": "1.16.0", "transformers": "5.23.0"}


def _explained(theirs, ours, versions) -> str:
    floor = make_floor({"rerun": []}, dtype="float32", num_steps=3, skipped={})
    judgement = judge(compare(theirs, ours), floor, theirs, ours)
    assert judgement.verdict is not Verdict.IDENTICAL
    return " ".join(explain(judgement, theirs, ours, versions))


def test_a_defect_belongs_to_its_releases_only():
    names = {defect.name for defect in applicable(MODERN)}
    assert names == {"NaN gradient of the odds term", "empty response"}
    assert "gradients grow with accumulation" in {
        defect.name for defect in applicable({"trl": "0.17.0", "transformers": "4.51.3"})
    }
    assert "gradients grow with accumulation" not in {
        defect.name for defect in applicable({"trl": "0.17.0", "transformers": "4.57.6"})
    }


def test_a_release_that_accumulates_wrongly_is_asked_without_accumulation_and_that_is_said():
    old = {"trl": "0.17.0", "transformers": "4.51.3"}
    spec = around_defects(make_spec("base"), old)
    assert spec.accumulation == 1
    assert "0.17.0" in spec.notes[0]
    assert around_defects(make_spec("base"), MODERN) == make_spec("base")
    assert around_defects(make_spec("accumulation"), old).accumulation == 4, "asked for by name, it is asked"


@pytest.mark.parametrize("versions", [{}, {"trl": None}, {"trl": "not a version"}])
def test_an_unknown_release_has_no_known_defects(versions):
    assert applicable(versions) == []


def test_every_defect_says_what_it_does_and_when():
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)
    assert all("TRL" in defect.what for defect in DEFECTS)


def test_rows_cut_to_another_length_are_the_truncation_defect(tmp_path):
    def change(events):
        pair = first(events, "micro")["pairs"][0]
        pair["chosen"], pair["chosen_labels"] = pair["chosen"][:-1], pair["chosen_labels"][:-1]

    theirs, ours = write_trace(tmp_path / "a", change=change), write_trace(tmp_path / "b")
    assert "over-long" in _explained(theirs, ours, {"trl": "1.12.0"})
    assert _explained(theirs, ours, MODERN) == ""


def test_other_tokens_of_the_same_length_are_no_truncation(tmp_path):
    def change(events):
        first(events, "micro")["pairs"][0]["chosen"][1] += 1

    theirs, ours = write_trace(tmp_path / "a", change=change), write_trace(tmp_path / "b")
    assert _explained(theirs, ours, {"trl": "1.12.0"}) == ""


def test_a_gradient_grown_by_the_micro_batches_is_the_accumulation_defect(tmp_path):
    def two(events):
        micros = [event for event in events if event["event"] == "micro"]
        micros[1]["step"] = 0

    def grown(events):
        two(events)
        first(events, "step")["grad_norm_before_clip"] = 4.0

    theirs, ours = write_trace(tmp_path / "a", change=grown), write_trace(tmp_path / "b", change=two)
    assert "gradient_accumulation_steps" in _explained(theirs, ours, {"trl": "0.17.0", "transformers": "4.51.3"})
    assert _explained(theirs, ours, MODERN) == ""


def test_another_nll_of_a_padded_batch_is_the_padding_defect(tmp_path):
    def change(events):
        first(events, "micro")["metrics"]["nll_loss"] = 2.0

    theirs, ours = write_trace(tmp_path / "a", change=change), write_trace(tmp_path / "b")
    assert "padding" in _explained(theirs, ours, {"trl": "0.8.6"})
    theirs = write_trace(tmp_path / "c", change=change, padded=False)
    assert _explained(theirs, write_trace(tmp_path / "d", padded=False), {"trl": "0.8.6"}) == ""


def test_a_nan_of_theirs_beside_a_certain_response_is_the_odds_defect(tmp_path):
    def certain(events):
        first(events, "micro")["chosen_logps"] = [-1e-9, -1.5]

    def nan(events):
        certain(events)
        first(events, "step")["grad_norm_before_clip"] = math.nan

    theirs, ours = write_trace(tmp_path / "a", change=nan), write_trace(tmp_path / "b", change=certain)
    assert "finite gradient" in _explained(theirs, ours, MODERN)


def test_a_row_without_a_response_is_the_empty_response_defect(tmp_path):
    def change(events):
        pair = first(events, "micro")["pairs"][0]
        pair["chosen_labels"] = [-100] * 4
        first(events, "micro")["chosen_logps"] = [math.nan, -1.5]

    theirs, ours = write_trace(tmp_path / "a", change=change), write_trace(tmp_path / "b")
    assert "no response token" in _explained(theirs, ours, MODERN)


def test_norm_weights_in_theirs_decayed_group_alone_are_the_older_transformers_rule(tmp_path):
    def groups(decayed, rest):
        def change(events):
            for event in events:
                if event["event"] == "step":
                    one = event["groups"][0]
                    event["groups"] = [
                        {**one, "num_params": decayed, "members": f"{decayed} decayed"},
                        {**one, "num_params": rest, "members": f"{rest} not", "weight_decay": 0.0},
                    ]

        return change

    theirs = write_trace(tmp_path / "a", change=groups(9, 1))
    ours = write_trace(tmp_path / "b", change=groups(7, 3))
    older = {"trl": "0.12.2", "transformers": "4.46.3"}
    assert "decays norm weights" in _explained(theirs, ours, older)
    assert _explained(theirs, ours, {**older, "transformers": "4.57.6"}) == ""
    assert _explained(theirs, write_trace(tmp_path / "c", change=groups(9, 2)), older) == ""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("release", "scenario", "defect"),
    [
        ("0.8.6", "base", "padding"),
        ("0.24.0", "over-length", "TRL up to 0.27 cuts the prompt"),
        ("1.12.0", "over-length", "longer response's length"),
    ],
)
def test_a_known_defect_shows_in_the_real_release(tmp_path, release, scenario, defect):
    reference = build_reference(f"trl=={release}", report=print)
    outcome = run_parity(Request(spec=make_spec(scenario), reference=reference, folder=tmp_path))
    assert outcome.verdict is Verdict.DIFFERENT
    assert defect in " ".join(text for judgement in outcome.judgements for text in judgement.explained)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("release", ["0.11.4", "0.19.1", "0.24.0", "0.29.1"])
def test_ours_equals_the_real_release_where_it_has_no_defect(tmp_path, release):
    reference = build_reference(f"trl=={release}", report=print)
    outcome = run_parity(Request(spec=make_spec("base"), reference=reference, folder=tmp_path))
    assert outcome.verdict.passes, outcome.headline
    assert outcome.arms["theirs"].versions["trl"] == release
