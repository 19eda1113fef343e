"""Argument names under --modernize."""

from __future__ import annotations

import pytest

from codemods.options import Options
from tests.codemods.checks import check_noop, check_rewrites

MODERN = Options(modernize=True)
HEAD = "from {} import ORPOConfig, ORPOTrainer\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ORPOTrainer(m, tokenizer=tok)", "ORPOTrainer(m, processing_class=tok)"),
        ("ORPOConfig(evaluation_strategy = 'no')", "ORPOConfig(eval_strategy = 'no')"),
        (
            "ORPOConfig(no_cuda=flag, per_gpu_eval_batch_size=1)",
            "ORPOConfig(use_cpu=flag, per_device_eval_batch_size=1)",
        ),
        ("ORPOConfig(warmup_ratio=.05)", "ORPOConfig(warmup_steps=.05)"),
        ("ORPOConfig(adafactor=True)", 'ORPOConfig(optim="adafactor")'),
        ("ORPOConfig(group_by_length=True)", 'ORPOConfig(train_sampling_strategy="group_by_length")'),
        (
            "ORPOConfig(model_init_kwargs={'torch_dtype': t, **more})",
            "ORPOConfig(model_init_kwargs={'dtype': t, **more})",
        ),
    ],
)
def test_a_retired_name_is_replaced(before: str, after: str) -> None:
    check_rewrites(HEAD.format("trl") + before + "\n", HEAD.format("orpo_compat") + after + "\n", options=MODERN)
    check_rewrites(
        HEAD.format("orpo_compat") + before + "\n", HEAD.format("orpo_compat") + after + "\n", options=MODERN
    )
    unchanged = HEAD.format("orpo_compat") + before + "\n"
    check_rewrites(HEAD.format("trl") + before + "\n", unchanged)


@pytest.mark.parametrize(
    "call",
    [
        "ORPOTrainer(m, tokenizer=tok, processing_class=tok)",
        "ORPOConfig(warmup_ratio=ratio, adafactor=False)",
        "ORPOConfig(warmup_ratio=0.1, warmup_steps=9)",
        "ORPOConfig(model_init_kwargs={'torch_dtype': t, 'dtype': t})",
        "SFTTrainer(m, tokenizer=tok)",
        "dict(evaluation_strategy='no')",
    ],
)
def test_what_is_not_certain_stays(call: str) -> None:
    check_noop(f"{HEAD.format('orpo_compat')}{call}\n", options=MODERN)


def test_an_argument_that_means_nothing_any_more_is_told() -> None:
    rest = "ORPOConfig('o', overwrite_output_dir=True)\n"
    check_rewrites(HEAD.format("trl") + rest, HEAD.format("orpo_compat") + rest, "OC124", options=MODERN)
