"""There and back by rule alone: where nothing had to be split, the second rewrite restores every byte.

The journal's way back is exact always; that is `invert`, and every test of this folder checks it in `laws.rewritten`.
"""

from __future__ import annotations

import json

import pytest

from codemods.containers import rewrite_file
from codemods.options import Direction, Options
from tests.codemods.containers.laws import rewritten
from tests.codemods.containers.test_marimo_app import APP
from tests.codemods.containers.test_notebook import by_lines, notebook

EVERYTHING = Options(docs=True, configs=True, deps=True)
CELLS = ("# \u00fc\n!ls\nfrom trl import ORPOConfig, ORPOTrainer", "import trl", "t = trl.ORPOTrainer(ORPOConfig())\n")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("run.ipynb", json.dumps(by_lines(notebook(*CELLS)), indent=1)),
        ("run.ipynb", json.dumps(notebook(*CELLS))),
        (
            "a.md",
            "```python\nfrom trl import ORPOTrainer\n```\n- x\n  ```py\n  import trl\n  trl.ORPOTrainer()\n  ```\n",
        ),
        ("a.rst", ">>> from trl import ORPOTrainer as T\n>>> T()\n"),
        ("a.yaml", "a: trl.ORPOTrainer  # c\n"),
        ("a.json", '{"a": "trl.ORPOConfig"}'),
        ("requirements.txt", "torch\ntrl<0.12\n"),
        ("pyproject.toml", "[project]\ndependencies = [\n  'trl'\n]\n"),
        ("environment.yml", "dependencies:\n- pip:\n  - trl\n"),
        ("nb.py", APP.replace(", SFTConfig", "")),
        ("run.py", '# /// script\n# dependencies = [\n#   "trl",\n# ]\n# ///\nfrom trl import ORPOTrainer\n'),
    ],
)
@pytest.mark.parametrize("eol", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_the_same_rules_lead_back(path: str, source: str, eol: str) -> None:
    before = source.replace("\n", eol).encode()
    there = rewritten(path, before, EVERYTHING)
    assert there.changed
    back = rewrite_file(path, there.result, EVERYTHING, Direction.REVERSE)
    assert back.result == before


@pytest.mark.parametrize("path", ["run.sh", "uv.lock", "a.pyx", "a.yaml", "a.md", "run.ipynb", "requirements.txt"])
def test_the_way_back_reports_nothing_about_trl(path: str) -> None:
    source = json.dumps(notebook("!pip install trl")) if path.endswith("ipynb") else "trl\n# trl.ORPOTrainer\n"
    back = rewrite_file(path, source.encode(), EVERYTHING, Direction.REVERSE)
    assert (back.edits, back.findings) == ((), ())
