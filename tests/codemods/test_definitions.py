"""A class cut out of its script: what it needs comes along, at its own lines, and nothing else runs."""

from __future__ import annotations

import pytest

from codemods.definitions import NoSuchClass, definitions_for

SCRIPT = '''#!/usr/bin/env python
"""Trains."""
from __future__ import annotations
import sys, os
import missing_logger
from trl import ORPOTrainer
from torch import nn as layers

args = sys.exit("the script ran")
model = load(args)
SCALE, LEFT_OUT = 2.0, 1


def double(x): return x * SCALE


@decorated(
    1)
class Mine(Base, ORPOTrainer):
    """Doc."""

    layer: layers.Module

    def odds_ratio_loss(self, a, b):
        model = double(a)
        return [args for args in (model, b)]


Mine.extra = os.sep; train(Mine)
if True:
    class Base: ...
if __name__ == "__main__":
    SCALE = sys.exit("main ran")
'''


def test_the_class_comes_with_what_it_rests_on_and_nothing_runs() -> None:
    text = definitions_for(SCRIPT.encode(), ["Mine"])
    for kept in ("from trl import ORPOTrainer", "SCALE, LEFT_OUT", "def double", "class Base", "Mine.extra = os.sep"):
        assert kept in text
    for dropped in ("sys.exit", "load(args)", "missing_logger", "train(Mine)", "__main__", '"""Trains."""'):
        assert dropped not in text


def test_what_is_kept_keeps_its_lines() -> None:
    theirs, kept = SCRIPT.split("\n"), definitions_for(SCRIPT.encode(), ["Mine"]).split("\n")
    assert kept.index("class Mine(Base, ORPOTrainer):") == theirs.index("class Mine(Base, ORPOTrainer):")
    assert kept[2] == "from __future__ import annotations"


def test_it_runs_without_the_script() -> None:
    text = "import sys\nHALF = 0.5\nx = sys.exit('ran')\n\n\nclass A:\n    def f(self, x):\n        return x * HALF\n"
    space: dict[str, object] = {}
    exec(compile(definitions_for(text.encode(), ["A"]), "a.py", "exec"), space)
    assert space["A"]().f(4) == 2.0  # type: ignore[operator]


def test_a_config_beside_it_comes_along() -> None:
    text = b"from trl import ORPOConfig, ORPOTrainer\nclass C(ORPOConfig): ...\nclass T(ORPOTrainer): ...\n"
    assert "class C" not in definitions_for(text, ["T"])
    assert "class C" in definitions_for(text, ["T", "C"])


def test_stars_stay_because_nobody_knows_what_they_bring() -> None:
    assert "from x import *" in definitions_for(b"from x import *\nimport y\nclass T(Base): ...\n", ["T"])


@pytest.mark.parametrize("text", [b"x = 1\n", b"def f():\n    class T: ...\n", b"T.x = 1\n"])
def test_a_class_that_is_not_there_is_refused(text: bytes) -> None:
    with pytest.raises(NoSuchClass):
        definitions_for(text, ["T"])
