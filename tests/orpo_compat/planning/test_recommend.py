"""The choice is checked by what must hold of any: it fits if anything does, and nothing that fits is faster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orpo_compat.errors import PlanError
from orpo_compat.planning.hardware import GPUS, find_gpu
from orpo_compat.planning.lengths import filled_pairs
from orpo_compat.planning.memory import GIB, Setup
from orpo_compat.planning.recommend import USABLE, Task, _arrangements, best_arrangement, remedies
from orpo_compat.planning.shapes import KNOWN
from orpo_compat.planning.timing import Assumptions, bytes_between, update_seconds


def task(size: str, gpus: int, **changes: Any) -> Task:
    given: dict[str, Any] = {
        "shape": KNOWN[size],
        "gpu": GPUS["h100"],
        "gpus": gpus,
        "pairs": filled_pairs(2048),
        "batch": 64,
        "setup": Setup(),
        **changes,
    }
    return Task(**given)


@pytest.mark.parametrize(("size", "gpus"), [("135M", 1), ("1B", 1), ("8B", 8), ("70B", 64)])
def test_what_is_chosen_fits_and_is_within_a_hundredth_of_the_fastest(size: str, gpus: int) -> None:
    wanted = task(size, gpus, batch=max(64, gpus))
    best = best_arrangement(wanted)
    assert best.fits
    assert best.memory.total <= USABLE * 79.2 * GIB
    assert best.pairs_per_second >= 0.99 * max(a.pairs_per_second for a in _arrangements(wanted, "ours") if a.fits)
    assert best.pairs_per_update == wanted.batch


def test_a_small_model_is_not_sharded_and_a_large_one_is() -> None:
    assert best_arrangement(task("135M", 1)).setup.sharding == "none"
    assert best_arrangement(task("70B", 64)).setup.sharding == "fsdp-full"


def test_eight_billion_weights_do_not_fit_one_card_and_the_remedies_do() -> None:
    alone = task("8B", 1)
    assert not best_arrangement(alone).fits
    found = remedies(alone)
    assert "--lora-r 16" in found
    more = next(int(remedy.split()[1]) for remedy in found if remedy.startswith("--gpus"))
    assert best_arrangement(replace(alone, gpus=more)).fits
    assert not best_arrangement(replace(alone, gpus=more // 2)).fits


def test_what_was_asked_for_is_kept() -> None:
    for recompute in (True, False):
        assert best_arrangement(task("135M", 1, recompute=recompute)).recompute is recompute


def test_ours_needs_less_work_and_memory_than_padding() -> None:
    ours, theirs = (best_arrangement(task("8B", 8), arm) for arm in ("ours", "theirs"))
    # Half of each sequence is prompt: 3 parts instead of 4, before the head.
    assert ours.flops_per_pair < 0.78 * theirs.flops_per_pair
    assert ours.memory.logits < theirs.memory.logits


def test_an_update_smaller_than_the_gpus_is_refused() -> None:
    with pytest.raises(PlanError, match="--batch 4"):
        best_arrangement(task("8B", 8, batch=4))


def test_time_is_work_over_rate_or_bytes_over_links() -> None:
    shape, gpu = KNOWN["8B"], GPUS["h100"]
    alone, eight = Setup(), Setup(gpus=8, sharding="fsdp-full")
    assume = Assumptions(mfu=0.5, link_share=0.5)
    assert update_seconds(shape, alone, gpu, 989e12, 1, assume) == pytest.approx(2.0)
    # Seven eighths of: two gathers in bf16 and one sum in float32.
    sent = 7 / 8 * (2 * 2 + 4) * shape.weights
    assert bytes_between(shape, eight, 1) == sent
    assert update_seconds(shape, eight, gpu, 1.0, 1, assume) == pytest.approx(sent / 225e9)
    sixteen = replace(eight, gpus=16)
    assert update_seconds(shape, sixteen, gpu, 1.0, 1, assume) > 4 * sent / 225e9


def test_a_card_of_ones_own_is_described_by_memory_and_rate() -> None:
    assert find_gpu("custom", 96, 500).memory_gib == 96
    assert find_gpu("h100", 64, None).teraflops == 989
    for wrong in (("h900", None, None), ("custom", 96, None)):
        with pytest.raises(PlanError, match="--gpu custom"):
            find_gpu(*wrong)
    with pytest.raises(PlanError, match="above 0"):
        find_gpu("h100", -1, None)
