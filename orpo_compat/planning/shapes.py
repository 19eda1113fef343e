"""A decoder's shape: what decides how many weights it has and how much work a token is.

Read from a model's configuration or from the table of known shapes. Biases and position tables are left out: they
are under a hundredth of a per cent of the weights. Knows no lengths and no hardware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orpo_compat.errors import PlanError


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """Sizes of a causal decoder with (grouped) attention and a gated or plain MLP, dense or with experts."""

    name: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    gated: bool = True
    experts: int = 0
    """Experts of each layer's MLP; 0 for a dense one."""
    experts_per_token: int = 0

    @property
    def query_width(self) -> int:
        """Numbers of a token's queries, all heads together."""
        return self.heads * self.head_size

    @property
    def key_width(self) -> int:
        """Numbers of a token's keys; as many again are its values."""
        return self.kv_heads * self.head_size

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of the linear layers that one token passes in one layer of the model."""
        hidden, mlp = self.hidden, self.intermediate
        attention = (
            (hidden, self.query_width),
            (hidden, self.key_width),
            (hidden, self.key_width),
            (self.query_width, hidden),
        )
        up = ((hidden, mlp),) * (2 if self.gated else 1)
        router = ((hidden, self.experts),) if self.experts else ()
        return (*attention, *router, *(((*up, (mlp, hidden))) * max(1, self.experts_per_token)))

    @property
    def active_layer_weights(self) -> int:
        """Weights that one token is multiplied with in one layer."""
        return sum(inputs * outputs for inputs, outputs in self.linears)

    @property
    def layer_weights(self) -> int:
        """Weights of one layer, every expert counted, and its two norms."""
        idle = max(0, self.experts - self.experts_per_token)
        expert = self.hidden * self.intermediate * (3 if self.gated else 2)
        return self.active_layer_weights + idle * expert + 2 * self.hidden

    @property
    def embedding_weights(self) -> int:
        """Weights of the input embedding; the head has as many, the same ones if they are tied."""
        return self.vocabulary * self.hidden

    @property
    def weights(self) -> int:
        """All weights."""
        return self.layers * self.layer_weights + self.embedding_weights * (1 if self.tied else 2) + self.hidden

    def adapter_weights(self, rank: int) -> int:
        """Weights of a LoRA adapter on every linear layer but the head."""
        return self.layers * sum(rank * (inputs + outputs) for inputs, outputs in self.linears)


def _shape(name: str, sizes: str, *, tied: bool = False) -> ModelShape:
    layers, hidden, intermediate, heads, kv_heads, head_size, vocabulary = map(int, sizes.split())
    return ModelShape(
        name=name,
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        vocabulary=vocabulary,
        tied=tied,
    )


# layers, hidden, intermediate, heads, key/value heads, head size, vocabulary: from each model's config.json.
KNOWN = {
    "tiny": _shape("tiny", "2 64 176 4 2 16 259"),
    "135M": _shape("SmolLM-135M", "30 576 1536 9 3 64 49152", tied=True),
    "0.5B": _shape("Qwen2.5-0.5B", "24 896 4864 14 2 64 151936", tied=True),
    "1B": _shape("Llama-3.2-1B", "16 2048 8192 32 8 64 128256", tied=True),
    "1.5B": _shape("Qwen2.5-1.5B", "28 1536 8960 12 2 128 151936", tied=True),
    "3B": _shape("Llama-3.2-3B", "28 3072 8192 24 8 128 128256", tied=True),
    "7B": _shape("Mistral-7B", "32 4096 14336 32 8 128 32000"),
    "8B": _shape("Llama-3.1-8B", "32 4096 14336 32 8 128 128256"),
    "14B": _shape("Qwen2.5-14B", "48 5120 13824 40 8 128 152064"),
    "32B": _shape("Qwen2.5-32B", "64 5120 27648 40 8 128 152064"),
    "70B": _shape("Llama-3.1-70B", "80 8192 28672 64 8 128 128256"),
}


def known_shape(name: str) -> ModelShape | None:
    """Find a shape by its size or its model's name, whatever the case and the owner."""
    wanted = name.rsplit("/", 1)[-1].lower()
    for size, shape in KNOWN.items():
        if wanted in (size.lower(), shape.name.lower()):
            return shape
    return None


def shape_from_config(config: Mapping[str, Any], name: str) -> ModelShape:
    """Read a shape off a model's configuration, as transformers writes it.

    Raises:
        PlanError: an encoder-decoder, or a configuration without the usual sizes.
    """
    if config.get("is_encoder_decoder"):
        raise PlanError(
            f"{name} is an encoder-decoder: the plan knows decoders only.\n"
            "  Next: measure a short run with `orpo-compat train --max-steps 3`."
        )
    inner = config.get("text_config")
    if isinstance(inner, Mapping):
        config = {**config, **inner}
    missing = [key for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
               if not isinstance(config.get(key), int)]  # fmt: skip
    if missing:
        raise PlanError(
            f"the configuration of {name} has no {', '.join(missing)}: its shape is not one the plan knows.\n"
            f"  Next: give the nearest known shape instead: {', '.join(KNOWN)}."
        )
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    experts = next((config[key] for key in ("num_local_experts", "num_experts", "n_routed_experts")
                    if config.get(key)), 0)  # fmt: skip
    per_expert = config.get("moe_intermediate_size") if experts else None
    return ModelShape(
        name=name,
        layers=config["num_hidden_layers"],
        hidden=hidden,
        intermediate=per_expert or config.get("intermediate_size") or config.get("n_inner") or 4 * hidden,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_size=config.get("head_dim") or hidden // heads,
        vocabulary=config["vocab_size"],
        tied=bool(config.get("tie_word_embeddings", True)),
        gated=_is_gated(config),
        experts=experts,
        experts_per_token=config.get("num_experts_per_tok") or (1 if experts else 0),
    )


def _is_gated(config: Mapping[str, Any]) -> bool:
    """Whether the MLP multiplies two projections; the older families have one."""
    return config.get("model_type") not in ("gpt2", "gpt_neo", "gpt_neox", "opt", "phi", "bloom", "gptj", "starcoder2")
