"""The packed path proves itself: a few small pairs, packed and padded, before the first step.

Decides whether a model may be trained on packed rows, and says why not. It compares numbers rather than trusting a
list of model classes: log-probabilities, the likelihood and one gradient, against what the padded path gives and, where
rounding is coarse, against how far that path is from itself when the same pairs come one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from orpo_compat.attention import install
from orpo_compat.collator import PreferenceCollator
from orpo_compat.errors import PackingRefused
from orpo_compat.head_call import HeadCall, probe_rule
from orpo_compat.loss import IGNORE_INDEX
from orpo_compat.normalization import nll_token_count
from orpo_compat.packed_path import PackedPath, packed_terms
from orpo_compat.terms import PairTerms

PaddedTerms = Callable[[nn.Module, Mapping[str, Any]], PairTerms]

# Rounding of log-probabilities around 10 in the model's own arithmetic; the measured floor may allow more.
_SMALLEST_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
_FLOORS_ALLOWED = 10.0
# Windows longer than this are trusted to the keyword that names them: the check must stay small.
_LONGEST_WINDOW_TRIED = 256


def open_packed_path(
    model: nn.Module,
    padded_terms: PaddedTerms,
    *,
    called: nn.Module | None = None,
    check_gradient: bool = True,
    agree: Callable[[float], float] = float,
    **settings: Any,
) -> tuple[PackedPath, Callable[[], None]]:
    """Fit a model for packed rows and compare it with its padded self.

    Args:
        model: The model itself, without wrappers, on its device.
        padded_terms: Computes a padded batch's terms; the reference.
        called: What to call instead of the model: its wrapper, where only that gathers sharded weights.
        check_gradient: Whether parameters can be differentiated by themselves (not if they are sharded).
        agree: Makes one difference of the ranks' differences, so that all of them decide alike.
        settings: Passed on to ``PackedPath``.

    Returns:
        The path, and a function that takes the packed attention backend off the model again.

    Raises:
        PackingRefused: the model cannot be served; it is as it was. The message says why.
    """
    head = _head_of(model)
    runs = model if called is None else called
    device = next(model.parameters()).device
    batch = check_batch(model, device)
    with torch.set_grad_enabled(check_gradient), _plain_and_still(model):
        rule = _tried(lambda: probe_rule(runs, head, batch["chosen_input_ids"][:1]))
        expected = padded_terms(runs, batch)

        def floor() -> float:
            with torch.no_grad():
                alone = [padded_terms(runs, _one_pair(batch, i)) for i in range(len(batch["pair_lengths"]))]
            floors = float((_logps(expected) - torch.cat([_logps(terms) for terms in alone], dim=1)).abs().max())
            return agree(floors)

        remove = install(model)
        try:
            path = PackedPath(HeadCall(head, rule), model, **settings)
            nll_tokens = nll_token_count(batch, settings.get("nll_scope", "prompt_and_response"))
            packed = _tried(lambda: packed_terms(path, runs, batch, nll_tokens))
            _compare(model, expected, packed, floor, agree, check_gradient)
        except PackingRefused:
            remove()
            raise
    return path, remove


def _head_of(model: nn.Module) -> nn.Module:
    find = getattr(model, "get_output_embeddings", None)
    head = find() if callable(find) else None
    if not isinstance(head, nn.Module):
        raise PackingRefused(f"{type(model).__name__} has no output embedding to read log-probabilities from")
    return head


def _tried(attempt: Callable[[], Any]) -> Any:
    try:
        return attempt()
    except PackingRefused:
        raise
    except Exception as error:
        # Any failure of a model that was never made for this is an answer, not a crash.
        raise PackingRefused(f"a packed row stopped it with {type(error).__name__}: {str(error)[:200]}") from error


@contextmanager
def _plain_and_still(model: nn.Module) -> Iterator[None]:
    """Without dropout, and without the casting that a trainer wraps around the model's forward."""
    wrapped, was_training = model.__dict__.get("forward"), model.training
    if wrapped is not None and hasattr(model, "_original_forward"):
        setattr(model, "forward", model._original_forward)  # noqa: B010  # nn.Module types its attributes as tensors
    model.eval()
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.train()  # on a CPU its evaluation mode repacks the weights for a kernel without a gradient
    try:
        yield
    finally:
        model.train(was_training)
        if wrapped is not None:
            model.forward = wrapped


def check_batch(model: nn.Module, device: torch.device) -> dict[str, Any]:
    """Build two small pairs: one shares its prompt and the response's start, one all of its prompt but the last token.

    They are longer than the model's sliding window where that is short enough, and otherwise as short as can be: a
    large vocabulary makes every token dear.
    """
    config: Any = getattr(model, "config", None)
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    window = getattr(text_config, "sliding_window", None) or 0
    longest = (window if window <= _LONGEST_WINDOW_TRIED else 0) + 10
    vocabulary = int(getattr(text_config, "vocab_size", 256))

    def tokens(count: int, salt: int) -> list[int]:
        return [(3 + 7 * i + 31 * salt + i * i % 5) % vocabulary for i in range(count)]

    prompt, reply = tokens(longest // 2, 1), tokens(longest // 2 + 3, 2)
    other = tokens(longest // 2 - 2, 5)
    rows = [
        _row(prompt, reply, prompt, reply[:1] + other),
        _row(prompt[:4], reply[:5], [*prompt[:3], (prompt[3] + 1) % vocabulary], other[:3]),
    ]
    collated = PreferenceCollator()(rows)
    return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in collated.items()}


def _row(
    chosen_prompt: list[int], chosen: list[int], rejected_prompt: list[int], rejected: list[int]
) -> dict[str, Any]:
    row: dict[str, Any] = {"prompt_input_ids": chosen_prompt, "prompt_attention_mask": [1] * len(chosen_prompt)}
    for side, prompt, response in (("chosen", chosen_prompt, chosen), ("rejected", rejected_prompt, rejected)):
        row[f"{side}_input_ids"] = prompt + response
        row[f"{side}_attention_mask"] = [1] * (len(prompt) + len(response))
        row[f"{side}_labels"] = [IGNORE_INDEX] * len(prompt) + response
    return row


def _one_pair(batch: Mapping[str, Any], index: int) -> dict[str, Any]:
    return {key: value[index : index + 1] for key, value in batch.items()}


def _compare(
    model: nn.Module,
    padded: PairTerms,
    packed: PairTerms,
    floor: Callable[[], float],
    agree: Callable[[float], float],
    check_gradient: bool,
) -> None:
    difference = agree(float((_logps(padded) - _logps(packed)).abs().max()))
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    tolerance = _SMALLEST_TOLERANCE.get(dtype, 5e-2)
    if not difference <= tolerance:
        tolerance = max(tolerance, _FLOORS_ALLOWED * floor())
    _demand("log-probabilities", difference, tolerance)
    nll = [terms.nll_sum.detach() / terms.nll_tokens for terms in (padded, packed)]
    _demand("NLL", agree(float((nll[0] - nll[1]).abs())), tolerance)
    probe = _telling_parameter(model) if check_gradient else None
    if probe is not None:
        ours, theirs = (torch.autograd.grad(_mock_loss(terms), probe)[0].float() for terms in (packed, padded))
        scale = float(theirs.abs().max()) + 1e-12
        _demand(f"gradients of shape {tuple(probe.shape)}", float((ours - theirs).abs().max()) / scale, 10 * tolerance)


def _logps(terms: PairTerms) -> Tensor:
    return torch.stack([terms.chosen_logps_B, terms.rejected_logps_B]).detach().float()


def _mock_loss(terms: PairTerms) -> Tensor:
    return terms.nll_sum / terms.nll_tokens - (terms.chosen_logps_B - terms.rejected_logps_B).mean()


def _telling_parameter(model: nn.Module) -> nn.Parameter | None:
    """Choose a trainable parameter of an early attention layer: an error anywhere above it shows in its gradient."""
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    telling = ("k_proj", "v_proj", "qkv", "query_key_value", "c_attn", "attn", "attention")
    for part in telling:
        for name, parameter in trainable:
            if part in name and name.endswith("weight"):
                return parameter
    return trainable[0][1] if trainable else None


def _demand(what: str, difference: float, tolerance: float) -> None:
    # Written so that NaN is refused too.
    if not difference <= tolerance:
        raise PackingRefused(
            f"packed {what} differ from padded ones by {difference:.1e} (at most {tolerance:.1e} allowed)"
        )
