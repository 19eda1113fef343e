"""Programs of few names and many scopes: an import in one place may bind the name that a use in another is moved to.

Like ``test_same_behaviour``, with imports of TRL, of its modules and of ours side by side at every depth, and both
ways: there, and back by rule alone. What fails for want of a name before the move may run after it, so it is left out.
Among so many bindings a use may stay that a second run moves: rare, counted, and run as well.
"""

from __future__ import annotations

import random
import re

import pytest

from codemods.options import Direction
from codemods.rewrite import rewrite
from tests.codemods.test_same_behaviour import _stand_ins as _stand_ins
from tests.codemods.test_same_behaviour import compiles, run

IMPORTS = """
    import trl | import trl as t | import os, trl | import orpo_compat | import trl.trainer as t
    import trl.experimental.orpo | from trl.experimental import orpo | import trl.trainer.orpo_trainer
    from trl import trainer | from trl import ORPOConfig | from trl import SFTTrainer, ORPOTrainer
    from trl.trainer import orpo_trainer as t | from trl.trainer.orpo_trainer import ORPOTrainer as t
"""
USES = """
    trl.ORPOConfig | t.ORPOTrainer | t.SFTTrainer | trl.SFTTrainer | orpo.ORPOConfig | ORPOConfig | ORPOTrainer
    trl.experimental.orpo.ORPOTrainer | trl.trainer.orpo_trainer.ORPOConfig | trainer.ORPOTrainer
    orpo_compat.ORPOConfig | lambda: trl.ORPOConfig | [trl.ORPOConfig for _ in "a"]
"""
HEADS = {
    "def f():": "f()",
    "def f(trl=1):": "f()",
    "def f(q=lambda: trl): seen(q)\ndef g():": "f(); g()",
    "if side:": "",
    "class C:": "",
    "for i in (1, 2):": "",
    "try:": "except ImportError: pass",
    "async def a():": "",
}


def _listed(table: str) -> list[str]:
    return [one.strip() for line in table.strip().splitlines() for one in line.split("|")]


def _program(pick: random.Random, depth: int = 0) -> str:
    lines = []
    for _ in range(pick.randint(2, 5)):
        kind = pick.random()
        if depth < 3 and kind < 0.3:
            head = pick.choice(list(HEADS))
            body = "\n".join(f"    {line}" for line in _program(pick, depth + 1).split("\n"))
            lines += [head, body, *([HEADS[head]] if HEADS[head] else [])]
        else:
            lines.append(pick.choice(_listed(IMPORTS)) if kind < 0.6 else f"seen({pick.choice(_listed(USES))})")
    return "\n".join(lines)


def _check_alike(before: str, after: str) -> None:
    for side in (0, 1):
        told = run(before, side)
        if not re.search("NameError|UnboundLocalError", str(told)):
            assert run(after, side) == told, f"{before}\n--- became ---\n{after}"


def _check(num_programs: int, seed: int) -> tuple[int, int]:
    """Return how many programs changed, and how many of them changed again on a second run."""
    pick, num_changed, num_again = random.Random(seed), 0, 0
    for _ in range(num_programs):
        text = _program(pick) + "\n"
        done = rewrite(text.encode()) if compiles(text) else None
        if done is None or not done.changed:
            continue
        num_changed += 1
        there = done.result.decode()
        assert "OC115" not in {one.code for one in done.findings}, text
        _check_alike(text, there)
        again = rewrite(done.result)
        if again.changed:
            num_again += 1
            _check_alike(there, again.result.decode())
        for home in ("trl", "trl.experimental.orpo"):
            back = rewrite(done.result, direction=Direction.REVERSE, to=home)
            _check_alike(there, back.result.decode())
    return num_changed, num_again


@pytest.mark.usefixtures("_stand_ins")
def test_they_run_alike_there_and_back() -> None:
    num_changed, num_again = _check(150, 1)
    assert num_changed > 50
    assert num_again == 0


@pytest.mark.slow
@pytest.mark.usefixtures("_stand_ins")
def test_many_of_them_run_alike_there_and_back() -> None:
    num_changed, num_again = _check(1200, 2)
    assert num_changed > 450
    assert num_again <= num_changed // 200
