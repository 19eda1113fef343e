"""Packed against padded, on small models of every family that packed rows serve: terms and every gradient.

The oracle is the trainer's padded path, which the parity tests hold to TRL.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from orpo_compat.attention import install
from orpo_compat.collator import PreferenceCollator
from orpo_compat.head_call import HeadCall, probe_rule
from orpo_compat.loss import odds_terms
from orpo_compat.normalization import micro_batch_loss, nll_token_count
from orpo_compat.packed_path import PackedPath, packed_terms
from orpo_compat.padded import PaddedHooks, mean_logit
from orpo_compat.terms import PairTerms

VOCABULARY = 61
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2_SHAPE = {
    "vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
OPT_SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 128, "word_embed_proj_dim": 32, "dropout": 0.0, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
# Every window here is shorter than the sequences below.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SHAPE),
    "llama-tied": ("LlamaConfig", SHAPE | {"tie_word_embeddings": True}),
    "llama-eager": ("LlamaConfig", SHAPE | {"attn_implementation": "eager"}),
    "qwen2": ("Qwen2Config", SHAPE),
    "qwen2-window": ("Qwen2Config", SHAPE | {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen3": ("Qwen3Config", SHAPE | {"head_dim": 16}),
    "mistral": ("MistralConfig", SHAPE | {"sliding_window": 5}),
    "gemma2": (
        "Gemma2Config",
        SHAPE
        | {"sliding_window": 6, "head_dim": 8, "query_pre_attn_scalar": 12}
        | {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0},
    ),
    "gemma3": ("Gemma3TextConfig", SHAPE | {"sliding_window": 6, "head_dim": 8, "query_pre_attn_scalar": 12}),
    "gpt2": ("GPT2Config", GPT2_SHAPE),
    "phi": ("PhiConfig", SHAPE),
    "phi3": ("Phi3Config", SHAPE | {"sliding_window": 7}),
    "cohere": ("CohereConfig", SHAPE | {"logit_scale": 0.25}),
    "cohere2": ("Cohere2Config", SHAPE | {"sliding_window": 6}),
    "granite": ("GraniteConfig", SHAPE | {"logits_scaling": 4.0, "attention_multiplier": 0.3}),
    "olmo2": ("Olmo2Config", SHAPE),
    "gpt-neox": ("GPTNeoXConfig", SHAPE),
    "opt": ("OPTConfig", OPT_SHAPE),
    "mixtral": ("MixtralConfig", SHAPE | {"num_local_experts": 4}),
    "qwen3-moe": (
        "Qwen3MoeConfig",
        SHAPE | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "head_dim": 8},
    ),
}


def build(family: str) -> Any:
    name, shape = FAMILIES[family]
    config = getattr(transformers, name)(**shape)
    torch.manual_seed(0)
    # sdpa knows no soft cap, and older releases of transformers take it for Gemma 2 all the same.
    attention = "eager" if family == "gemma2" else config._attn_implementation
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).float()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model.train()


def side(prompt: list[int], response: list[int]) -> dict[str, list[int]]:
    ids = prompt + response
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [-100] * len(prompt) + response}


def row(prompt: list[int], chosen: list[int], rejected: list[int], *, other: list[int] | None = None) -> dict[str, Any]:
    sides = {"chosen": side(prompt, chosen), "rejected": side(prompt if other is None else other, rejected)}
    columns: dict[str, Any] = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
    return columns | {f"{name}_{key}": value for name, part in sides.items() for key, value in part.items()}


def tokens(count: int, salt: int) -> list[int]:
    return [3 + (7 * i * i + 11 * i + 5 * salt) % (VOCABULARY - 3) for i in range(count)]


def batch_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return PreferenceCollator()(rows)


@cache
def usual_rows() -> tuple[dict[str, Any], ...]:
    """Prompts shared wholly, in all but the last token, together with the response's start, and not at all."""
    return (
        row(tokens(9, 1), tokens(11, 2), tokens(5, 3)),
        row(tokens(4, 4), tokens(3, 5), tokens(8, 6), other=[*tokens(4, 4)[:-1], 60]),
        row(tokens(6, 7), tokens(4, 8) + [9, 10], tokens(4, 8) + [11]),
        row([5, 6], tokens(1, 9), tokens(2, 10), other=[7, 8]),
    )


class Padded(PaddedHooks):
    """The trainer's padded hooks without a trainer."""

    beta = 0.1
    is_encoder_decoder = False
    label_pad_token_id = -100
    padding_value = 0
    aux_loss_enabled = False
    accelerator = SimpleNamespace(device=torch.device("cpu"))

    def __init__(self, scope: str) -> None:
        self.args = SimpleNamespace(nll_scope=scope)

    def terms(self, model: nn.Module, batch: dict[str, Any]) -> PairTerms:
        chosen, rejected, chosen_logits, rejected_logits, nll = self.concatenated_forward(model, batch)
        count = nll_token_count(batch, self.args.nll_scope)
        means = [mean_logit(chosen_logits, batch, "chosen"), mean_logit(rejected_logits, batch, "rejected")]
        return PairTerms(chosen, rejected, nll * count, count, *means)


def loss_of(terms: PairTerms) -> Tensor:
    log_sigmoid_B = odds_terms(terms.chosen_logps_B, terms.rejected_logps_B).log_sigmoid_B
    return micro_batch_loss(terms, 0.5 * log_sigmoid_B, 0.0)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def equal(
    model: Any,
    batch: dict[str, Any],
    *,
    scope: str = "prompt_and_response",
    tokens_per_pass: int | None = None,
    early: bool = False,
    in_place: bool = False,
) -> None:
    """Hold both paths' terms and gradients together."""
    padded = Padded(scope).terms(model, batch)
    loss_of(padded).backward()
    expected = gradients(model)
    head = model.get_output_embeddings()
    rule = probe_rule(model, head, batch["chosen_input_ids"][:1, :2])
    remove = install(model)
    path = PackedPath(HeadCall(head, rule), model, nll_scope=scope, tokens_per_pass=tokens_per_pass)

    path.head_call.may_write_grad = in_place

    def backward(terms: PairTerms) -> None:
        loss_of(terms).backward()

    try:
        packed = packed_terms(path, model, batch, padded.nll_tokens, backward=backward if early else None)
        loss = loss_of(packed)
        loss.backward()
    finally:
        remove()
    for name in ("chosen_logps_B", "rejected_logps_B", "nll_sum", "chosen_logits_mean", "rejected_logits_mean"):
        torch.testing.assert_close(getattr(packed, name), getattr(padded, name), rtol=1e-5, atol=5e-6)
    torch.testing.assert_close(loss, loss_of(padded), rtol=1e-6, atol=1e-6)
    found = gradients(model)
    for name in expected.keys() | found.keys():
        ours, theirs = (side.get(name, torch.zeros(())) for side in (found, expected))
        torch.testing.assert_close(
            ours, theirs.expand_as(ours), rtol=1e-4, atol=2e-6, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_equals_padded_on(family: str) -> None:
    equal(build(family), batch_of(list(usual_rows())))


@pytest.mark.parametrize("tokens_per_pass", [1, 30])
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("family", ["llama", "llama-tied", "gemma3", "opt"])
def test_differentiating_group_by_group_adds_up(tokens_per_pass: int, in_place: bool, family: str) -> None:
    batch = batch_of(list(usual_rows()))
    equal(build(family), batch, tokens_per_pass=tokens_per_pass, early=True, in_place=in_place)


def test_a_watched_weight_gets_its_gradient_from_autograd() -> None:
    model, seen = build("llama-tied"), []
    model.lm_head.weight.register_hook(lambda grad: seen.append(grad.shape))
    equal(model, batch_of(list(usual_rows())), in_place=True)
    assert len(seen) == 2


def test_the_likelihood_of_the_response_alone_equals_too() -> None:
    equal(build("llama"), batch_of(list(usual_rows())), scope="response")
    equal(build("gemma2"), batch_of(list(usual_rows())), scope="response")


def test_labels_masked_inside_a_response_count_nowhere() -> None:
    rows = [dict(columns) for columns in usual_rows()]
    labels = list(rows[0]["chosen_labels"])
    labels[-3] = -100
    rows[0]["chosen_labels"] = labels
    equal(build("llama"), batch_of(rows))
    equal(build("llama"), batch_of(rows), scope="response")


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_layers_see_the_packed_backend(reentrant: bool) -> None:
    model = build("mistral")
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    model.enable_input_require_grads()
    equal(model, batch_of(list(usual_rows())), tokens_per_pass=30, early=True)


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["q_proj", "lm_head"]])
def test_adapters_equal_with_and_without_one_on_the_head(targets: list[str]) -> None:
    model = get_peft_model(build("llama"), LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    equal(model, batch_of(list(usual_rows())))


def test_a_head_saved_beside_an_adapter_equals_too() -> None:
    settings_ = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM")
    equal(get_peft_model(build("llama"), settings_), batch_of(list(usual_rows())))


text = st.lists(st.integers(3, 8), min_size=1, max_size=12)
property_models = st.sampled_from(["llama", "mistral", "gemma2"])


@st.composite
def pairs(draw: st.DrawFn) -> dict[str, Any]:
    prompt = draw(text)
    other = draw(st.sampled_from([prompt, [*prompt[:-1], 9], prompt[:-1] or [4], [10]]))
    return row(prompt, draw(text), draw(text), other=other)


@settings(deadline=None, max_examples=25)
@given(st.lists(pairs(), min_size=1, max_size=4), property_models, st.sampled_from([None, 1, 20]))
def test_any_batch_equals(rows: list[dict[str, Any]], family: str, tokens_per_pass: int | None) -> None:
    equal(build(family), batch_of(rows), tokens_per_pass=tokens_per_pass, early=tokens_per_pass is not None)


def test_only_the_needed_rows_reach_the_head() -> None:
    model, batch = build("llama"), batch_of(list(usual_rows()))
    head, seen = model.get_output_embeddings(), []
    install(model)
    call = HeadCall(head, probe_rule(model, head, batch["chosen_input_ids"][:1, :2]))
    path = PackedPath(call, model, tokens_per_pass=None)
    model.model.register_forward_hook(lambda _m, _a, out: seen.append(out.last_hidden_state.shape))
    packed_terms(path, model, batch, torch.tensor(1))
    unique = sum(len(unique_prefixes(columns)) for columns in usual_rows())
    assert seen == [(1, unique, 32)]


def unique_prefixes(columns: dict[str, Any]) -> set[tuple[int, ...]]:
    """Every distinct history of a pair: what has to be computed, and no more."""
    sides = (columns["chosen_input_ids"], columns["rejected_input_ids"])
    return {tuple(ids[: t + 1]) for ids in sides for t in range(len(ids))}
