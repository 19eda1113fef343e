"""Oracle: the same tokenizer on ``prompt + response`` as one text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from orpo_compat import prompt_reuse
from orpo_compat.prompt_reuse import encode_with_prompts, splits_into_words
from tests.conftest import TEXT

_REST = r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+" + _REST
CAMEL = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _REST


def split_then_bytes(regex: str) -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(regex), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def trained(pre_tokenizer: Any, normalizer: Any = None, dropout: float | None = None) -> Any:
    bpe = Tokenizer(models.BPE(unk_token="<pad>", dropout=dropout))
    if pre_tokenizer is not None:
        bpe.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        bpe.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<pad>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    bpe.train_from_iterator([TEXT, "camelCase snake_case 12345 ÄÖ äö \n\n\t  x"] * 4, trainer)
    bpe.add_special_tokens([AddedToken("<|im_start|>"), AddedToken("<|eot|>", lstrip=True, rstrip=True)])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<pad>")


WORDWISE = {
    "gpt2": trained(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "llama3": trained(split_then_bytes(LLAMA3)),
    "qwen": trained(split_then_bytes(LLAMA3), normalizers.NFC()),
    "gpt4o": trained(split_then_bytes(CAMEL)),
    "bert": trained(pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer()),
    "digits": trained(pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.WhitespaceSplit()])),
}
OTHERS = {
    "prefix space": trained(pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "metaspace": trained(pre_tokenizers.Metaspace()),
    "one piece": trained(None),
    "bytes without words": trained(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)),
    "dropout": trained(pre_tokenizers.ByteLevel(add_prefix_space=False), dropout=0.1),
    "looks ahead": trained(split_then_bytes(r"\S+(?=.*x)|\s+|\S+")),
    "looks behind": trained(split_then_bytes(r"(?<=a)\S+|\s+|\S+")),
    "anchored": trained(split_then_bytes(r"\w+$|\s+|\S")),
    "replacing": trained(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.Replace("ab", "c")),
}
# Pieces that stand next to each other in odd ways: runs of white space, digits, marks to be composed, added tokens.
PIECES = st.sampled_from(
    ["word ", "Two", " plus", "two", "CamelCase", "ABC", "abc", "12345", "7", "'s", "'", ".", "!!", "日本語", "🙂", ""]
    + [" ", "  ", "\n", "\n\n", "\t", "\r\n", "é", "e\u0301", "\u0301"]
    + ["<|im_start|>", "<|im_", "start|>", "<|eot|>", " <|eot|> "]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


@pytest.mark.parametrize("name", WORDWISE)
@settings(deadline=None, max_examples=120)
@given(prompt=TEXTS, response=TEXTS)
@example(prompt="Two plus two. " * 9 + "\n   ", response="\n  four")
@example(prompt="Two plus two. " * 9 + "<|im_", response="start|> four")
@example(prompt="Two plus two. " * 9 + "e", response="\u0301t\u0301")
@example(prompt="a   " * 20 + "    ", response="<|eot|>b")
def test_ids_are_those_of_the_whole_text(name: str, prompt: str, response: str) -> None:
    tokenizer = WORDWISE[name]
    assert splits_into_words(tokenizer)
    prompts, full = encode_with_prompts(tokenizer, [prompt, "Hi"], [response, response])
    assert prompts == tokenizer([prompt, "Hi"], add_special_tokens=False)["input_ids"]
    assert full == tokenizer([prompt + response, "Hi" + response], add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_tokenizer_that_may_look_further_encodes_whole_texts(name: str) -> None:
    assert not splits_into_words(OTHERS[name])


def test_a_long_prompt_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, seen = WORDWISE["llama3"], []
    original = PreTrainedTokenizerFast.__call__

    def counting(self: Any, texts: list[str], **options: Any) -> Any:
        seen.extend(texts)
        return original(self, texts, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", counting)
    prompt = TEXT * 20
    encode_with_prompts(tokenizer, [prompt], [" yes"], [" no"])
    assert sum(map(len, seen)) < 1.1 * len(prompt)


def test_a_wrong_joint_is_noticed_and_the_text_encoded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """One character early: the words encoded twice then differ."""
    honest = prompt_reuse._joint

    def early(*args: Any) -> Any:
        joint = honest(*args)
        return joint._replace(char=joint.char - 1)

    monkeypatch.setattr(prompt_reuse, "_joint", early)
    tokenizer, prompt = WORDWISE["gpt2"], TEXT * 2
    _, full = encode_with_prompts(tokenizer, [prompt], [" four"])
    assert full == tokenizer([prompt + " four"], add_special_tokens=False)["input_ids"]


def test_no_rows_give_no_ids() -> None:
    assert encode_with_prompts(WORDWISE["gpt2"], [], [], []) == ([], [], [])
