"""Says what a look-up past the end of an embedding means: a token, or a position, that the model does not have.

On a CPU torch says "index out of range in self" for both. On CUDA it ends the process with a device assertion, which
nothing can be said about any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from orpo_compat.errors import DataError


@contextmanager
def explained_lookups(model: nn.Module | None, batch: Mapping[str, Any]) -> Iterator[None]:
    """Explain an ``IndexError`` of a forward pass by the batch's ids and lengths, where they do.

    Args:
        model: whose input embedding and configuration are looked at.
        batch: padded ids of shape ``(B, T)`` under names that end in ``_input_ids``.

    Raises:
        DataError: an id, or a length, is beyond what the model embeds.
    """
    try:
        yield
    except IndexError as error:
        said = _explanation(model, [ids for key, ids in batch.items() if key.endswith("_input_ids")])
        if said is None:
            raise
        raise DataError(said) from error


def _explanation(model: Any, ids: list[Tensor]) -> str | None:
    highest = max((int(one.max()) for one in ids if one.numel()), default=0)
    longest = max((one.shape[-1] for one in ids), default=0)
    embedding = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    known = getattr(embedding, "num_embeddings", None)
    if known is not None and highest >= known:
        return (
            f"the batch holds the token id {highest}, the model embeds {known} tokens: the tokenizer is another "
            "model's, or has tokens added.\n"
            "  Next: pass the model's own tokenizer, or call model.resize_token_embeddings(len(tokenizer)) first."
        )
    positions = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    if positions is not None and longest > positions:
        return (
            f"the batch holds {longest} tokens in a row, the model has {positions} positions.\n"
            f"  Next: give ORPOConfig(max_length={positions}) or less; longer rows are then trimmed and counted."
        )
    return None
