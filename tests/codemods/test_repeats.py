"""The way back by rule alone writes an import once where the way there had put a second one beside it."""

from __future__ import annotations

import ast
import random
import re
from itertools import pairwise

import pytest

from codemods.edits import splice
from codemods.options import Direction
from codemods.rewrite import invert, rewrite
from tests.codemods.checks import check_rewrites
from tests.codemods.test_same_behaviour import _stand_ins as _stand_ins
from tests.codemods.test_same_behaviour import run


def _back(text: str, to: str = "trl") -> str:
    done = rewrite(text.encode(), direction=Direction.REVERSE, to=to)
    assert splice(done.result, invert(done)) == text.encode()
    assert not rewrite(done.result, direction=Direction.REVERSE, to=to).changed
    return done.result.decode()


@pytest.mark.parametrize(
    "source",
    [
        "import trl\n\nc = trl.ORPOConfig, trl.X\n",
        "import trl\nc = trl.ORPOConfig, trl.X",
        "import trl\r\nc = trl.ORPOConfig, trl.X\r\n",
        "import trl  # noqa: F401\nc = trl.ORPOConfig, trl.X\n",
        "import trl; import os\nc = trl.ORPOConfig, trl.X\n",
        "if a: import trl\nelse: import trl\nc = trl.ORPOConfig, trl.X\n",
        "def f():\n    import trl\n    return trl.ORPOConfig, trl.X\n",
        "def f(): import trl; return trl.ORPOConfig, trl.X\n",
        "class A:\n\timport trl\n\tc = trl.ORPOConfig, trl.X\n",
        "try:\n    import trl\nfinally:\n    pass\nc = trl.ORPOConfig, trl.X\n",
        "import os, trl\nc = trl.ORPOConfig, trl.X\n",
        "from trl import X\nimport trl\nc = trl.ORPOConfig, trl.X, X\n",
    ],
)
def test_there_and_back_without_a_journal_is_byte_for_byte(source: str) -> None:
    there = rewrite(source.encode()).result.decode()
    assert there.count("import orpo_compat") >= 1
    assert _back(there) == source


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("import trl\nimport orpo_compat\nc = orpo_compat.ORPOConfig", "import trl\nc = trl.ORPOConfig"),
        (
            "import orpo_compat\nimport os\nimport trl\nc = orpo_compat.ORPOConfig",
            "import os\nimport trl\nc = trl.ORPOConfig",
        ),
        ("import orpo_compat, os\nimport trl\nc = orpo_compat.ORPOConfig", "import os\nimport trl\nc = trl.ORPOConfig"),
        ("import os, orpo_compat\nimport trl\nc = orpo_compat.ORPOConfig", "import os\nimport trl\nc = trl.ORPOConfig"),
        ("import orpo_compat; import trl\nc = orpo_compat.ORPOConfig", "import trl\nc = trl.ORPOConfig"),
        (
            "import trl\n# ours\nimport orpo_compat  # since May\nc = orpo_compat.ORPOConfig",
            "import trl\n# ours\n# since May\nc = trl.ORPOConfig",
        ),
        (
            "import orpo_compat\nimport orpo_compat.trainer\nc = orpo_compat.trainer.ORPOTrainer",
            "import trl\nc = trl.ORPOTrainer",
        ),
        (
            "import trl\nimport orpo_compat\nc = orpo_compat.ORPOConfig, orpo_compat.x",
            "import trl\nimport orpo_compat\nc = trl.ORPOConfig, orpo_compat.x",
        ),
    ],
)
def test_a_twin_beside_it_makes_an_import_needless(ours: str, theirs: str) -> None:
    assert _back(ours + "\n") == theirs + "\n"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        # The twin may not have run, runs later than a use, or is another name.
        ("if a:\n    import trl\nimport orpo_compat\nc = orpo_compat.ORPOConfig\n", 2),
        ("import trl\nif a:\n    import orpo_compat\n    c = orpo_compat.ORPOConfig\n", 2),
        ("import orpo_compat\nc = orpo_compat.ORPOConfig\nimport trl\n", 2),
        ("import orpo_compat\nwork()\nimport trl\nc = orpo_compat.ORPOConfig\n", 2),
        ("import trl as t\nimport orpo_compat\nc = orpo_compat.ORPOConfig\n", 2),
        ("import trl\ndef f():\n    import orpo_compat\n    return orpo_compat.ORPOConfig\n", 2),
        ("if a: import orpo_compat\nelse: import trl\nc = orpo_compat.ORPOConfig\n", 2),
    ],
)
def test_any_other_import_is_written(ours: str, theirs: int) -> None:
    back = _back(ours)
    assert back.count("import trl") == theirs
    assert "orpo_compat" not in back


def test_the_way_back_to_a_submodule_needs_its_own_import() -> None:
    ours = "import trl\nimport orpo_compat\nc = orpo_compat.ORPOConfig\n"
    theirs = "import trl\nimport trl.experimental.orpo\nc = trl.experimental.orpo.ORPOConfig\n"
    assert _back(ours, "trl.experimental.orpo") == theirs
    twice = "import orpo_compat\n" + ours
    assert _back(twice, "trl.experimental.orpo") == f"import trl.experimental.orpo\n{theirs.splitlines()[0]}\n" + (
        "c = trl.experimental.orpo.ORPOConfig\n"
    )


def test_a_file_that_imports_ours_already_does_not_get_it_twice() -> None:
    check_rewrites(
        "import orpo_compat\nimport trl\nc = trl.ORPOConfig, trl.X, orpo_compat.x\n",
        "import orpo_compat\nimport trl\nc = orpo_compat.ORPOConfig, trl.X, orpo_compat.x\n",
    )


LINES = ["import trl", "import orpo_compat", "import os, orpo_compat", "import trl; import orpo_compat", "import os"]
LINES += [
    "import orpo_compat  # noqa",
    "import trl  # noqa",
    "seen(orpo_compat.ORPOConfig)",
    "seen(trl.SFTTrainer)",
    "pass",
]


def _program(pick: random.Random, depth: int = 0) -> str:
    lines = []
    for _ in range(pick.randint(2, 5)):
        if depth < 2 and pick.random() < 0.25:
            head = pick.choice(["def f():", "if side:", "try:", "class C:"])
            body = "\n".join(f"    {line}" for line in _program(pick, depth + 1).split("\n"))
            tail = {"try:": "\nexcept Exception as e:\n    seen(type(e).__name__)", "def f():": "\nf()"}.get(head, "")
            lines.append(f"{head}\n{body}{tail}")
        else:
            lines.append(pick.choice(LINES))
    return "\n".join(lines)


def _twins(text: str) -> int:
    """How often one of a block's own statements is ``import trl`` right after another one, our imports not counted."""
    count = 0
    for node in ast.walk(ast.parse(text)):
        for field in ("body", "orelse"):
            names = [name for one in getattr(node, field, []) if (name := ast.unparse(one)) != "import orpo_compat"]
            count += sum(pair == ("import trl", "import trl") for pair in pairwise(names))
    return count


@pytest.mark.usefixtures("_stand_ins")
def test_random_programs_come_back_alike_and_without_new_twins() -> None:
    pick = random.Random(7)
    num_dropped = 0
    for _ in range(400):
        ours = _program(pick) + "\n"
        back = _back(ours)
        num_dropped += back != ours and back.count("import") < ours.count("import")
        assert _twins(back) <= _twins(ours)
        for side in (0, 1):
            # What reads trl where nothing has imported it may find it once ours is trl, too.
            if not re.search("NameError|UnboundLocalError", str(run(ours, side))):
                assert run(back, side) == run(ours, side), f"{ours}\n--- became ---\n{back}"
    assert num_dropped > 50
