"""Two specs are the same question exactly if their digests are equal."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.errors import SpecError
from parity.scenarios import SCENARIOS, make_spec
from parity.spec import Spec, canonical_json, digest_json

SPEC = make_spec("base")


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_every_scenario_survives_json(name):
    spec = make_spec(name)
    again = Spec.from_dict(json.loads(json.dumps(spec.as_dict())))
    assert again.digest == spec.digest


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"steps": 5},
        {"seed": 21},
        {"shape": "chat"},
        {"dtype": "bfloat16"},
        {"device": "auto"},
        {"threads": 2},
        {"settings": {**SPEC.settings, "learning_rate": 1e-3}},
        {"lora": {"r": 2}},
        {"max_row_chars": 9},
    ],
)
def test_any_change_is_another_question(change):
    assert dataclasses.replace(SPEC, **change).digest != SPEC.digest


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=4))
def test_the_digest_does_not_depend_on_the_order_of_keys(values):
    assert digest_json(values) == digest_json(dict(reversed(values.items())))


def test_canonical_json_refuses_what_json_has_no_word_for():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"loss": float("nan")})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"weights": "maybe"}, "auto, hub or random"),
        ({"dtype": "float16"}, "float32 or bfloat16"),
        ({"device": "gpu"}, "cpu or auto"),
    ],
)
def test_an_impossible_question_is_refused(change, said):
    with pytest.raises(SpecError, match=said):
        dataclasses.replace(SPEC, **change)


def test_unknown_fields_and_newer_formats_are_refused():
    with pytest.raises(SpecError, match="unknown spec field 'wish'"):
        Spec.from_dict({**SPEC.as_dict(), "wish": 1})
    with pytest.raises(SpecError, match="newer"):
        Spec.from_dict({**SPEC.as_dict(), "format": 99})


def test_the_rows_are_those_that_the_steps_consume():
    spec = make_spec("accumulation")
    assert spec.num_rows == spec.steps * spec.batch_size * 4


def test_an_unknown_scenario_names_those_there_are():
    with pytest.raises(SpecError, match=r"base.*repo"):
        make_spec("basic")
