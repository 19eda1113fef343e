"""Oracles: the hub's own parser of card metadata, PEFT's own card writer, and the settings of the run in the test."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset, DatasetInfo
from huggingface_hub import ModelCard
from peft import LoraConfig

from orpo_compat import ORPOConfig, ORPOTrainer
from orpo_compat.model_card import CardFacts, base_model, hub_datasets, last_evaluation, render_card, replaceable
from tests.conftest import tiny_llama

FACTS = CardFacts(
    model_name="bird",
    hub_model_id="someone/bird",
    base_model="someone/base",
    datasets=("someone/pairs",),
    tags=("orpo",),
    settings={"beta": "0.2", "seed": 3},
    results={"eval_rewards/margins": 0.123456789},
    versions={"torch": "2.13.0"},
)


def trainer(folder: Path, tokenizer: Any, pairs: Any, **more: Any) -> ORPOTrainer:
    settings: dict[str, Any] = {"max_steps": 1, "report_to": "none", "bf16": False, "max_length": 64, "beta": 0.25}
    settings |= more.pop("settings", {})
    return ORPOTrainer(
        tiny_llama(),
        ORPOConfig(str(folder), **settings),
        train_dataset=pairs,
        eval_dataset=pairs,
        processing_class=tokenizer,
        **more,
    )


def test_the_hub_reads_what_the_card_says() -> None:
    data = ModelCard(render_card(FACTS)).data
    assert (data.base_model, data.datasets, data.tags) == ("someone/base", ["someone/pairs"], ["orpo"])
    assert (data.library_name, data.model_name) == ("transformers", "bird")


def test_a_reader_finds_base_data_beta_results_and_paper() -> None:
    text = render_card(FACTS)
    for said in (
        "# bird",
        "https://huggingface.co/someone/base",
        "https://huggingface.co/datasets/someone/pairs",
        "| beta | 0.2 |",
        "| eval_rewards/margins | 0.123457 |",
        "torch 2.13.0",
        "2403.07691",
        'from_pretrained("someone/bird")',
    ):
        assert said in text


def test_what_is_not_known_is_left_out() -> None:
    text = render_card(CardFacts(model_name="bird"))
    assert "a local model" in text
    assert "None" not in text
    assert "Last evaluation" not in text
    assert ModelCard(text).data.base_model is None


def test_an_encoder_decoder_and_an_adapter_are_named_as_such() -> None:
    assert "AutoModelForSeq2SeqLM" in render_card(replace(FACTS, encoder_decoder=True))
    adapter = render_card(replace(FACTS, adapter=True))
    assert "An adapter for" in adapter
    assert ModelCard(adapter).data.library_name == "peft"


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (
            {"hf://datasets/org/pairs@0a1b/data/a.parquet": 1, "hf://datasets/org/pairs@0a1b/b.parquet": 1},
            ("org/pairs",),
        ),
        ({"hf://datasets/squad@1/x": None}, ("squad",)),
        ({"/home/me/pairs.jsonl": None}, ()),
        ({}, ()),
    ],
)
def test_the_hub_name_of_a_dataset_is_read_from_its_downloads(sources: dict[str, Any], names: tuple[str, ...]) -> None:
    data = Dataset.from_dict({"a": [1]}, info=DatasetInfo(download_checksums=sources))
    assert hub_datasets(data) == names
    assert hub_datasets([{"a": 1}]) == ()


def test_the_newest_evaluation_counts() -> None:
    history = [
        {"eval_loss": 2.0, "eval_rewards/margins": 0.1, "step": 1},
        {"loss": 1.0, "step": 2},
        {"eval_loss": 1.5, "eval_nll_loss": 1.4, "eval_rewards/accuracies": 1.0, "eval_runtime": 3.0, "step": 2},
        {"train_runtime": 1.0},
    ]
    assert last_evaluation(history) == {"eval_loss": 1.5, "eval_rewards/accuracies": 1.0}
    assert last_evaluation([]) == {}


def test_a_run_writes_its_card_without_naming_its_machine(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    settings = {"eval_strategy": "steps", "eval_steps": 1, "save_steps": 1, "hub_model_id": "someone/bird"}
    trainer(tmp_path / "run", tokenizer, pairs, settings=settings).train()
    text = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "| beta | 0.25 |" in text
    assert "| training pairs | 8 |" in text
    assert str(tmp_path) not in text
    assert "# bird" in text
    assert {"orpo", "orpo-compat"} <= set(ModelCard(text).data.tags)


def test_parameters_of_both_trl_and_transformers_are_taken(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    made = trainer(tmp_path / "run", tokenizer, pairs)
    made.create_model_card("owl", "org/pairs", "night", license="mit", language="en", finetuned_from="org/base")
    data = ModelCard.load(tmp_path / "run" / "README.md").data
    assert (data.model_name, data.datasets, data.license) == ("owl", ["org/pairs"], "mit")
    assert (data.language, data.base_model) == ("en", "org/base")
    assert "night" in data.tags
    made.create_model_card(dataset=["org/others"])
    again = ModelCard.load(tmp_path / "run" / "README.md").data
    assert (again.datasets, again.license) == (["org/others"], "mit")
    assert "night" in again.tags


def test_a_readme_of_a_person_is_left_alone(
    tmp_path: Path, tokenizer: Any, pairs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "README.md"
    target.write_text("My notes on this run.\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING, logger="orpo_compat"):
        trainer(tmp_path, tokenizer, pairs).create_model_card()
    assert target.read_text(encoding="utf-8") == "My notes on this run.\n"
    assert str(target) in caplog.text


def test_a_card_that_a_person_changed_is_theirs() -> None:
    text = render_card(FACTS)
    assert replaceable(text) is not None
    assert replaceable(text.replace("# bird", "# My bird")) is None
    assert replaceable(text + "\nMore by me.\n") is None
    assert replaceable("---\ntags: []\n---\n" + text) is None


def test_a_changed_card_is_theirs_even_if_it_carries_a_librarys_tag() -> None:
    text = render_card(replace(FACTS, tags=("generated_from_trainer",)))
    assert replaceable(text) is not None
    assert replaceable(text + "More by me.\n") is None


@pytest.mark.parametrize(
    ("name", "adapters", "expected"),
    [
        ("org/base", None, "org/base"),
        ("gpt2", None, "gpt2"),
        ("", None, None),
        ("here/model", None, None),
        ("/somewhere/model", None, None),
        ("", {"default": SimpleNamespace(base_model_name_or_path="org/base")}, "org/base"),
        ("org/base", {"default": SimpleNamespace(base_model_name_or_path=None)}, "org/base"),
    ],
)
def test_a_base_model_is_named_only_if_it_is_on_the_hub(
    name: str, adapters: Any, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert base_model(SimpleNamespace(config=SimpleNamespace(_name_or_path=name)), adapters) == expected


@pytest.mark.parametrize(
    "text",
    [
        "---\ntags:\n- trl\n- generated_from_trainer\n---\n# Model card",
        "<!-- This model card has been generated automatically according to what the Trainer knew. -->",
        "<!-- Provide a quick summary of what the model is/does. -->",
    ],
)
def test_a_card_that_a_library_generated_may_be_replaced(text: str) -> None:
    assert replaceable(text) == {}


def test_a_card_that_peft_has_touched_is_still_ours(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    made = trainer(tmp_path, tokenizer, pairs, peft_config=LoraConfig(r=2, target_modules=["q_proj"]))
    made.create_model_card("owl", license="mit")
    made.save_model()
    touched = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "PEFT" in touched
    made.create_model_card("eagle")
    card = ModelCard.load(tmp_path / "README.md")
    assert (card.data.model_name, card.data.license, card.data.library_name) == ("eagle", "mit", "peft")
    assert "An adapter for" in card.text


class Hub:
    """Keeps what would be uploaded."""

    def __init__(self) -> None:
        self.uploads: list[dict[str, Any]] = []

    def upload_folder(self, **named: Any) -> str:
        self.uploads.append({**named, "card": (Path(named["folder_path"]) / "README.md").read_text(encoding="utf-8")})
        return "https://huggingface.co/someone/bird"


def test_a_push_uploads_the_card_with_the_named_dataset(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    monkeypatch.setattr("transformers.trainer.hf_api", lambda: hub, raising=False)
    monkeypatch.setattr("transformers.trainer.upload_folder", hub.upload_folder, raising=False)
    made = trainer(tmp_path, tokenizer, pairs, settings={"hub_model_id": "someone/bird"})
    made.hub_model_id = "someone/bird"
    made.push_to_hub(dataset_name="org/pairs", tags=["night"])
    (upload,) = hub.uploads
    data = ModelCard(upload["card"]).data
    assert (upload["repo_id"], data.model_name, data.datasets) == ("someone/bird", "bird", ["org/pairs"])
    assert {"night", "orpo"} <= set(data.tags)


def test_only_the_first_process_writes(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(tmp_path, tokenizer, pairs)
    monkeypatch.setattr(made, "is_world_process_zero", lambda: False)
    made.create_model_card()
    assert not (tmp_path / "README.md").exists()
