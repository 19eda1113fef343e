"""Two real processes over gloo. Oracles: one process on the same global batch, and TRL under the same launcher."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import transformers
from packaging.version import Version

from tests.orpo_compat.launching import Done, Planned, accelerate, assert_same_weights, forked, launch, start, torchrun

COMMON = {"loss_normalization": "global", "max_steps": 2, "train_sampling_strategy": "sequential"}
ONE = {**COMMON, "per_device_train_batch_size": 4}
# Rank 1 gets rows 2, 3, 6 and 7 of eight, so all of its rows are beyond max_length, and it makes other passes.
LONG = {"long": [2, 3, 6, 7], "max_length": 48, "tokens_per_pass": 64}
UNEVEN = {"rows": 7, "max_steps": -1, "num_train_epochs": 1}
EVALUATED = {"evaluate": 8, "eval_strategy": "steps", "eval_steps": 2, "generate_during_eval": True}
SAVED = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}
BROKEN = {"nan_policy": "skip", "rows": [0, 1, 2, 3]}

PLANS = {
    "one": Planned(1, {**ONE, **EVALUATED, "per_device_eval_batch_size": 4}),
    "two": Planned(2, {**COMMON, **EVALUATED, "per_device_eval_batch_size": 2}),
    "one long": Planned(1, {**ONE, **LONG}),
    "two long": Planned(2, {**COMMON, **LONG}),
    "one uneven": Planned(1, {**ONE, **UNEVEN}),
    "two uneven": Planned(2, {**COMMON, **UNEVEN, "accelerator_config": {"even_batches": False}}),
    # Of the last batches rank 0 holds one pair and a repeat, rank 1 repeats only.
    "one odd": Planned(1, {**ONE, **EVALUATED, "evaluate": 5, "per_device_eval_batch_size": 4}),
    "two odd": Planned(2, {**COMMON, **EVALUATED, "evaluate": 5, "per_device_eval_batch_size": 2}),
    "two saved": Planned(2, {**COMMON, **SAVED}),
    "one saved": Planned(1, {**ONE, **SAVED}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """Every run of this module but those under a launcher, from one import."""
    return forked(tmp_path_factory.mktemp("runs"), PLANS)


def assert_same_course(one: Done, two: Done) -> None:
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    assert_same_weights(one.weights, two.weights)


def test_two_processes_under_the_global_mean_equal_one(runs: dict[str, Done]) -> None:
    assert_same_course(runs["one"], runs["two"])
    assert runs["two"].record()["path"] == runs["two"].record(1)["path"] == "packed"
    assert runs["two"].record()["engine"].endswith("MULTI_CPU")


def test_a_rank_whose_rows_are_all_too_long_keeps_in_step(runs: dict[str, Done]) -> None:
    assert_same_course(runs["one long"], runs["two long"])


def test_an_uneven_last_batch_weighs_what_it_holds(runs: dict[str, Done]) -> None:
    """Seven rows: the last batches of the two ranks hold two and one."""
    assert_same_course(runs["one uneven"], runs["two uneven"])


@pytest.mark.parametrize("names", [("one", "two"), ("one odd", "two odd")])
def test_evaluation_on_two_processes_equals_one(runs: dict[str, Done], names: tuple[str, str]) -> None:
    one, two = (next(log for log in runs[name].logs if "eval_loss" in log) for name in names)
    means = {name for name in one if name.startswith("eval_") and "per_second" not in name and "time" not in name}
    assert len(means) > 10
    # A batch's loss is its own mean, so that of the whole set depends on the split, as in TRL; pair means do not.
    for name in means - {"eval_loss", "eval_nll_loss", "eval_logits/chosen", "eval_logits/rejected"}:
        assert two[name] == pytest.approx(one[name], rel=2e-5, abs=2e-6), name


def test_two_processes_write_each_generation_once(runs: dict[str, Done]) -> None:
    for name, count in (("one", 4), ("two", 2)):
        lines = (runs[name].folder / "ours" / "generations.jsonl").read_text().splitlines()
        assert len({json.loads(line)["prompt"] for line in lines}) == len(lines) == count


@pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.4"), reason="has torch load the optimizer onto cpu:0, which fails"
)
def test_a_run_resumes_with_another_number_of_processes(runs: dict[str, Done], tmp_path: Path) -> None:
    """Four steps at a stretch; two by two processes and two by one; two by one and two by two."""
    whole = runs["one saved"]
    middle = {name: str(runs[name].folder / "ours" / "checkpoint-2") for name in ("two saved", "one saved")}
    later = forked(
        tmp_path,
        {
            "on one": Planned(1, {**ONE, "max_steps": 4, "resume": middle["two saved"]}),
            "on two": Planned(2, {**COMMON, "max_steps": 4, "resume": middle["one saved"]}),
        },
    )
    for name in ("on one", "on two"):
        assert later[name].losses == pytest.approx(whole.losses[2:], rel=1e-5)
        assert_same_weights(whole.weights, later[name].weights)


def counted(**more: Any) -> Planned:
    return Planned(2, {"max_steps": 4, "count": True, "max_grad_norm": 0.0, **more})


@pytest.mark.slow
def test_collectives_per_log_are_constant_and_do_not_depend_on_the_rows(tmp_path: Path) -> None:
    runs = forked(
        tmp_path,
        {
            "every": counted(logging_steps=1),
            "seldom": counted(logging_steps=2),
            "long": counted(logging_steps=1, **LONG),
            "padded": counted(logging_steps=1, packing="never"),
        },
    )
    calls = {name: Counter(run.record()["collectives"]) for name, run in runs.items()}
    assert calls["every"]["all_reduce"] - calls["seldom"]["all_reduce"] == 4 - 2
    # The path is checked before the first step, by every rank for itself; rows change nothing.
    assert calls["every"] == calls["long"] == calls["padded"]
    assert calls["every"] == Counter(runs["every"].record(1)["collectives"])


@pytest.mark.slow
@pytest.mark.parametrize("broken", [":", "N"], ids=["one of its two pairs", "both of its pairs"])
def test_pairs_that_are_not_finite_on_one_rank_are_left_out_by_all_in_step(broken: str, tmp_path: Path) -> None:
    """Rank 1 has rows 2 and 3, in which alone the character occurs whose embedding is NaN."""
    settings = {**BROKEN, "broken": broken}
    runs = forked(tmp_path, {"one": Planned(1, {**ONE, **settings}), "two": Planned(2, {**COMMON, **settings})})
    assert_same_course(runs["one"], runs["two"])
    assert "leaving out" in runs["two"].said(1)
    assert "leaving out" not in runs["two"].said(0)


@pytest.mark.parametrize("rows", [8, pytest.param(7, marks=pytest.mark.slow)])
def test_two_processes_under_the_micro_batch_mean_equal_trl_s_two(rows: int, tmp_path: Path) -> None:
    pytest.importorskip("trl.experimental.orpo")
    settings = {
        "max_steps": 2,
        "rows": rows,
        "evaluate": 8 * (rows == 8),
        "eval_strategy": "steps" if rows == 8 else "no",
    }
    theirs, ours = (
        launch(torchrun(2), tmp_path / arm, {**settings, "eval_steps": 1}, arm) for arm in ("theirs", "ours")
    )
    assert_same_weights(theirs.weights, ours.weights)
    names = ["loss", "rewards/margins", "logps/chosen", "nll_loss", "log_odds_ratio"]
    if rows == 7:
        names = ["loss"]  # accelerate repeats a row to fill the last batch; TRL's metrics leave it out, ours do not
    for their_log, our_log in zip(theirs.logs, ours.logs, strict=True):
        for name in {name for name in their_log if name.removeprefix("eval_") in names}:
            assert our_log[name] == pytest.approx(their_log[name], rel=2e-5, abs=2e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [torchrun(2), accelerate("ddp_cpu.yaml")], ids=["torchrun", "accelerate"])
def test_one_rank_s_failure_ends_the_run_with_its_message(launcher: list[str], tmp_path: Path) -> None:
    process = start(launcher, tmp_path, {"max_steps": 50, "die": [1, 2, "raise"]})
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "ValueError: rank 1 found something wrong" in said
