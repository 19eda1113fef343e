"""Answers of a model to a few prompts: greedy unless a temperature is given, seeded, one prompt at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orpo_compat.pairs import Message, Turns


def answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Turns],
    *,
    max_new_tokens: int = 128,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[str]:
    """Answer each prompt, in order.

    Args:
        prompts: text, continued as it is; or messages, through the tokenizer's chat template.
        temperature: 0 for the most likely token at every step.
        top_p: share of probability to sample from.
        seed: of the sampling, for every prompt anew.
    """
    import torch
    from transformers import set_seed

    model.eval()
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_p": top_p} if temperature > 0 else {"do_sample": False}
    )
    for prompt in prompts:
        ids = encode(tokenizer, prompt)
        batch = torch.tensor([ids], device=model.device)
        set_seed(seed)
        with torch.no_grad():
            written = model.generate(
                input_ids=batch,
                attention_mask=torch.ones_like(batch),
                max_new_tokens=max_new_tokens,
                pad_token_id=tokenizer.pad_token_id,
                **sampling,
            )
        yield tokenizer.decode(written[0, len(ids) :], skip_special_tokens=True)


def encode(tokenizer: Any, prompt: Turns) -> list[int]:
    """Token ids that a model continues: as in training, with BOS where the tokenizer has one."""
    if isinstance(prompt, str):
        text = prompt
    else:
        text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    bos = tokenizer.bos_token_id
    return ids if bos is None or ids[:1] == [bos] else [bos, *ids]


def as_user(text: str) -> list[Message]:
    """A text as one user message."""
    return [{"role": "user", "content": text}]
