"""Whether the comparison at the start passes right models and catches wrong ones, and what the trainer then does."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from datasets import Dataset
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from orpo_compat import ORPOConfig, ORPOTrainer, attention, head, pair_attention
from orpo_compat.errors import PackingRefused
from orpo_compat.packed_steps import PADDED_HOOKS
from orpo_compat.packing import PairLengths, Segment
from orpo_compat.recompute import is_selective
from orpo_compat.self_check import check_batch, open_packed_path
from orpo_compat.tiny_model import tiny_model, tiny_tokenizer

ROWS = [
    {"prompt": "What is a hen?", "chosen": "A bird that lays eggs.", "rejected": "A kind of fish."},
    {"prompt": "Say hello.", "chosen": "Hello there!", "rejected": "No."},
    {"prompt": "Two and two?", "chosen": "Four.", "rejected": "Twenty-two, most likely."},
    {"prompt": "Name a colour.", "chosen": "Red.", "rejected": "Red herring."},
]


def trainer_of(folder: Path, kind: type[ORPOTrainer] = ORPOTrainer, model: Any = None, **settings: Any) -> ORPOTrainer:
    settings = {"bf16": False, **settings}
    args = ORPOConfig(
        output_dir=str(folder), use_cpu=True, report_to=[], max_steps=2, per_device_train_batch_size=2,
        logging_steps=1, save_strategy="no", disable_tqdm=True, learning_rate=1e-3, max_length=64, **settings,
    )  # fmt: skip
    model = tiny_model() if model is None else model
    return kind(model=model, args=args, train_dataset=Dataset.from_list(ROWS), processing_class=tiny_tokenizer())


def test_a_plain_model_trains_on_packed_rows(tmp_path: Path) -> None:
    assert trainer_of(tmp_path).active_path == "packed"


def not_gated() -> Any:
    """A model without a layer that could do with less."""
    config = transformers.GPT2Config(vocab_size=len(tiny_tokenizer()), n_embd=32, n_layer=2, n_head=4, n_positions=64)
    return transformers.GPT2LMHeadModel(config)


def test_never_means_never(tmp_path: Path) -> None:
    assert trainer_of(tmp_path, packing="never").active_path == "padded"


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("passes", ["auto", 1])
def test_both_paths_train_alike(tmp_path: Path, checkpointing: bool, passes: Any) -> None:
    logs, weights = [], []
    for packing in ("always", "never"):
        trainer = trainer_of(
            tmp_path, packing=packing, tokens_per_pass=passes, gradient_checkpointing=checkpointing,
            gradient_accumulation_steps=2,
        )  # fmt: skip
        trainer.train()
        logs.append([entry for entry in trainer.state.log_history if "loss" in entry])
        weights.append(trainer.model.state_dict())
    assert len(logs[0]) == len(logs[1]) == 2
    for ours, theirs in zip(*logs, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert ours[name] == pytest.approx(theirs[name], rel=2e-4, abs=2e-5), name
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=0, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("hook", PADDED_HOOKS)
def test_overriding_a_padded_hook_gets_the_padded_path(
    tmp_path: Path, hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    original = getattr(ORPOTrainer, hook)
    wrap = staticmethod if isinstance(vars(_owner(hook))[hook], staticmethod) else lambda f: f
    kind = type("Own", (ORPOTrainer,), {hook: wrap(lambda *args, **kwargs: original(*args, **kwargs))})
    with caplog.at_level(logging.WARNING):
        assert trainer_of(tmp_path, kind).active_path == "padded"
    lines = [record.message for record in caplog.records if "padded batches" in record.message]
    assert len(lines) == 1
    assert f"Own overrides {hook}" in lines[0]


def _owner(hook: str) -> type:
    return next(kind for kind in ORPOTrainer.__mro__ if hook in vars(kind))


def test_a_hook_assigned_to_the_instance_counts_as_overridden(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    trainer.get_batch_logps = ORPOTrainer.get_batch_logps  # type: ignore[method-assign]
    assert trainer.active_path == "padded"


def test_always_raises_where_auto_falls_back(tmp_path: Path) -> None:
    kind = type("Own", (ORPOTrainer,), {"concatenated_forward": lambda self, *args: None})
    with pytest.raises(PackingRefused, match="concatenated_forward"):
        _ = trainer_of(tmp_path, kind, packing="always").active_path


def test_the_model_gets_its_own_attention_back_after_training(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    trainer.train()
    assert trainer.model.config._attn_implementation == "sdpa"
    assert trainer.active_path == "packed"
    trainer.train()
    assert trainer.active_path == "packed"


def test_default_checkpointing_becomes_selective_on_packed_rows(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, model=not_gated())
    assert trainer.args.gradient_checkpointing
    trainer.train()
    assert is_selective(trainer.model) is True
    trainer.train()
    assert is_selective(trainer.model) is True


def test_lean_layers_need_no_recomputation(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    assert trainer.args.gradient_checkpointing
    trainer.train()
    assert is_selective(trainer.model) is None
    assert not any("forward" in vars(module) for module in trainer.model.model.modules())


def test_bfloat16_has_no_lean_layers_and_recomputes(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, bf16=True)
    trainer.train()
    assert is_selective(trainer.model) is True


def test_checkpointing_with_its_own_keywords_is_left_alone(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, gradient_checkpointing_kwargs={"use_reentrant": False})
    trainer.train()
    assert is_selective(trainer.model) is False


def test_without_checkpointing_whole_layers_are_never_recomputed(tmp_path: Path) -> None:
    seen = []

    class Own(ORPOTrainer):
        def odds_ratio_loss(self, chosen: Tensor, rejected: Tensor) -> Any:  # type: ignore[override]
            seen.append(is_selective(self.model))
            return super().odds_ratio_loss(chosen, rejected)

    trainer = trainer_of(tmp_path, Own, not_gated(), gradient_checkpointing=False)
    trainer.train()
    assert seen == [True, True]
    assert is_selective(trainer.model) is None


def test_an_own_odds_term_still_trains_packed_and_sees_the_whole_batch(tmp_path: Path) -> None:
    class Own(ORPOTrainer):
        sizes: list[int] = []  # noqa: RUF012

        def odds_ratio_loss(self, chosen: Tensor, rejected: Tensor) -> Any:  # type: ignore[override]
            self.sizes.append(len(chosen))
            return super().odds_ratio_loss(chosen, rejected)

    trainer = trainer_of(tmp_path, Own, tokens_per_pass=1)
    trainer.train()
    assert trainer.active_path == "packed"
    assert Own.sizes == [2, 2]


def build(config: str, **shape: Any) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(getattr(transformers, config)(vocab_size=64, **shape)).float()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return model


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
}
UNSERVED = {
    "alibi": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}, "differ"),
    "recurrent": ("MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2}, "differ"),
    "local attention without a keyword": (
        "GPTNeoConfig",
        {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
        "differ",
    ),
    "chunked": (
        "Llama4TextConfig",
        SMALL | {"attention_chunk_size": 6, "num_local_experts": 2, "intermediate_size_mlp": 32, "head_dim": 8},
        "chunked",
    ),
    "sinks": ("GptOssConfig", SMALL | {"num_local_experts": 4, "head_dim": 8}, "sinks"),
}


@pytest.mark.parametrize("name", UNSERVED)
def test_a_model_that_packed_rows_cannot_serve_falls_back(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, shape, reason = UNSERVED[name]
    model = build(config, **shape)
    before = model.config._attn_implementation
    trainer = trainer_of(tmp_path, model=model, gradient_checkpointing=False)
    with caplog.at_level(logging.WARNING):
        assert trainer.active_path == "padded"
    (line,) = [record.message for record in caplog.records if "padded batches" in record.message]
    assert reason in line
    assert model.config._attn_implementation == before


def test_a_router_with_an_auxiliary_loss_falls_back(tmp_path: Path) -> None:
    shape = SMALL | {"num_local_experts": 2, "output_router_logits": True}
    assert trainer_of(tmp_path, model=build("MixtralConfig", **shape)).active_path == "padded"


def leak_between_branches(pair: Segment) -> Segment:
    return Segment(pair.start, pair.shared, pair.chosen + pair.rejected, 0)


def forget_the_prompt(pair: Segment) -> Segment:
    return Segment(pair.start, pair.shared, pair.chosen, pair.rejected)


def check(model: Any, **settings: Any) -> Any:
    from orpo_compat.normalization import nll_token_count
    from orpo_compat.padded import PaddedHooks
    from orpo_compat.terms import PairTerms

    hooks: Any = PaddedHooks()
    hooks.is_encoder_decoder, hooks.label_pad_token_id, hooks.padding_value = False, -100, 0
    hooks.aux_loss_enabled, hooks.args = False, SimpleNamespace(nll_scope="prompt_and_response")
    hooks.accelerator = SimpleNamespace(device=torch.device("cpu"))

    def padded(model: nn.Module, batch: Any) -> PairTerms:
        chosen, rejected, _, _, nll = hooks.concatenated_forward(model, batch)
        count = nll_token_count(batch, "prompt_and_response")
        return PairTerms(chosen, rejected, nll * count, count, torch.zeros(()), torch.zeros(()))

    return open_packed_path(model, padded, **settings)


@pytest.mark.parametrize("in_one_operator", [True, False])
def test_chosen_leaking_into_rejected_is_caught(monkeypatch: pytest.MonkeyPatch, in_one_operator: bool) -> None:
    honest = attention.packed_attention

    def leaky(*args: Any, packed_segments: Any, **rest: Any) -> Tensor:
        return honest(*args, packed_segments=tuple(map(leak_between_branches, packed_segments)), **rest)

    if not in_one_operator:
        monkeypatch.setattr(pair_attention, "serves", lambda *_: False)
    check(tiny_model())
    monkeypatch.setattr(attention, "packed_attention", leaky)
    with pytest.raises(PackingRefused, match="log-probabilities differ"):
        check(tiny_model())


def test_an_ignored_window_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("MistralConfig", **SMALL, sliding_window=5)
    check(model)
    honest = attention._Rule
    monkeypatch.setattr(attention, "_Rule", lambda scaling, dropout, _window, cap: honest(scaling, dropout, None, cap))
    with pytest.raises(PackingRefused, match="log-probabilities differ"):
        check(build("MistralConfig", **SMALL, sliding_window=5))


def test_a_wrong_gradient_is_caught_although_the_values_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Tensor:
            return 2.0 * grads[0]

    honest = attention.packed_attention
    monkeypatch.setattr(
        attention,
        "packed_attention",
        lambda module, q, k, *rest, **how: honest(module, q, Doubled.apply(k), *rest, **how),
    )
    with pytest.raises(PackingRefused, match="gradients"):
        check(tiny_model())


def test_a_head_that_misses_a_block_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = head._blocks
    monkeypatch.setattr(head, "_NARROWEST_BLOCK", 64)
    monkeypatch.setitem(head._BLOCK_ELEMENTS, "cpu", 1)
    check(tiny_model())
    monkeypatch.setattr(head, "_blocks", lambda *args: list(honest(*args))[:-1])
    with pytest.raises(PackingRefused, match="log-probabilities differ"):
        check(tiny_model())


def test_the_check_leaves_no_trace_on_the_model() -> None:
    model = tiny_model().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    _, take_off = check(model)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    take_off()
    assert model.config._attn_implementation == "sdpa"
    assert "forward" not in vars(model.get_output_embeddings())


def test_the_checks_pairs_outgrow_a_short_window() -> None:
    model = build("MistralConfig", **SMALL, sliding_window=20)
    batch = check_batch(model, torch.device("cpu"))
    assert max(PairLengths(*sizes, shared=0).chosen for sizes in batch["pair_lengths"]) > 20
    assert int(batch["chosen_input_ids"].max()) < 64
