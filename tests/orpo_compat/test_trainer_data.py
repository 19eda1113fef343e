"""What a trainer can be given as data, tokenizer and model, beyond what TRL's takes. Oracle: the plain run."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import EarlyStoppingCallback, TrainingArguments

from orpo_compat import ORPOConfig, ORPOTrainer, PreferenceCollator
from tests.conftest import PAIRS, make_tokenizer, tiny_llama
from tests.orpo_compat.runs import SETTINGS, run

EVAL = {"eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": 3}


def losses(result: Any) -> list[float]:
    return [log["loss"] for log in result.logs if "loss" in log]


@pytest.fixture
def plain(tmp_path: Path, tokenizer: Any, pairs: Any) -> list[float]:
    return losses(run("ours", tmp_path, tiny_llama(), tokenizer, pairs))


def test_pre_tokenized_rows_pass_straight_through(tmp_path: Path, tokenizer: Any, pairs: Any, plain: Any) -> None:
    source = ORPOTrainer(tiny_llama(), ORPOConfig(output_dir=str(tmp_path), **SETTINGS), None, pairs, None, tokenizer)
    keep = ["prompt_input_ids", "chosen_input_ids", "rejected_input_ids"]
    bare = source.train_dataset.select_columns(keep)
    assert losses(run("ours", tmp_path, tiny_llama(), tokenizer, bare)) == pytest.approx(plain, rel=1e-6)
    labelled = source.train_dataset.select_columns(["chosen_labels", "rejected_labels", *keep[1:]])
    assert losses(run("ours", tmp_path, tiny_llama(), tokenizer, labelled)) == pytest.approx(plain, rel=1e-6)


def test_pre_tokenized_rows_without_a_boundary_say_what_is_missing(tmp_path: Path, tokenizer: Any) -> None:
    rows = Dataset.from_dict({"chosen_input_ids": [[1, 2]], "rejected_input_ids": [[1, 3]]})
    with pytest.raises(ValueError, match="chosen_labels, or prompt_input_ids"):
        run("ours", tmp_path, tiny_llama(), tokenizer, rows)


def test_streams_train_and_evaluate(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    stream = pairs.to_iterable_dataset()
    result = run("ours", tmp_path, tiny_llama(), tokenizer, stream, trainer={"eval_dataset": stream}, **EVAL)
    ordered = run("ours", tmp_path, tiny_llama(), tokenizer, pairs, train_sampling_strategy="sequential")
    assert losses(result) == pytest.approx(losses(ordered), rel=1e-6)
    assert "eval_rewards/margins" in result.logs[1]


@pytest.mark.parametrize("kind", [dict, DatasetDict])
def test_each_evaluation_set_has_its_own_prefix(kind: Any, tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    sets = kind({"first": pairs.select(range(3)), "second": pairs.select(range(3, 8))})
    result = run("ours", tmp_path, tiny_llama(), tokenizer, pairs, trainer={"eval_dataset": sets}, **EVAL)
    merged = {key: value for log in result.logs for key, value in log.items()}
    assert merged["eval_first_rewards/margins"] != merged["eval_second_rewards/margins"]
    assert "eval_rewards/margins" not in merged


def test_evaluation_weighs_pairs_not_batches(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    """Eight pairs in batches of three, three and two equal one batch of eight."""
    args = ORPOConfig(output_dir=str(tmp_path), **{**SETTINGS, "per_device_eval_batch_size": 3})
    trainer = ORPOTrainer(tiny_llama(), args, None, pairs, pairs, tokenizer)
    uneven = trainer.evaluate()
    trainer.args.per_device_eval_batch_size = 8
    whole = trainer.evaluate()
    for name in ("eval_rewards/chosen", "eval_rewards/margins", "eval_logps/rejected", "eval_log_odds_ratio"):
        assert uneven[name] == pytest.approx(whole[name], rel=1e-5), name


def test_predict_and_compute_metrics_get_every_pair(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    def accuracy(result: Any) -> dict[str, float]:
        assert result.predictions.shape == (8, 2)
        return {"own_accuracy": float((np.argmax(result.predictions, -1) == result.label_ids).mean())}

    args = ORPOConfig(output_dir=str(tmp_path), **{**SETTINGS, "per_device_eval_batch_size": 3})
    trainer = ORPOTrainer(
        tiny_llama(),
        args,
        train_dataset=pairs,
        eval_dataset=pairs,
        processing_class=tokenizer,
        compute_metrics=accuracy,
    )
    metrics = trainer.evaluate()
    assert metrics["eval_own_accuracy"] == pytest.approx(metrics["eval_rewards/accuracies"])
    predicted = trainer.predict(trainer.eval_dataset)
    margins = predicted.predictions[:, 0] - predicted.predictions[:, 1]
    assert predicted.metrics["test_rewards/margins"] == pytest.approx(margins.mean(), rel=1e-5)


def test_early_stopping_sees_the_preference_metrics(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    settings = {**SETTINGS, **EVAL, "max_steps": 20, "learning_rate": 0.0, "save_strategy": "steps", "save_steps": 1}
    args = ORPOConfig(
        output_dir=str(tmp_path), load_best_model_at_end=True, metric_for_best_model="eval_rewards/margins",
        greater_is_better=True, **settings,
    )  # fmt: skip
    trainer = ORPOTrainer(
        tiny_llama(), args, train_dataset=pairs, eval_dataset=pairs, processing_class=tokenizer,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=1)],
    )  # fmt: skip
    trainer.train()
    assert trainer.state.global_step == 2


def test_model_init_builds_the_model(tmp_path: Path, tokenizer: Any, pairs: Any, plain: Any) -> None:
    model = tiny_llama()
    for build in (lambda: copy.deepcopy(model), lambda trial: copy.deepcopy(model)):
        result = run("ours", tmp_path, None, tokenizer, pairs, trainer={"model_init": build})
        assert losses(result) == pytest.approx(plain, rel=1e-6)


def test_a_folder_may_stand_for_the_model_and_bring_its_tokenizer(
    tmp_path: Path, tokenizer: Any, pairs: Any, plain: Any
) -> None:
    folder = tmp_path / "model"
    tiny_llama().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for model_init_kwargs in (None, {"torch_dtype": "float32"}, {"dtype": torch.float32}):
        result = run("ours", tmp_path, str(folder), None, pairs, model_init_kwargs=model_init_kwargs)
        assert losses(result) == pytest.approx(plain, rel=1e-6)


def test_older_and_other_names_of_arguments_are_taken(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    args = ORPOConfig(output_dir=str(tmp_path), **SETTINGS)
    trainer = ORPOTrainer(model=tiny_llama(), arguments=args, train_dataset=pairs, tokenizer=tokenizer, ref_model=None)
    assert trainer.tokenizer is trainer.processing_class is tokenizer
    assert trainer.args is args


def test_contradictions_are_refused_by_name(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    args = ORPOConfig(output_dir=str(tmp_path), **SETTINGS)
    common = {"train_dataset": pairs, "processing_class": tokenizer}
    with pytest.raises(TypeError, match="processing_class and tokenizer are two names"):
        ORPOTrainer(tiny_llama(), args, tokenizer=tokenizer, **common)
    with pytest.raises(TypeError, match="args and arguments are two names"):
        ORPOTrainer(tiny_llama(), args, arguments=args, **common)
    with pytest.raises(TypeError, match="ORPO has no reference model"):
        ORPOTrainer(tiny_llama(), args, ref_model=tiny_llama(), **common)
    with pytest.raises(ValueError, match="both model and model_init"):
        ORPOTrainer(tiny_llama(), args, model_init=tiny_llama, **common)
    with pytest.raises(ValueError, match="neither model nor model_init"):
        ORPOTrainer(None, args, **common)
    with pytest.raises(ValueError, match="model_init_kwargs is given but the model already is"):
        ORPOTrainer(tiny_llama(), ORPOConfig(output_dir=str(tmp_path), model_init_kwargs={"dtype": "auto"}), **common)
    with pytest.raises(TypeError, match=r"peft_config must be a peft\.PeftConfig"):
        ORPOTrainer(tiny_llama(), args, peft_config={"r": 4}, **common)
    with pytest.raises(TypeError, match="args must be an ORPOConfig"):
        ORPOTrainer(tiny_llama(), {"output_dir": "x"}, **common)


def test_plain_training_arguments_and_none_are_completed(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)  # args=None writes to ./tmp_trainer, as transformers does
    args = TrainingArguments(output_dir=str(tmp_path), max_steps=1, report_to=[], use_cpu=True)
    trainer = ORPOTrainer(tiny_llama(), args, train_dataset=pairs, processing_class=tokenizer)
    trainer.train()
    assert trainer.beta == 0.1
    assert ORPOTrainer(tiny_llama(), train_dataset=pairs, processing_class=tokenizer).max_length == 1024


def test_a_processor_is_unwrapped(tmp_path: Path, tokenizer: Any, pairs: Any, plain: Any) -> None:
    processor = SimpleNamespace(tokenizer=tokenizer, save_pretrained=tokenizer.save_pretrained)
    assert losses(run("ours", tmp_path, tiny_llama(), processor, pairs)) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("missing", ["pad_token", "bos_token"])
def test_tokenizers_may_lack_padding_or_bos(missing: str, tmp_path: Path, pairs: Any) -> None:
    result = run("ours", tmp_path, tiny_llama(), make_tokenizer(**{missing: None}), pairs)
    assert np.isfinite(losses(result)).all()


def test_padding_does_not_change_the_numbers(tmp_path: Path, tokenizer: Any, pairs: Any, plain: Any) -> None:
    fixed = run("ours", tmp_path, tiny_llama(), tokenizer, pairs, padding="max_length", packing="never")
    assert losses(fixed) == pytest.approx(plain, rel=1e-5)


def test_a_collator_of_ones_own_is_used(tmp_path: Path, tokenizer: Any, pairs: Any, plain: Any) -> None:
    seen = []

    class Watching(PreferenceCollator):
        def __call__(self, features: Any) -> Any:
            seen.append(len(features))
            return super().__call__(features)

    collator = Watching(pad_token_id=0)
    result = run(
        "ours", tmp_path, tiny_llama(), tokenizer, pairs,
        trainer={"data_collator": collator}, remove_unused_columns=False,
    )  # fmt: skip
    assert losses(result) == pytest.approx(plain, rel=1e-6)
    assert set(seen) == {2}


def test_lengths_group_pairs_of_like_size(tmp_path: Path, tokenizer: Any) -> None:
    data = Dataset.from_dict({key: values * 4 for key, values in PAIRS.items()})
    args = ORPOConfig(output_dir=str(tmp_path), group_by_length=True, **SETTINGS)
    trainer = ORPOTrainer(tiny_llama(), args, train_dataset=data, processing_class=tokenizer)
    spread = [max(ids) - min(ids) for ids in batch_lengths(trainer)]
    plain_args = ORPOConfig(output_dir=str(tmp_path), **SETTINGS)
    plain = ORPOTrainer(tiny_llama(), plain_args, train_dataset=data, processing_class=tokenizer)
    assert sum(spread) < sum(max(ids) - min(ids) for ids in batch_lengths(plain)) / 2


def batch_lengths(trainer: Any) -> list[list[int]]:
    return [
        [chosen + rejected for chosen, rejected, *_ in batch["pair_lengths"]]
        for batch in trainer.get_train_dataloader()
    ]


def test_the_report_counts_what_was_trimmed(tmp_path: Path, tokenizer: Any, pairs: Any, caplog: Any) -> None:
    run("ours", tmp_path, tiny_llama(), tokenizer, pairs)
    assert "orpo-compat read" not in caplog.text
    result = run("ours", tmp_path, tiny_llama(), tokenizer, pairs, max_length=20)
    assert caplog.text.count("orpo-compat read train: 8 rows") == 1
    lengths = [
        max(len(tokenizer(prompt + text)["input_ids"]) for text in texts) + 2
        for prompt, *texts in zip(*PAIRS.values(), strict=True)
    ]
    counts = result.trainer.data_report.counts["train"]
    assert counts["rows"] == 8
    assert counts["response_trimmed"] >= sum(length > 20 for length in lengths) - counts.get("rescued", 0)
    assert "response trimmed" in str(result.trainer.data_report)
