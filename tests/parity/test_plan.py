"""What both arms read: the same files for the same spec, and a sentence that says where the weights came from."""

from __future__ import annotations

import dataclasses
import json

import pytest

from parity import tokenizer
from parity.catalog import EMBEDDED, find_model, known_models
from parity.errors import SpecError
from parity.fit import estimate_parameters, fit
from parity.plan import make_plan
from parity.rows import embedded_pairs, make_rows
from parity.scenarios import make_spec


def test_the_same_spec_gives_the_same_digests_anywhere(tmp_path):
    plans = [make_plan(make_spec("base"), tmp_path / name) for name in ("a", "b")]
    assert plans[0].digest == plans[1].digest
    weights = [(plan.folder / "model" / "model.safetensors").read_bytes() for plan in plans]
    assert weights[0] == weights[1]


def test_another_seed_gives_other_weights_and_other_rows(tmp_path):
    contents = []
    for seed in (1, 2):
        plan = make_plan(make_spec("base", seed=seed), tmp_path / str(seed))
        contents.append(json.loads(plan.file.read_text()))
    assert contents[0]["checkpoint"]["model.safetensors"] != contents[1]["checkpoint"]["model.safetensors"]
    assert contents[0]["rows"] != contents[1]["rows"]


def test_random_weights_are_said_first(tmp_path):
    plan = make_plan(make_spec("base"), tmp_path)
    assert plan.random_weights
    assert "random weights" in plan.origin


def test_a_folder_is_used_as_it_is(tmp_path):
    drawn = make_plan(make_spec("base"), tmp_path / "first")
    plan = make_plan(make_spec("base", model=str(drawn.folder / "model")), tmp_path / "second")
    assert "from disk" in plan.origin
    assert plan.num_parameters == drawn.num_parameters


@pytest.mark.parametrize("shape", ["strings", "implicit", "chat", "long"])
def test_rows_of_every_shape_come_in_a_seeded_order(shape):
    rows = make_rows(shape, 70, seed=3)
    assert rows == make_rows(shape, 70, seed=3)
    assert rows != make_rows(shape, 70, seed=4)
    assert all(row["chosen"] != row["rejected"] for row in rows)


def test_an_implicit_prompt_is_what_both_sides_begin_with():
    row = make_rows("implicit", 1, seed=0)[0]
    assert "prompt" not in row
    assert row["chosen"].split("Reply:")[0] == row["rejected"].split("Reply:")[0]


def test_the_embedded_pairs_are_about_sixty_and_no_two_alike():
    pairs = embedded_pairs()
    assert len(pairs) >= 60
    assert len({pair["prompt"] for pair in pairs}) == len(pairs)


def test_rows_of_your_own_repeat_until_there_are_enough(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a", "chosen": "b", "rejected": "c", "score": 1}\n')
    plan = make_plan(make_spec("base", data=str(file)), tmp_path / "plan")
    rows = json.loads((plan.folder / "rows.json").read_text())
    assert len(rows["train"]) == 16
    assert rows["train"][0] == {"prompt": "a", "chosen": "b", "rejected": "c"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "it holds no rows"),
        ('[{"prompt": "a"}]', "row 1 has the columns 'prompt'; rename"),
        ('[{"chosen": "a", "rejected": "b"}, "chosen"]', "row 2 has a str"),
        ("no json", "give a JSON list or JSON lines"),
        ('{"a": 1}', "it holds one JSON dict"),
    ],
)
def test_rows_that_are_no_pairs_are_refused_with_what_they_are(tmp_path, content, said):
    file = tmp_path / "rows.json"
    file.write_text(content)
    with pytest.raises(SpecError, match=rf"rows\.json.*{said}"):
        make_plan(make_spec("base", data=str(file)), tmp_path / "plan")


def test_texts_are_cut_where_the_machine_is_small(tmp_path):
    spec = dataclasses.replace(make_spec("base"), max_row_chars=5)
    plan = make_plan(spec, tmp_path)
    rows = json.loads((plan.folder / "rows.json").read_text())["train"]
    assert max(len(text) for row in rows for text in row.values()) == 5


def test_the_bundled_tokenizer_is_what_training_gives():
    assert json.loads(tokenizer.BUNDLED.read_text()) == tokenizer.build()


def test_the_tokenizer_gives_back_every_text():
    from tokenizers import Tokenizer

    trained = Tokenizer.from_file(str(tokenizer.BUNDLED))
    text = "Snow on the caf\u00e9 roof, 17 \u00d7 6 = 102\n"
    assert trained.decode(trained.encode(text).ids) == text


@pytest.mark.parametrize("name", known_models())
def test_every_bundled_architecture_is_one_that_transformers_knows(name):
    from transformers import AutoConfig

    config = find_model(name).read_config()
    built = AutoConfig.for_model(**config)
    assert built.vocab_size == config["vocab_size"]


@pytest.mark.parametrize(("name", "millions"), [("SmolLM-135M", 135), ("SmolLM2-360M", 362), ("Qwen2.5-0.5B", 494)])
def test_bundled_architectures_have_the_size_in_their_name(name, millions):
    assert estimate_parameters(find_model(name)) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("name", ["SmolLM-135M", "smollm-135m", "HuggingFaceTB/SmolLM-135M"])
def test_a_model_is_found_by_alias_and_by_its_full_name(name):
    assert find_model(name).hub_name == "HuggingFaceTB/SmolLM-135M"


def test_a_hub_name_that_is_not_bundled_is_left_to_the_hub():
    assert find_model("someone/something").config is None


@pytest.mark.parametrize("name", ["tyni", "./nowhere", "a/b/c"])
def test_an_unknown_model_names_those_there_are(name):
    with pytest.raises(SpecError, match="SmolLM-135M"):
        find_model(name)


def test_small_models_take_the_scenario_as_it_is_and_large_ones_say_what_was_scaled():
    assert fit(find_model("tiny"), steps=None).notes == ()
    large = fit(find_model("SmolLM-135M"), steps=None)
    assert "134 million" in large.notes[0]
    assert str(large.steps) in large.notes[0]
    assert fit(find_model("SmolLM-135M"), steps=2).steps == 2


def test_embedded_models_need_no_network():
    assert all(find_model(name).embedded for name in EMBEDDED)
