"""Random notebooks in random JSON styles: the cells say what the rules make of their joined Python, all else stays.

The oracle is `codemods.rewrite.rewrite` on the cells joined by hand, and `json.loads` for everything around them.
"""

from __future__ import annotations

import json
from typing import Any

import nbformat
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook

from codemods.rewrite import rewrite
from tests.codemods.containers.laws import codes, rewritten
from tests.codemods.containers.test_notebook import without_sources

STATEMENTS = [
    "from trl import ORPOTrainer",
    "from trl import ORPOConfig, ORPOTrainer  # \u00fcber \U0001f600",
    "from trl import ORPOTrainer, SFTTrainer",
    'from trl import (\n    DPOTrainer,\n    ORPOTrainer,  # "main" \\\n)',
    "from trl.trainer.orpo_config import ORPOConfig as C",
    "import trl",
    "import trl.experimental.orpo as o",
    "from trl import ORPOConfig, \\\n    SFTConfig",
    "if x: from trl import ORPOTrainer, DPOTrainer",
    "x = trl.ORPOTrainer(o.ORPOConfig('\\t\\u00e9'))",
    "s = '\u4f60\u597d'; t = trl.SFTTrainer; from trl import ORPOConfig, DPOConfig",
    "def f():\n\tfrom trl import ORPOTrainer, KTOTrainer\n\n\treturn ORPOTrainer",
    "# a comment\n",
    "",
    "y = 1\n\n",
]
CELLS = st.lists(st.lists(st.sampled_from(STATEMENTS), max_size=4).map("\n".join), min_size=1, max_size=5)
INDENTS = st.sampled_from([None, 0, 1, 2, "\t"])


@st.composite
def notebooks(draw: st.DrawFn, *, ragged: bool) -> tuple[list[str], bytes]:
    """Cell texts, and a notebook file that holds them."""
    texts = draw(CELLS)
    made: dict[str, Any] = json.loads(json.dumps(new_notebook(cells=[new_code_cell("") for _ in texts])))
    for cell, text in zip(made["cells"], texts, strict=True):
        cell["source"] = _stored(draw, text, ragged=ragged)
    dumped = json.dumps(made, indent=draw(INDENTS), ensure_ascii=draw(st.booleans()))
    tail = draw(st.sampled_from(["", "\n", "\n\n"]))
    return texts, (dumped + tail).replace("\n", draw(st.sampled_from(["\n", "\r\n"]))).encode()


def _stored(draw: st.DrawFn, text: str, *, ragged: bool) -> Any:
    if ragged:
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)))
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return text.splitlines(keepends=True) if draw(st.booleans()) else text


def joined(result: bytes) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(result)["cells"]]


def expected(texts: list[str]) -> str:
    """What the rules make of all cells as one module, blank cells left out."""
    module = "".join(text if text.endswith("\n") else text + "\n" for text in texts if text.strip())
    return rewrite(module.encode(), path="run.ipynb").result.decode()


def as_module(cells: list[str]) -> str:
    return "".join(text if text.endswith("\n") else text + "\n" for text in cells if text.strip())


@settings(max_examples=150, deadline=None)
@given(notebooks(ragged=False))
def test_the_cells_become_what_the_rules_make_of_them(case: tuple[list[str], bytes]) -> None:
    texts, source = case
    done = rewritten("run.ipynb", source)
    assert as_module(joined(done.result)) == expected(texts)
    assert without_sources(done.result) == without_sources(source)
    nbformat.validate(json.loads(done.result))


@settings(max_examples=100, deadline=None)
@given(notebooks(ragged=True))
def test_sources_split_anywhere_are_rewritten_whole_or_reported(case: tuple[list[str], bytes]) -> None:
    texts, source = case
    done = rewritten("run.ipynb", source)
    assert without_sources(done.result) == without_sources(source)
    if "OC117" in codes(done):
        assert joined(done.result) == texts
    else:
        assert as_module(joined(done.result)) == expected(texts)
