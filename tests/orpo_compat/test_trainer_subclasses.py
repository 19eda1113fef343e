"""Subclasses in the shapes real code uses: each must train, and its override must have had its effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import TrainerCallback

from orpo_compat import ORPOConfig, ORPOTrainer
from tests.conftest import tiny_llama
from tests.orpo_compat.runs import SETTINGS, Recorder


def build(cls: Any, folder: Path, tokenizer: Any, data: Any, *leading: Any, **changes: Any) -> tuple[Any, Recorder]:
    recorder = Recorder()
    parts = {key: changes.pop(key) for key in ("data_collator", "metrics_fn", "eval_dataset") if key in changes}
    trainer = cls(
        *leading,
        model=tiny_llama(),
        args=ORPOConfig(output_dir=str(folder), **{**SETTINGS, **changes}),
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[recorder],
        **parts,
    )
    return trainer, recorder


def train(cls: Any, folder: Path, tokenizer: Any, data: Any, *leading: Any, **changes: Any) -> list[dict[str, float]]:
    trainer, recorder = build(cls, folder, tokenizer, data, *leading, **changes)
    trainer.train()
    return recorder.logs


def test_a_beta_that_moves_with_the_state_moves_the_rewards(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    class Scheduled(ORPOTrainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: Any = False, num_items_in_batch: Any = None
        ) -> Any:
            self.beta = 0.05 + 0.25 * self.state.global_step / self.state.max_steps
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    logs = train(Scheduled, tmp_path, tokenizer, pairs)
    betas = [log["rewards/chosen"] / log["logps/chosen"] for log in logs[:3]]
    assert betas == pytest.approx([0.05, 0.05 + 0.25 / 3, 0.05 + 0.5 / 3], rel=1e-5)


def test_metrics_added_to_the_outputs_are_logged(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    class Metrics(ORPOTrainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: Any = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, metrics = super().compute_loss(model, inputs, return_outputs=True)
            metrics["reward_accuracy"] = (metrics["chosen_rewards"] > metrics["rejected_rewards"]).float().mean()
            return (loss, metrics) if return_outputs else loss

    for log in train(Metrics, tmp_path, tokenizer, pairs)[:3]:
        assert log["reward_accuracy"] == log["rewards/accuracies"]


def test_get_batch_loss_metrics_may_mask_rows_by_a_column(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    """Rows with weight 0 must not count: a run on them equals a run where they never were."""

    class Masked(ORPOTrainer):
        def get_batch_loss_metrics(self, model: Any, batch: Any, train_eval: Any = "train") -> Any:
            chosen, rejected, _, _, nll = self.concatenated_forward(model, batch)[:5]
            losses, chosen_rewards, _, ratio, _ = self.odds_ratio_loss(chosen, rejected)
            keep = torch.tensor(batch["keep"], dtype=torch.float32)
            loss = nll - (losses * keep).sum() / keep.sum().clamp(min=1)
            return loss, {"rewards/chosen": chosen_rewards.mean().item(), "log_odds_ratio": ratio.item()}

    marked = pairs.add_column("keep", [1] * len(pairs))
    plain = train(ORPOTrainer, tmp_path, tokenizer, pairs, packing="never")
    masked = train(Masked, tmp_path, tokenizer, marked)
    assert [log["loss"] for log in masked[:3]] == pytest.approx([log["loss"] for log in plain[:3]], rel=1e-5)
    half = train(Masked, tmp_path, tokenizer, pairs.add_column("keep", [1, 0] * 4))
    assert half[0]["loss"] != pytest.approx(plain[0]["loss"], rel=1e-6)


def test_odds_ratio_loss_may_be_replaced_and_take_more_arguments(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    class Margin(ORPOTrainer):
        def odds_ratio_loss(
            self, policy_chosen_logps: Tensor, policy_rejected_logps: Tensor, margin: float = 0.0
        ) -> Any:
            losses, *rest = super().odds_ratio_loss(policy_chosen_logps, policy_rejected_logps)
            return (losses * 0 - margin - 1.0, *rest)

    for log in train(Margin, tmp_path, tokenizer, pairs)[:3]:
        assert log["loss"] == pytest.approx(log["nll_loss"] + 1.0, rel=1e-5)


def test_concatenated_forward_may_be_replaced_with_label_pad_token_id_spelled_out(
    tmp_path: Path, tokenizer: Any, pairs: Any
) -> None:
    """The shape of code written before TRL 0.28: both helpers take label_pad_token_id."""

    class Older(ORPOTrainer):
        def concatenated_forward(self, model: Any, batch: Any) -> Any:
            inputs = self.concatenated_inputs(
                batch,
                is_encoder_decoder=self.is_encoder_decoder,
                label_pad_token_id=self.label_pad_token_id,
                padding_value=self.padding_value,
                device=self.accelerator.device,
            )
            half = batch["chosen_labels"].shape[0]
            logits = model(
                inputs["concatenated_input_ids"], attention_mask=inputs["concatenated_attention_mask"], use_cache=False
            ).logits
            logps = self.get_batch_logps(
                logits, inputs["concatenated_labels"], average_log_prob=True,
                is_encoder_decoder=self.is_encoder_decoder, label_pad_token_id=self.label_pad_token_id,
            )  # fmt: skip
            return logps[:half], logps[half:], logits[:half], logits[half:], -logps[:half].mean()

    for log in train(Older, tmp_path, tokenizer, pairs)[:3]:
        assert log["nll_loss"] == pytest.approx(-log["logps/chosen"], rel=1e-4)


def test_tokenize_row_may_be_replaced(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    class Shouting(ORPOTrainer):
        def tokenize_row(self, feature: Any, model: Any = None) -> Any:
            row = super().tokenize_row({**feature, "prompt": feature["prompt"].upper()}, model)
            return {**row, "shouted": True}

    trainer, _ = build(Shouting, tmp_path, tokenizer, pairs)
    row = trainer.train_dataset[0]
    assert row["shouted"]
    assert tokenizer.decode(row["prompt_input_ids"]) == "<s>WHAT IS THE CAPITAL OF JAPAN?"
    trainer.train()


def test_build_tokenized_answer_may_be_replaced(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    calls = []

    class Watching(ORPOTrainer):
        def build_tokenized_answer(self, prompt: str, answer: str) -> Any:
            calls.append(answer)
            return super().build_tokenized_answer(prompt, answer)

    trainer, _ = build(Watching, tmp_path, tokenizer, pairs)
    plain, _ = build(ORPOTrainer, tmp_path, tokenizer, pairs)
    assert sorted(set(calls)) == sorted({*pairs["chosen"], *pairs["rejected"]})
    columns = [name for name in plain.train_dataset.column_names if name.endswith(("ids", "labels"))]
    assert trainer.train_dataset.select_columns(columns)[:] == plain.train_dataset.select_columns(columns)[:]


def test_init_may_take_leading_parameters_of_its_own(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    class Active(ORPOTrainer):
        def __init__(self, temperature: float, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.temperature = temperature

    trainer, _ = build(Active, tmp_path, tokenizer, pairs, 0.5)
    trainer.train()
    assert trainer.temperature == 0.5


@pytest.mark.parametrize("before", [True, False])
def test_a_mixin_may_stand_before_or_after(before: bool, tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    class Counting:
        seen = 0

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            type(self).seen += 1
            return super().training_step(*args, **kwargs)  # type: ignore[misc]

    class Before(Counting, ORPOTrainer):
        pass

    class After(ORPOTrainer, Counting):
        pass

    cls = Before if before else After
    train(cls, tmp_path, tokenizer, pairs)
    assert cls.seen == (3 if before else 0)


def test_log_may_have_the_older_arity(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    class Older(ORPOTrainer):
        def log(self, logs: Any, *rest: Any) -> None:  # type: ignore[override]
            logs["mark"] = 1.0
            super().log(logs)

    assert all(log["mark"] == 1.0 for log in train(Older, tmp_path, tokenizer, pairs))


def test_deleting_init_from_the_class_falls_back_to_the_next_one() -> None:
    """ms-swift does this to TRL's class; it needs __init__ in the class body."""

    class Copy(ORPOTrainer):
        __init__ = ORPOTrainer.__init__

    del Copy.__init__
    assert "__init__" in vars(ORPOTrainer)


def test_helpers_take_their_arguments_in_both_historical_orders() -> None:
    batch = {
        f"{side}_{kind}": torch.ones(1, width, dtype=torch.long)
        for side, width in (("chosen", 3), ("rejected", 2))
        for kind in ("input_ids", "attention_mask", "labels")
    }
    older = ORPOTrainer.concatenated_inputs(batch, False, -7, 9, torch.device("cpu"))
    newer = ORPOTrainer.concatenated_inputs(batch, False, 9, torch.device("cpu"))
    assert (
        older["concatenated_input_ids"].tolist() == newer["concatenated_input_ids"].tolist() == [[1, 1, 1], [1, 1, 9]]
    )
    assert older["concatenated_labels"].tolist() == [[1, 1, 1], [1, 1, -7]]
    assert newer["concatenated_labels"].tolist() == [[1, 1, 1], [1, 1, -100]]
    logits = torch.zeros(1, 3, 4)
    labels = torch.tensor([[-100, 1, -7]])
    by_hand = -torch.tensor(4.0).log()
    assert ORPOTrainer.get_batch_logps(logits, labels, True, -7, False)[0] == pytest.approx(by_hand.item())
    assert ORPOTrainer.get_batch_logps(logits[:, :2], labels[:, :2], False, False)[0] == pytest.approx(by_hand.item())


def test_get_batch_samples_with_a_model_generates(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    trainer, _ = build(ORPOTrainer, tmp_path, tokenizer, pairs, max_length=40)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])
    texts = trainer.get_batch_samples(trainer.model, batch)
    assert [text.startswith(prompt) for text, prompt in zip(texts, pairs["prompt"], strict=False)] == [True, True]


def test_metrics_fn_sees_every_batch_and_is_logged(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    def spread(outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"reward_spread": (outputs["chosen_rewards"] - outputs["rejected_rewards"]).abs().max()}

    for log in train(ORPOTrainer, tmp_path, tokenizer, pairs, metrics_fn=spread)[:3]:
        assert log["reward_spread"] >= abs(log["rewards/margins"]) - 1e-6


def test_a_callback_sees_the_preference_metrics(tmp_path: Path, tokenizer: Any, pairs: Any) -> None:
    seen: list[float] = []

    class Margin(TrainerCallback):
        def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
            seen.append(logs.get("rewards/margins"))

    trainer, _ = build(ORPOTrainer, tmp_path, tokenizer, pairs)
    trainer.add_callback(Margin())
    trainer.train()
    assert len([value for value in seen if value is not None]) == 3
