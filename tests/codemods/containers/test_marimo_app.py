"""marimo apps: one namespace spread over functions. The expected texts were run with marimo 0.25 when written."""

from __future__ import annotations

import ast

import pytest

from codemods.containers.marimo_app import flattened
from tests.codemods.containers.laws import codes, rewritten

APP = """import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import trl
    from trl import ORPOConfig, SFTConfig
    return ORPOConfig, SFTConfig, trl


@app.cell(hide_code=True)
async def train(
    ORPOConfig,
    trl,  # \u00fc
):
    # a comment
    trainer = trl.ORPOTrainer(args=ORPOConfig())
    return (
        trainer,
    )


@app.function
def helper(trl):
    return trl.ORPOTrainer


if __name__ == "__main__":
    app.run()
"""
MOVED = (
    APP.replace("    import trl\n", "    import orpo_compat\n")
    .replace("import ORPOConfig, SFTConfig\n", "import SFTConfig\n    from orpo_compat import ORPOConfig\n")
    .replace("= trl.ORPOTrainer", "= orpo_compat.ORPOTrainer")
)


@pytest.mark.parametrize("eol", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_a_module_imported_in_one_cell_moves_in_all(eol: str, bom: bytes) -> None:
    done = rewritten("nb.py", bom + APP.replace("\n", eol).encode())
    assert done.result == bom + MOVED.replace("\n", eol).encode()
    assert codes(done) == ["OC117"]
    assert "marimo check --fix" in done.findings[0].advice


def test_the_flat_view_has_the_same_length_and_lines_and_parses() -> None:
    flat = flattened(APP.encode())
    assert flat is not None
    assert len(flat) == len(APP.encode())
    assert [len(line) for line in flat.splitlines()] == [len(line) for line in APP.encode().splitlines()]
    names = {node.id for node in ast.walk(ast.parse(flat)) if isinstance(node, ast.Name)}
    assert {"trl", "ORPOConfig"} <= names


@pytest.mark.parametrize(
    "source",
    [
        "import trl\n",
        "import marimo\napp = marimo.App()\n",
        "import marimo\napp = marimo.App()\n@app.cell\ndef _(trl): return trl.ORPOTrainer\n",
        "import marimo\napp = marimo.App()\n@app.cell\ndef _(:\n",
    ],
)
def test_what_is_not_flattened_is_left_to_the_rules(source: str) -> None:
    assert flattened(source.encode()) is None


def test_a_parameter_of_another_function_still_shadows() -> None:
    source = APP.replace("@app.cell(hide_code=True)\nasync ", "@other.thing\n")
    done = rewritten("nb.py", source.encode())
    assert b"trainer = trl.ORPOTrainer" in done.result
