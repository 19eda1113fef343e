"""Modules made up by hypothesis that import and use TRL in every way the rules know, and a world to run them in.

Each statement stores what it read in a variable of its own. The fake ``trl`` and ``orpo_compat`` hold strings under the
classes' names, so a module and its rewrite can both be executed and must end with the same variables.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from hypothesis import strategies as st

NAMES = ("ORPOTrainer", "ORPOConfig", "SFTTrainer", "ModelConfig")
CLASS_HOMES = ("trl", "trl.trainer", "trl.trainer.orpo_trainer", "trl.experimental.orpo")
MODULES = (
    *CLASS_HOMES,
    "trl.experimental",
    "trl.trainer.orpo_config",
    "trl.experimental.orpo.orpo_trainer",
    "trl.experimental.orpo.orpo_config",
)


@contextmanager
def world() -> Iterator[None]:
    """Fake packages in ``sys.modules``: every module of TRL with every name, and ours with the two classes."""
    saved = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in {"trl", "orpo_compat"}
    }
    try:
        for path in sorted(MODULES):
            module = ModuleType(path)
            module.__path__ = []  # type: ignore[attr-defined]
            for name in NAMES:
                setattr(module, name, name)
            sys.modules[path] = module
            above, _, leaf = path.rpartition(".")
            if above:
                setattr(sys.modules[above], leaf, module)
        ours = ModuleType("orpo_compat")
        ours.ORPOTrainer, ours.ORPOConfig = "ORPOTrainer", "ORPOConfig"  # type: ignore[attr-defined]
        sys.modules["orpo_compat"] = ours
        yield
    finally:
        for name in _loaded():
            del sys.modules[name]
        sys.modules.update(saved)


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in {"trl", "orpo_compat"}]


def outcome(source: bytes) -> dict[str, object]:
    """Run the module and return the variables it ends with, modules and functions aside."""
    space: dict[str, object] = {"__name__": "made_up", "__builtins__": builtins}
    exec(compile(source, "made_up.py", "exec"), space)
    return {name: value for name, value in space.items() if name.startswith("v") and isinstance(value, (str, tuple))}


def modules() -> st.SearchStrategy[bytes]:
    """Whole modules as bytes, in several encodings, line ends and with or without a final one."""
    body = st.lists(st.builds(_numbered, _statement()), min_size=1, max_size=6)
    return st.builds(_assembled, body, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(_HEADS), st.booleans())


_HEADS = (
    ("", "utf-8"),
    ("\ufeff", "utf-8"),
    ("# coding: latin-1\n# \xe9\n", "latin-1"),
    ('"""Doc \u2028."""\n', "utf-8"),
)


def _assembled(body: list[str], eol: str, head: tuple[str, str], final: bool) -> bytes:
    prefix, encoding = head
    text = "".join(part.replace("vN", f"v{number}").replace("aN", f"a{number}") for number, part in enumerate(body))
    text = prefix + text
    return (text if final else text.rstrip("\n")).replace("\n", eol).encode(encoding)


def _numbered(statement: str) -> str:
    return statement


@st.composite
def _statement(draw: st.DrawFn) -> str:
    core = draw(st.one_of(_names_import(), _module_import(), _from_module(), st.sampled_from(_FIXED)))
    comment = draw(st.sampled_from(["", "  # noqa: E402", "  # why"]))
    compound = "\n    " in core and "(\n" not in core
    shape = draw(st.sampled_from(["plain", "if", "def", "try"] + ([] if compound else ["class", "chain"])))
    lines = core.split("\n")
    if shape == "chain" and "(" not in lines[0] and "\\" not in core:
        return "; ".join(line for line in lines if line) + comment + "\n"
    lines[0] += comment if "(\n" not in core and "\\" not in core else ""
    if shape == "if":
        return "if True:\n" + _indented(lines)
    if shape == "def":
        return "def f():\n" + _indented(lines) + "    return vN\nvN = f()\n"
    if shape == "class":
        return "class C:\n" + _indented(lines) + "vN = C.vN\n"
    if shape == "try":
        return "try:\n" + _indented(lines) + "except ImportError:\n    pass\n"
    return "\n".join(lines) + "\n"


def _indented(lines: list[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)


@st.composite
def _names_import(draw: st.DrawFn) -> str:
    home = draw(st.sampled_from(CLASS_HOMES))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    written = [f"{name} as {name[:3]}aN" if draw(st.booleans()) else name for name in names]
    read = ", ".join(one.rpartition(" ")[2] for one in written)
    layout = draw(st.sampled_from(["line", "parens", "block", "commented", "backslash"]))
    if layout == "block":
        listed = "(\n" + "".join(f"    {one},\n" for one in written) + ")"
    elif layout == "commented":
        listed = "(\n" + "".join(f"    {one},  # {one[:3]}\n" for one in written) + ")"
    elif layout == "backslash":
        listed = ", \\\n        ".join(written)
    else:
        listed = f"({', '.join(written)},)" if layout == "parens" else ", ".join(written)
    return f"from {home} import {listed}\nvN = ({read},)"


@st.composite
def _module_import(draw: st.DrawFn) -> str:
    path = draw(st.sampled_from(CLASS_HOMES))
    alias = draw(st.sampled_from(["", " as aN"]))
    root = "aN" if alias else path
    reads = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
    return f"import {path}{alias}\nvN = ({', '.join(f'{root}.{name}' for name in reads)},)"


@st.composite
def _from_module(draw: st.DrawFn) -> str:
    path = draw(st.sampled_from([path for path in MODULES if "." in path and path != "trl.experimental"]))
    above, _, leaf = path.rpartition(".")
    alias = draw(st.sampled_from(["", " as aN"]))
    reads = draw(st.lists(st.sampled_from(("ORPOConfig", "SFTTrainer")), min_size=1, max_size=2))
    return f"from {above} import {leaf}{alias}\nvN = ({', '.join(f'{alias[4:] or leaf}.{name}' for name in reads)},)"


_FIXED = (
    "import trl\nif trl.__name__ == 'xN':\n    import trl.experimental.orpo\n"
    "    vN = trl.experimental.orpo.ORPOConfig\nelse:\n    vN = trl.ORPOTrainer",
    "import trl\nif trl.__name__:\n    import trl.trainer\n    vN = trl.trainer.ORPOConfig, trl.SFTTrainer",
    "def gN():\n    return trl.ORPOTrainer, trl.ModelConfig\nimport trl\nvN = gN()",
    "import trl\nvN = [trl for trl in ('x',)][0]",
    "import trl\nvN = (lambda trl: trl)('ORPOTrainer')",
    "import trl\nvN = f'{trl.ORPOConfig!r:>20}'",
    "import trl\nvN = str(getattr(trl, 'ORPOConfig'))",
    "import trl\nvN = trl.__name__ and 'trl.ORPOConfig'",
    "vN = __import__('trl').ORPOTrainer",
    "vN = 'from trl import ORPOTrainer'",
    "import trl.experimental.orpo, trl\nvN = (trl.experimental.orpo.ORPOConfig, trl.SFTTrainer)",
)
