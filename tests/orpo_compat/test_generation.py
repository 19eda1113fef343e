"""Oracles: the model itself asked greedily, the run without generation, and the trackers' own files and calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import IterableDataset
from transformers import T5Config, T5ForConditionalGeneration

from orpo_compat import ORPOConfig, ORPOTrainer
from orpo_compat.generation import COLUMNS, Sample, choose_rows, evaluating, markdown, own_noise, to_tensorboard
from tests.conftest import tiny_llama


class Greedy(ORPOTrainer):
    """Generates six tokens without sampling, through the hook that subclasses override."""

    def generate_from_model(self, model: Any, batch: Any) -> list[str]:
        assert not model.training
        ids = model.generate(
            input_ids=batch["prompt_input_ids"],
            attention_mask=batch["prompt_attention_mask"],
            max_new_tokens=6,
            do_sample=False,
        )
        texts: list[str] = self.processing_class.batch_decode(ids, skip_special_tokens=True)
        return texts


def build(folder: Path, tokenizer: Any, pairs: Any, cls: type[ORPOTrainer] = ORPOTrainer, **more: Any) -> ORPOTrainer:
    settings: dict[str, Any] = {
        "max_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "per_device_eval_batch_size": 3,
        "save_strategy": "no",
        "logging_steps": 1,
        "learning_rate": 1e-2,
        "report_to": "none",
        "bf16": False,
        "max_length": 64,
        "generate_during_eval": True,
        **more.pop("settings", {}),
    }
    model = more.pop("model", None) or tiny_llama()
    more.setdefault("eval_dataset", pairs)
    return cls(model, ORPOConfig(str(folder), **settings), train_dataset=pairs, processing_class=tokenizer, **more)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "generations.jsonl").read_text(encoding="utf-8").splitlines()]


def test_answers_are_written_at_every_evaluation_without_a_tracker(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    build(tmp_path, tokenizer, pairs).train()
    rows = lines(tmp_path)
    assert [row["step"] for row in rows] == [1, 1, 1, 2, 2, 2]
    assert [row["prompt"] for row in rows[:3]] == [row["prompt"] for row in rows[3:]]
    of_prompt = {pair["prompt"]: pair for pair in pairs}
    for row in rows:
        assert row["evaluation"] == "eval"
        pair = of_prompt[row["prompt"]]
        assert (row["chosen"], row["rejected"]) == (pair["chosen"], pair["rejected"])


def test_the_response_is_what_the_model_says_after_the_prompt(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    trainer = build(tmp_path, tokenizer, pairs, cls=Greedy)
    trainer.evaluate()
    for row in lines(tmp_path):
        ids = tokenizer(row["prompt"], return_tensors="pt", add_special_tokens=False)["input_ids"]
        ids = torch.cat([torch.tensor([[tokenizer.bos_token_id]]), ids], dim=1)
        said = trainer.model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :]
        assert row["response"] == tokenizer.decode(said, skip_special_tokens=True)


def test_training_is_the_same_with_generation_on_or_off(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    weights = []
    for wanted in (False, True):
        settings = {"generate_during_eval": wanted, "disable_dropout": False}
        trainer = build(
            tmp_path / str(wanted), tokenizer, pairs, settings=settings, model=tiny_llama(attention_dropout=0.1)
        )
        trainer.train()
        weights.append({name: tensor.clone() for name, tensor in trainer.model.state_dict().items()})
    without, with_it = weights
    assert all(torch.equal(without[name], with_it[name]) for name in without)
    assert not (tmp_path / "False" / "generations.jsonl").exists()


def test_sampling_noise_is_the_runs_seed_and_leaves_the_generators_alone() -> None:
    draws = []
    for elsewhere in (1, 2):
        torch.manual_seed(elsewhere)
        before = torch.get_rng_state()
        with own_noise(42, torch.device("cpu")):
            draws.append(torch.rand(3))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*draws)


@pytest.mark.parametrize("mode", [True, False])
def test_a_model_goes_back_to_the_mode_it_was_in(mode: bool) -> None:
    model = torch.nn.Dropout().train(mode)
    with evaluating(model):
        assert model.training is False
    assert model.training is mode


@pytest.mark.parametrize(("length", "count", "expected"), [(10, 4, 4), (3, 8, 3), (0, 2, 0)])
def test_no_more_rows_are_drawn_than_there_are(length: int, count: int, expected: int) -> None:
    rows = choose_rows(list(range(length)), count, seed=5)
    assert len(set(rows)) == expected
    assert rows == choose_rows(list(range(length)), count, seed=5)


def test_a_stream_gives_its_first_rows() -> None:
    assert choose_rows(iter(range(100)), 3, seed=0) == [0, 1, 2]


def test_streams_and_several_evaluation_sets_work(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    stream = IterableDataset.from_generator(lambda: iter(pairs.to_list()))
    build(tmp_path, tokenizer, pairs, eval_dataset={"seen": pairs, "stream": stream}).evaluate()
    assert [row["evaluation"] for row in lines(tmp_path)] == ["eval_seen"] * 3 + ["eval_stream"] * 3


def test_rows_that_came_as_token_ids_show_their_decoded_prompt(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    ready = build(tmp_path / "first", tokenizer, pairs).eval_dataset.remove_columns(["prompt", "chosen", "rejected"])
    build(tmp_path / "second", tokenizer, pairs, eval_dataset=ready).evaluate()
    rows = lines(tmp_path / "second")
    assert {row["prompt"] for row in rows} <= set(pairs["prompt"])
    assert {row["chosen"] for row in rows} == {""}


def test_an_encoder_decoder_answers_without_repeating_its_prompt(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0)
    )
    build(tmp_path, tokenizer, pairs, model=model, settings={"max_completion_length": 16}).evaluate()
    assert len(lines(tmp_path)) == 3


def test_a_collator_without_prompts_costs_the_answers_and_not_the_evaluation(
    tmp_path: Path, tokenizer: Any, pairs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = build(tmp_path, tokenizer, pairs)
    inner = trainer.data_collator

    def promptless(rows: Any) -> dict[str, Any]:
        return {name: held for name, held in inner(rows).items() if not name.startswith("prompt")}

    trainer.data_collator = promptless
    assert "eval_loss" in trainer.evaluate()
    assert "prompt_input_ids" in caplog.text
    assert not (tmp_path / "generations.jsonl").exists()


def test_a_wandb_run_gets_the_table_offline(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    build(tmp_path, tokenizer, pairs, settings={"report_to": "wandb"}).train()
    wandb.finish()
    tables = [json.loads(file.read_text()) for file in tmp_path.glob("wandb/offline-run-*/files/media/table/*.json")]
    assert [table["columns"] for table in tables] == [list(COLUMNS)] * 2
    assert sorted(row for table in tables for row in table["data"]) == sorted(
        [row["step"], row["prompt"], row["response"], row["chosen"], row["rejected"]] for row in lines(tmp_path)
    )


def test_a_tensorboard_file_gets_the_table(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    build(tmp_path, tokenizer, pairs, settings={"report_to": "tensorboard"}).train()
    (folder,) = (tmp_path / "runs").iterdir()
    read = events.EventAccumulator(str(folder), size_guidance={"tensors": 0})
    read.Reload()
    written = read.Tensors("game_log/text_summary")
    assert [event.step for event in written] == [1, 2]
    assert b"| Step | Prompt | Policy |" in written[0].tensor_proto.string_val[0]


class Fake:
    """Keeps the calls that a tracker's own library would get."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **named: self.calls.append((name, args, named))


def test_each_tracker_is_called_with_the_samples(
    tmp_path: Path, tokenizer: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    comet, wandb = Fake(), Fake()
    monkeypatch.setitem(sys.modules, "comet_ml", SimpleNamespace(get_running_experiment=lambda: comet))
    named = SimpleNamespace(run=object(), Table=lambda columns, data: (columns, data), log=wandb.log)
    monkeypatch.setitem(sys.modules, "wandb", named)
    trainer = build(tmp_path, tokenizer, pairs)
    trainer.args.report_to = ["wandb", "comet_ml", "tensorboard", "mlflow"]
    trainer.evaluate()
    cells = [[row["step"], row["prompt"], row["response"], row["chosen"], row["rejected"]] for row in lines(tmp_path)]
    assert comet.calls == [("log_table", ("game_log.csv",), {"tabular_data": cells, "headers": list(COLUMNS)})]
    assert wandb.calls == [("log", ({"game_log": (list(COLUMNS), cells), "train/global_step": 0},), {})]


def test_a_table_survives_bars_and_line_ends() -> None:
    sample = Sample(1, 0.5, "eval", "a|b", "one\ntwo")
    assert markdown([sample]).splitlines()[-1] == "| 1 | a\\|b | one<br>two |  |  |"
    writer = Fake()
    trainer = SimpleNamespace(
        callback_handler=SimpleNamespace(
            callbacks=[SimpleNamespace(tb_writer=None), SimpleNamespace(tb_writer=writer)]
        ),
        state=SimpleNamespace(global_step=7),
    )
    to_tensorboard([sample], trainer)
    assert writer.calls == [("add_text", ("game_log", markdown([sample]), 7), {})]
