"""Datasets on their way to tokens: caching, reports and pass-through. Oracle: the dataset's own cache files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from transformers import AutoTokenizer

from orpo_compat.preprocessing import DataReport, Preprocessor, complete_tokenized, pair_sizes
from orpo_compat.tokenization import RowNote, TokenizationRules
from tests.conftest import make_tokenizer

RULES = TokenizationRules(max_length=64)


def from_disk(pairs: Any, folder: Path) -> Any:
    if not (folder / "pairs.jsonl").exists():
        pairs.to_json(folder / "pairs.jsonl")
    return load_dataset("json", data_files=str(folder / "pairs.jsonl"), split="train", cache_dir=str(folder / "cache"))


def test_a_second_construction_reads_the_first_one_s_tokens(pairs: Any, tmp_path: Path) -> None:
    """Even with a tokenizer read anew: the map's fingerprint depends on values alone."""
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    first = Preprocessor(tokenizer, RULES)(from_disk(pairs, tmp_path), "train")
    for again in (tokenizer, AutoTokenizer.from_pretrained(tmp_path / "tokenizer")):
        second = Preprocessor(again, RULES)(from_disk(pairs, tmp_path), "train")
        assert second.cache_files == first.cache_files
    assert len(list((tmp_path / "cache").rglob("cache-*.arrow"))) == 1
    other = Preprocessor(make_tokenizer(), TokenizationRules(max_length=32))(from_disk(pairs, tmp_path), "train")
    assert other.cache_files != first.cache_files


def test_worker_processes_give_the_same_rows(pairs: Any, tokenizer: Any) -> None:
    alone = Preprocessor(tokenizer, RULES)(pairs, "train")
    together = Preprocessor(tokenizer, RULES, num_proc=2)(pairs, "train")
    assert alone[:] == together[:]


def test_other_columns_stay_with_their_rows(pairs: Any, tokenizer: Any) -> None:
    marked = pairs.add_column("keep", list(range(len(pairs))))
    tokenized = Preprocessor(tokenizer, RULES)(marked, "train")
    assert tokenized["keep"] == tokenized["row_id"] == list(range(len(pairs)))


@pytest.mark.parametrize("prompt", ["ask", None], ids=["with prompt", "without"])
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("workers", [None, 2])
def test_a_row_that_cannot_be_read_is_named_by_its_place(
    tokenizer: Any, prompt: str | None, streaming: bool, workers: int | None
) -> None:
    rows = [{"prompt": prompt, "chosen": "yes it is", "rejected": "yes it was"} for _ in range(2500)]
    rows[2100]["rejected"] = None
    data = Dataset.from_list(rows)
    if streaming:
        data = data.to_iterable_dataset()
    with pytest.raises(ValueError, match=r"row 2100: rejected should be a string .*, got NoneType"):
        list(Preprocessor(tokenizer, RULES, num_proc=workers)(data, "train"))


def test_a_report_counts_notes_per_dataset() -> None:
    report = DataReport()
    report.add("train", [0, int(RowNote.RESPONSE_TRIMMED), int(RowNote.RESPONSE_TRIMMED | RowNote.RESCUED)])
    assert report.counts == {"train": {"rows": 3, "response_trimmed": 2, "rescued": 1}}
    assert str(report) == "train: 3 rows, 2 response trimmed, 1 rescued"


def test_a_torch_dataset_is_left_to_its_own_collator(tokenizer: Any) -> None:
    rows = [{"anything": 1}]
    assert Preprocessor(tokenizer, RULES)(rows, "train") is rows


def test_sizes_count_both_sides(pairs: Any, tokenizer: Any) -> None:
    tokenized = Preprocessor(tokenizer, RULES)(pairs, "train")
    by_hand = [len(row["chosen_input_ids"]) + len(row["rejected_input_ids"]) for row in tokenized]
    assert pair_sizes(tokenized) == by_hand


@pytest.mark.parametrize("given", ["labels", "prompt", "both"])
def test_pre_tokenized_rows_are_completed_from_what_they_have(given: str) -> None:
    row: dict[str, Any] = {"chosen_input_ids": [1, 5, 6], "rejected_input_ids": [1, 7]}
    if given in ("labels", "both"):
        row |= {"chosen_labels": [-100, 5, 6], "rejected_labels": [-100, 7]}
    if given in ("prompt", "both"):
        row["prompt_input_ids"] = [1]
    done = {**row, **complete_tokenized(row)}
    assert done["chosen_labels"] == [-100, 5, 6]
    assert done["rejected_labels"] == [-100, 7]
    assert done["prompt_input_ids"] == [1]
    assert done["prompt_attention_mask"] == [1]
    assert done["chosen_attention_mask"] == [1, 1, 1]
