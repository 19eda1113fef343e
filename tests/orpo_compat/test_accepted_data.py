"""What may stand for a dataset, and the sentence for what may not: kind, argument, got, next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from orpo_compat import ORPOConfig, ORPOTrainer
from orpo_compat.accepted_data import accepted
from orpo_compat.errors import DataError, WrongDataKind
from tests.conftest import tiny_llama
from tests.orpo_compat.runs import SETTINGS

ROW = {"prompt": "a", "chosen": "b", "rejected": "c"}


def test_a_dataset_a_dict_of_evaluation_sets_and_none_are_taken_as_they_are() -> None:
    data = Dataset.from_list([ROW])
    assert accepted(data, "train") is data
    assert accepted(None, "eval") is None
    assert accepted({"one": data}, "eval") == {"one": data}
    assert type(accepted(DatasetDict(one=data), "eval")) is DatasetDict


def test_rows_that_are_tokenized_already_stay_a_list() -> None:
    rows = [{"chosen_input_ids": [1], "rejected_input_ids": [2]}]
    assert accepted(rows, "train") is rows


def test_a_list_of_rows_trains_like_the_dataset_of_them(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    losses = []
    for data in (pairs, list(pairs), tuple(pairs)):
        args = ORPOConfig(output_dir=str(tmp_path), **{**SETTINGS, "max_steps": 1})
        trainer = ORPOTrainer(tiny_llama(), args, train_dataset=data, processing_class=tokenizer)
        losses.append(trainer.train().training_loss)
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("empty", [[], (), Dataset.from_list([ROW]).select([])])
@pytest.mark.parametrize("name", ["train", "eval"])
def test_no_rows_are_named_with_their_argument(empty: Any, name: str) -> None:
    with pytest.raises(DataError, match=f"{name}_dataset has no rows"):
        accepted(empty, name)


def test_the_empty_one_of_several_evaluation_sets_is_named() -> None:
    with pytest.raises(DataError, match=r"eval_dataset\['b'\] has no rows"):
        accepted({"a": Dataset.from_list([ROW]), "b": []}, "eval")


@pytest.mark.parametrize("path", ["pairs.jsonl", Path("pairs.jsonl")])
def test_a_path_is_answered_with_how_to_load_it(path: str | Path) -> None:
    with pytest.raises(WrongDataKind, match=r"load_dataset\('json', data_files='pairs.jsonl', split='train'\)"):
        accepted(path, "train")


def test_splits_to_train_on_are_answered_with_the_first_of_them() -> None:
    splits = DatasetDict(train=Dataset.from_list([ROW]), test=Dataset.from_list([ROW]))
    with pytest.raises(TypeError, match=r"got a DatasetDict with 'train', 'test'.\n  Next: .*data\['train'\]"):
        accepted(splits, "train")


def test_a_trainer_refuses_before_it_tokenizes(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    args = ORPOConfig(output_dir=str(tmp_path), **SETTINGS)
    with pytest.raises(DataError, match="eval_dataset has no rows"):
        ORPOTrainer(tiny_llama(), args, train_dataset=pairs, eval_dataset=pairs.select([]), processing_class=tokenizer)
