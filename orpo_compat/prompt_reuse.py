"""Token ids of ``prompt + response`` without tokenizing the prompt again, where that is exact.

A tokenizer that first splits its text into words, each word's end found by looking no further than the next words,
gives the start of ``prompt + response`` the ids that it gave the prompt; only the last few words are encoded again,
with the response behind them. Decides from the tokenizer's parts whether it is of that kind, and checks every row:
the words encoded twice must agree. Everything else is encoded whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerFast

TokenIds = list[int]

# Words of the prompt that are encoded again with each response, and those of them that must come out the same.
_WORDS_AGAIN = 8
_WORDS_COMPARED = 5
_MODELS = {"BPE", "WordPiece", "WordLevel", "Unigram"}
_NORMALIZERS = {"NFC", "NFKC", "Lowercase", "BertNormalizer"}
_WORD_SPLITTERS = {"BertPreTokenizer", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit"}
# What lets a pattern see further than the next word, or behind itself: anchors, other looks around, back-references.
_FAR_SIGHTED = ("(?=", "(?!", "(?<", "$", "\\b", "\\B", "\\A", "\\Z", "\\z", "\\G", "\\K", "\\1")


class _Joint(NamedTuple):
    """Where a prompt may be cut: ids up to ``token`` stand, text from ``char`` on is encoded again."""

    token: int
    char: int
    compared: TokenIds
    """The ids that the text from ``char`` on must begin with."""


def encode_with_prompts(
    tokenizer: Any, prompts: Sequence[str], *responses: Sequence[str]
) -> tuple[list[TokenIds], ...]:
    """Encode each prompt, and each prompt with each of its responses behind it, without special tokens.

    Args:
        tokenizer: Any callable tokenizer; those that ``splits_into_words`` accepts encode each prompt once.
        prompts: One per row.
        responses: One or more sequences, each with one response per row.

    Returns:
        The prompts' ids, then, for each of ``responses``, the ids of ``prompt + response``: exactly those of
        ``tokenizer(prompt + response, add_special_tokens=False)``.
    """
    prompts = list(prompts)
    if not prompts:
        return tuple([] for _ in range(len(responses) + 1))
    encoded = tokenizer(prompts, add_special_tokens=False)
    prompt_ids: list[TokenIds] = encoded["input_ids"]
    if not splits_into_words(tokenizer):
        both = ([p + r for p, r in zip(prompts, side, strict=True)] for side in responses)
        return prompt_ids, *(tokenizer(texts, add_special_tokens=False)["input_ids"] for texts in both)
    longest = max(map(len, tokenizer.get_added_vocab()), default=0)
    pieces = zip(encoded.encodings, prompt_ids, prompts, strict=True)
    joints = [_joint(encoding, ids, len(prompt) - longest) for encoding, ids, prompt in pieces]
    # In one call, so that the tokenizer's threads share all of it.
    responses_in_turn = [response for side in responses for response in side]
    times = len(responses)
    full = _behind(tokenizer, prompts * times, prompt_ids * times, joints * times, responses_in_turn)
    return prompt_ids, *(full[i : i + len(prompts)] for i in range(0, len(full), len(prompts)))


def _ids(tokenizer: Any, texts: list[str]) -> list[TokenIds]:
    """Encode without noting where each token lies: a quarter faster. The tokenizer's last call set the rest."""
    encodings = tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def _behind(
    tokenizer: Any, prompts: list[str], prompt_ids: list[TokenIds], joints: list[_Joint], responses: list[str]
) -> list[TokenIds]:
    texts = [prompt[joint.char :] + r for prompt, joint, r in zip(prompts, joints, responses, strict=True)]
    tails = _ids(tokenizer, texts)
    rows = zip(prompt_ids, joints, tails, strict=True)
    full = [ids[: joint.token] + tail for ids, joint, tail in rows]
    odd = [i for i, joint in enumerate(joints) if tails[i][: len(joint.compared)] != joint.compared]
    if odd:
        for i, ids in zip(odd, _ids(tokenizer, [prompts[i] + responses[i] for i in odd]), strict=True):
            full[i] = ids
    return full


def _joint(encoding: Any, ids: TokenIds, last_char: int) -> _Joint:
    """Find the start of a word far enough from the prompt's end, and at most at ``last_char``."""
    starts = list(islice(_word_starts_from_the_end(encoding, len(ids)), _WORDS_AGAIN + 64))
    for place in range(_WORDS_AGAIN - 1, len(starts)):
        token = starts[place]
        char = encoding.token_to_chars(token - 1)[1]
        if char <= last_char:
            return _Joint(token, char, ids[token : starts[place - _WORDS_COMPARED]])
    return _Joint(0, 0, [])


def _word_starts_from_the_end(encoding: Any, count: int) -> Any:
    for token in range(count - 1, 0, -1):
        if encoding.token_to_word(token) != encoding.token_to_word(token - 1):
            yield token


def splits_into_words(tokenizer: Any) -> bool:
    """Say whether what a tokenizer makes of a text's beginning depends on no more than a few words behind it."""
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        return False
    kind: Any = type(tokenizer)
    if any(getattr(kind, name) is not getattr(PreTrainedTokenizerFast, name) for name in ("__call__", "_encode_plus")):
        return False
    backend = tokenizer.backend_tokenizer
    model = backend.model
    if type(model).__name__ not in _MODELS or getattr(model, "dropout", None):
        return False
    return _every(backend.normalizer, _is_near_normalizer, none=True) and _every(
        backend.pre_tokenizer, _is_near_splitter, none=False
    )


def _every(part: Any, test: Any, *, none: bool) -> bool:
    """Apply ``test`` to the JSON of each step of a normalizer or pre-tokenizer; at least one must split."""
    if part is None:
        return none
    state = json.loads(part.__getstate__())
    steps = state.get("pretokenizers", state.get("normalizers", [state]))
    return all(test(step) for step in steps) and (none or any(_splits(step) for step in steps))


def _is_near_normalizer(step: dict[str, Any]) -> bool:
    return step["type"] in _NORMALIZERS


def _splits(step: dict[str, Any]) -> bool:
    return step["type"] != "ByteLevel" or bool(step.get("use_regex", True))


def _is_near_splitter(step: dict[str, Any]) -> bool:
    if step["type"] == "ByteLevel":
        return not step.get("add_prefix_space", False)
    if step["type"] == "Split":
        return _is_near_sighted(step["pattern"]) and step["behavior"] in ("Isolated", "Removed")
    return step["type"] in _WORD_SPLITTERS


def _is_near_sighted(pattern: dict[str, str]) -> bool:
    regex = pattern.get("Regex")
    if regex is None:
        return True
    # One character of white space ahead is the only look that the known patterns take.
    known = regex.replace("(?!\\S)", "").replace("[^", "[")
    return "^" not in known and not any(sign in known for sign in _FAR_SIGHTED)
