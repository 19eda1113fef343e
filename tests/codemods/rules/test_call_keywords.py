"""Arguments that no release accepted, and configs whose fields come from elsewhere."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_rewrites

HEAD = "from {} import ORPOConfig, ORPOTrainer\n"


def moved(rest: str, *codes: str) -> list[str]:
    done = check_rewrites(HEAD.format("trl") + rest, HEAD.format("orpo_compat") + rest, *codes)
    return [f"{finding.message} {finding.advice}" for finding in done.findings]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("ORPOTrainer(model=m, ref_model=None)", "ref_model"),
        ("ORPOTrainer(beta=0.1)", "field of ORPOConfig"),
        ("ORPOConfig('out', orpo_beta=0.1)", "orpo_beta"),
        ("ORPOConfig('out', evaluation_stategy='no')", "Did you mean evaluation_strategy?"),
        ("ORPOConfig('out', 4)", "by position"),
    ],
)
def test_a_wrong_argument_is_reported(call: str, words: str) -> None:
    assert words in moved(f"{call}\n", "OC124")[0]


@pytest.mark.parametrize(
    "call",
    [
        "ORPOTrainer(m, args, c, d, e, tok, tokenizer=tok, peft_config=p, **more)",
        "ORPOConfig(output_dir='o', max_prompt_length=9, evaluation_strategy='no', warmup_ratio=0.1, packing='never')",
        "ORPOConfig(**everything)",
        "partial(ORPOConfig, nonsense=1)",
    ],
)
def test_every_spelling_a_release_had_is_accepted_in_silence(call: str) -> None:
    assert moved(f"{call}\n") == []


def test_a_class_of_the_same_name_is_not_held_against_ours() -> None:
    assert moved("def f(ORPOTrainer):\n    return ORPOTrainer(ref_model=None)\n") == []


def test_parsers_and_subclasses_are_told() -> None:
    assert "command line" in moved("p = HfArgumentParser((ORPOConfig, Other))\n", "OC124")[0]
    assert "command line" in moved("p = trl.TrlParser(ORPOConfig)\n", "OC124")[0]
    told = moved("class C(ORPOConfig):\n    beta: float = 1\n    mine: int = 2\n", "OC124")[0]
    assert "sets beta anew" in told
    assert "mine" not in told


def test_a_fall_back_to_none_does_not_hide_the_call() -> None:
    rest = "ORPOTrainer(ref_model=None)\n"
    guard = "try:\n    from {} import ORPOTrainer\nexcept ImportError:\n    ORPOTrainer = None\n"
    check_rewrites(guard.format("trl") + rest, guard.format("orpo_compat") + rest, "OC107", "OC124")
