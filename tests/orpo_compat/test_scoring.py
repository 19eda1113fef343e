"""Scores of held-out pairs against a plain forward pass, and the summary against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from orpo_compat.pairs import Pair
from orpo_compat.scoring import PairScore, score_pairs, summarize, wilson
from orpo_compat.tiny_model import tiny_model, tiny_tokenizer

PAIRS = [Pair("ask: ", "a good answer", "bad", 2), Pair("why? ", "so", "because of it all", 3), Pair("x", "y", "zz", 4)]


def plain_logp(prompt: str, response: str) -> float:
    """The mean log-probability of a response and its EOS, row by row, with no code of ours."""
    tokenizer, model = tiny_tokenizer(), tiny_model().eval()
    before = [tokenizer.bos_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
    after = [*tokenizer(response, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([before + after])).logits[0]
    logps = torch.log_softmax(logits[len(before) - 1 : -1].double(), dim=-1)
    return logps[range(len(after)), after].mean().item()


def test_scores_are_those_of_a_plain_forward_pass() -> None:
    scores, summary = score_pairs(tiny_model(), tiny_tokenizer(), PAIRS, max_length=64, batch_size=2, beta=0.1)
    assert [score.place for score in scores] == [2, 3, 4]
    for pair, score in zip(PAIRS, scores, strict=True):
        chosen, rejected = (plain_logp(str(pair.prompt), str(text)) for text in (pair.chosen, pair.rejected))
        assert score.chosen_logp == pytest.approx(chosen, rel=1e-5)
        assert score.rejected_logp == pytest.approx(rejected, rel=1e-5)

        def logit(logp: float) -> float:
            return logp - math.log1p(-math.exp(logp))

        assert score.log_odds == pytest.approx(logit(chosen) - logit(rejected), abs=1e-4)
    assert summary.pairs == 3
    assert summary.mean_log_odds == pytest.approx(sum(score.log_odds for score in scores) / 3)


def test_a_summary_counts_and_averages() -> None:
    scores = [PairScore(1, -1.0, -2.0, 2.0), PairScore(2, -2.0, -1.0, 0.0), PairScore(3, -1.0, -3.0, 4.0)]
    summary = summarize(scores, nll=1.5, loss=1.6)
    assert (summary.win_rate, summary.mean_log_odds) == (pytest.approx(2 / 3), 2.0)
    assert summary.mean_log_odds_error == pytest.approx(2 / math.sqrt(3))


def test_wilson_intervals_are_the_published_ones() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == pytest.approx(1.0)
