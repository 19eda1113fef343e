"""The live progress counts every step of every arm and says what is left; without a terminal it says each run once."""

from __future__ import annotations

import pytest

from orpo_compat.cli.parity_progress import Progress
from parity.run import PERTURBATIONS
from parity.scenarios import make_spec

SPEC = make_spec("base", steps=2)


@pytest.mark.parametrize("terminal", ["0", "1"])
def test_a_whole_run_is_shown_to_its_end(monkeypatch, capsys, terminal):
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with Progress(SPEC, packing="auto") as progress:
        for arm, runs in (("theirs", ["base"]), ("floor", list(PERTURBATIONS)), ("ours", ["default", "padded"])):
            for run in runs:
                progress.note(arm, run, {"event": "run"})
                for step in range(2):
                    progress.note(arm, run, {"event": "step", "step": step, "seconds": 2.0})
        assert progress._left() == "about 0 s left"
    said = capsys.readouterr()
    assert said.out == "", "stdout is for the report"
    if terminal == "0":
        # rich 13.0 ends with an empty line.
        assert [line for line in said.err.splitlines() if line] == [
            "theirs: base",
            *(f"floor: {run}" for run in PERTURBATIONS),
            "ours: default",
            "ours: padded",
        ]


def test_the_estimate_counts_steps_and_arms_that_have_not_begun(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    with Progress(SPEC, packing="never") as progress:
        progress.note("theirs", "base", {"event": "run"})
        progress.note("theirs", "base", {"event": "step", "seconds": 3.0})
        # theirs, every perturbation of it, and ours, 2 steps each, one taken; two arms still have to import
        steps = 2 * (1 + len(PERTURBATIONS) + 1) - 1
        assert progress._left() == f"about {steps * 3 + 2 * 6} s left"


def test_arms_that_are_not_expected_do_no_harm(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    with Progress(SPEC, packing="auto") as progress:
        progress.note("theirs 3", "measured", {"event": "run"})
        progress.note("theirs 3", "measured", {"event": "step", "seconds": 1.0})
