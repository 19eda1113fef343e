"""Programs made at random run alike before and after: what they read, in which order, and how they end.

TRL and orpo_compat are stand-ins that hold the same class objects, so any difference is the rewrite's. The programs
import, alias, shadow, delete, probe and rebind at every depth; most are nonsense, and nonsense must stay the same too.
"""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Callable

import pytest

from codemods.rewrite import rewrite

MODULES = {
    "trl": ["ORPOTrainer", "ORPOConfig", "SFTTrainer", "trainer", "experimental"],
    "trl.trainer": ["ORPOTrainer", "ORPOConfig", "SFTTrainer", "orpo_trainer", "orpo_config"],
    "trl.trainer.orpo_trainer": ["ORPOTrainer", "ORPOConfig", "SFTTrainer"],
    "trl.trainer.orpo_config": ["ORPOConfig"],
    "trl.experimental": ["orpo", "cpo"],
    "trl.experimental.cpo": ["SFTTrainer"],
    "trl.experimental.orpo": ["ORPOTrainer", "ORPOConfig", "orpo_trainer"],
    "trl.experimental.orpo.orpo_trainer": ["ORPOTrainer", "ORPOConfig", "SFTTrainer"],
    "orpo_compat": ["ORPOTrainer", "ORPOConfig"],
}
ALIASES = ["t", "o", "trl", "T", "ORPOTrainer"]
ROOTS = ["trl", "trl", "t", "o", "T", "ORPOTrainer", "ORPOConfig", "orpo", "trainer", "orpo_trainer", "experimental"]
ROADS = ["", ".ORPOTrainer", ".ORPOConfig", ".SFTTrainer", ".trainer.ORPOTrainer", ".experimental.orpo.ORPOTrainer"]
ROADS += [".trainer.orpo_trainer.ORPOConfig", ".orpo.ORPOTrainer", ".orpo_trainer.ORPOTrainer", ".trainer", ".__name__"]
USES = [
    "seen({0})",
    "seen(lambda: {0})",
    "seen([{0} for q in (1,)])",
    "seen([{0} for {1} in (1,)])",
    'seen(f"{{{0}!s:.3}}")',
    "{1} = {0}",
    "del {1}",
    "seen(({1} := 5))",
    "for {1} in (1, 2): seen({0})",
    'seen(hasattr({1}, "ORPOTrainer"))',
    'seen(getattr({1}, "ORPOTrainer", 0))',
    "seen(lambda {1}=1: {0})",
    "def g(a: '{0}' = {0}): seen(a)",
    "global {1}",
    "x = {0}; seen(x)",
]
BLOCKS = [
    "def f{1}():\n{0}\ntry: f{1}()\nexcept Exception as e: seen(type(e).__name__)",
    "class C{1}:\n{0}",
    "try:\n{0}\nexcept Exception as e_: seen(type(e_).__name__)",
    "try:\n{0}\nexcept ImportError:\n    {2}",
    "if side:\n{0}\nelse:\n    {2}",
]


class Programs:
    """A stream of programs."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def import_(self) -> str:
        pick = self.random.choice
        module = pick([name for name in MODULES if name.startswith("trl")])
        if self.random.random() < 0.4:
            more = f", {pick(['os', 'trl', 'trl.experimental.orpo'])}" if self.random.random() < 0.2 else ""
            return f"import {module}{f' as {pick(ALIASES)}' if self.random.random() < 0.5 else ''}{more}"
        taken = self.random.sample(MODULES[module], min(len(MODULES[module]), self.random.randint(1, 3)))
        names = [f"{name} as {pick(ALIASES)}" if self.random.random() < 0.25 else name for name in taken]
        form = pick(["{0}", "({0})", "({0},)", "(\n        {1},\n    )"])
        listed = form.format(", ".join(names), ",\n        ".join(names))
        return f"from {module} import {listed}"

    def use(self) -> str:
        road = self.random.choice(ROOTS) + self.random.choice(ROADS)
        return self.random.choice(USES).format(road, self.random.choice(ROOTS))

    def block(self, depth: int = 0) -> str:
        lines = []
        for _ in range(self.random.randint(1, 4)):
            kind = self.random.random()
            if kind < 0.4:
                lines.append(self.import_())
            elif kind < 0.8 or depth > 1:
                lines.append(self.use())
            else:
                body = "\n".join(f"    {line}" for line in self.block(depth + 1).split("\n"))
                other = self.import_().replace("\n", "\n    ")
                lines.append(self.random.choice(BLOCKS).format(body, depth, other))
        return "\n".join(lines)


def told(value: object, depth: int = 0) -> object:
    """A value as it can be compared between two runs."""
    if isinstance(value, types.ModuleType):
        return "a module"
    if isinstance(value, types.FunctionType) and depth < 3:
        try:
            return told(value(), depth + 1)
        except Exception as error:
            return type(error).__name__
    if isinstance(value, list):
        return [told(one, depth + 1) for one in value]
    return value if isinstance(value, (int, str)) else getattr(value, "__qualname__", type(value).__name__)


def run(text: str, side: int) -> tuple[list[object], str]:
    log: list[object] = []
    see: Callable[[object], None] = lambda value: log.append(told(value))  # noqa: E731
    try:
        exec(compile(text, "made.py", "exec"), {"__name__": "made", "seen": see, "side": side})
    except Exception as error:
        return log, type(error).__name__
    return log, "end"


@pytest.fixture
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = {name: type(name, (), {}) for name in ("ORPOTrainer", "ORPOConfig", "SFTTrainer")}
    made = {name: types.ModuleType(name) for name in MODULES}
    for name, module in made.items():
        for attribute in MODULES[name]:
            setattr(module, attribute, classes.get(attribute) or made.get(f"{name}.{attribute}"))
        monkeypatch.setitem(sys.modules, name, module)


def compiles(text: str) -> bool:
    try:
        compile(text, "made.py", "exec")
    except SyntaxError:
        return False
    return True


@pytest.mark.usefixtures("_stand_ins")
def test_programs_run_alike_before_and_after() -> None:
    programs = Programs(20)
    num_changed = 0
    for _ in range(500):
        text = programs.block() + "\n"
        if not compiles(text):
            continue
        done = rewrite(text.encode())
        after = done.result.decode()
        num_changed += done.changed
        assert "OC115" not in {finding.code for finding in done.findings}, text
        assert not rewrite(done.result).changed, text
        for side in (0, 1):
            assert run(after, side) == run(text, side), f"{text}\n--- became ---\n{after}"
    assert num_changed > 150
