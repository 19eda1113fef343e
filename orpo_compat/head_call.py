"""The head module's own call, answered with log-probabilities instead of logits.

For the time of one forward the output embedding's ``forward`` is replaced, so that whoever gathers, casts or moves
the weight around that module's call (FSDP, ZeRO, dispatch hooks) does so as always. Decides how the head is walked:
directly if it is a plain linear layer, else by its own forward in recomputed chunks (adapters on the head,
quantized heads, offloaded weights).

Shapes: ``N`` packed tokens, ``M`` head rows, ``D`` hidden size, ``V`` vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from orpo_compat.embedding_call import forward_replaced, is_unwatched_leaf
from orpo_compat.errors import PackingRefused
from orpo_compat.head import HeadResult, LogitRule, token_logps
from orpo_compat.packing import PackedPairs

# The logits of one chunk of a head that is called rather than multiplied.
_CHUNK_ELEMENTS = 1 << 24


@dataclass(slots=True)
class PackedLogps:
    """What the head's call yields for one packed row. All float32, the sums detached."""

    logps_M: Tensor
    chosen_logits_sum: Tensor
    """Sum over the chosen sequences' predicting positions of the mean logit over the vocabulary. Scalar."""
    rejected_logits_sum: Tensor


class HeadCall:
    """Stands in for the head's forward during one pass over one packed row."""

    def __init__(self, head: nn.Module, rule: LogitRule) -> None:
        self._head, self._rule = head, rule
        self._mean_weight_D: Tensor | None = None
        self.may_write_grad = False
        """Whether the pass will be differentiated by a plain ``backward()`` on this process alone."""

    @property
    def is_plain(self) -> bool:
        """Whether the head is a linear layer that nothing wraps, so that its weight says everything."""
        # FSDP2 gives every module it shards a class of its own, which inherits the forward.
        linear = isinstance(self._head, nn.Linear) and type(self._head).forward is nn.Linear.forward
        return linear and not hasattr(self._head, "_hf_hook")

    @property
    def needs_every_position(self) -> bool:
        """Whether the mean logit of a position can only be had from its logits."""
        return self._rule.softcap is not None or not self.is_plain

    def forget(self) -> None:
        """Drop what holds for the current weights only."""
        self._mean_weight_D = None

    @contextmanager
    def answering(self, packed: PackedPairs) -> Iterator[list[PackedLogps]]:
        """Within this block a call of the head appends its result to the list that this yields."""
        answers: list[PackedLogps] = []
        original = self._head.forward

        def answer(hidden_1ND: Tensor) -> Tensor:
            result = self._answer(hidden_1ND[0], packed, original)
            answers.append(result)
            # Shaped like logits, for the model to scale and cap at will: nobody reads it. A tensor of its own rather
            # than a view, which would lose the hooks of a sharding wrapper if the model changed it in place.
            return result.logps_M[None, :, None].clone()

        with forward_replaced(self._head, answer):
            yield answers

    def _answer(self, hidden_ND: Tensor, packed: PackedPairs, original: Callable[[Tensor], Tensor]) -> PackedLogps:
        if len(hidden_ND) != packed.input_ids_1N.shape[1]:
            raise PackingRefused(
                f"the model gave its head {len(hidden_ND)} positions of a row of {packed.input_ids_1N.shape[1]} tokens"
            )
        hidden_MD = hidden_ND.index_select(0, packed.row_positions_M)
        if not self.is_plain:
            walked = self._called_in_chunks(hidden_MD, packed.row_targets_M, original)
        else:
            weight, bias = self._head.weight, self._head.bias
            assert isinstance(weight, Tensor)
            walked = token_logps(
                hidden_MD,
                weight,
                bias if isinstance(bias, Tensor) else None,
                packed.row_targets_M,
                rule=self._rule,
                with_means=self.needs_every_position,
                into_grad=self.may_write_grad and is_unwatched_leaf(weight),
            )
        with torch.no_grad():
            means = walked.logit_means_M if self.needs_every_position else self._linear_means(hidden_ND)
            sums = [means[seen].sum() for seen in (packed.chosen_seen_K, packed.rejected_seen_K)]
        return PackedLogps(walked.logps_M, *sums)

    def _linear_means(self, hidden_ND: Tensor) -> Tensor:
        """Mean logit of every token: a linear head's mean over the vocabulary is the mean weight's product."""
        weight, bias = self._head.weight, self._head.bias
        assert isinstance(weight, Tensor)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            if self._mean_weight_D is None:
                self._mean_weight_D = weight.mean(0, dtype=torch.float32)
            means_N = hidden_ND.float() @ self._mean_weight_D
            if isinstance(bias, Tensor):
                means_N = means_N + bias.mean(dtype=torch.float32)
            return means_N * self._rule.scale

    def _called_in_chunks(
        self, hidden_MD: Tensor, targets_M: Tensor, original: Callable[[Tensor], Tensor]
    ) -> HeadResult:
        def chunk_logps(hidden_CD: Tensor, targets_C: Tensor) -> tuple[Tensor, Tensor]:
            logits_CV = self._rule.apply(original(hidden_CD))
            picked_C = logits_CV.gather(1, targets_C[:, None]).squeeze(1)
            return picked_C - logits_CV.logsumexp(1), logits_CV.detach().mean(1)

        vocabulary = int(getattr(self._head, "out_features", 0)) or 1 << 16
        size = max(1, _CHUNK_ELEMENTS // vocabulary)
        chunks = [
            checkpoint(chunk_logps, hidden, targets, use_reentrant=False)
            for hidden, targets in zip(torch.split(hidden_MD, size), torch.split(targets_M, size), strict=True)
        ]
        return HeadResult(torch.cat([logps for logps, _ in chunks]), torch.cat([means for _, means in chunks]))


def probe_rule(model: nn.Module, head: nn.Module, input_ids_1N: Tensor) -> LogitRule:
    """Find out what the model does to its head's output, by handing it numbers and reading its logits.

    Raises:
        PackingRefused: the logits are no scaled and soft-capped image of the head's output.
    """
    probes = torch.tensor([0.0, 1e-3, -0.5, 3.0, 40.0, 1e6], device=input_ids_1N.device)
    with torch.no_grad(), forward_replaced(head, lambda _: probes[None, :, None]):
        answers = model(input_ids=input_ids_1N, use_cache=False).logits.flatten().double().cpu()
    given = probes.double().cpu()
    scale, ceiling = float(answers[1] / given[1]), float(answers[-1])
    if abs(ceiling - scale * float(given[-1])) <= 1e-5 * abs(ceiling):
        # The largest probe gives the scale to the last digit.
        scale = ceiling / float(given[-1])
        scale = 1.0 if abs(scale - 1.0) < 1e-6 else scale
        rule, expected = LogitRule(scale), scale * given
    else:
        rule, expected = LogitRule(round(scale, 5), ceiling), ceiling * torch.tanh(given * round(scale, 5) / ceiling)
    if not torch.allclose(answers, expected, rtol=1e-4, atol=1e-6):
        raise PackingRefused("the model changes its head's output in a way that is neither a scale nor a soft cap")
    return rule
