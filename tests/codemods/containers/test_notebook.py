"""Notebooks are edited inside their JSON strings: the oracle is `json.loads` of both sides, and the bytes between."""

from __future__ import annotations

import json
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from codemods.containers import rewrite_file
from codemods.options import Options
from tests.codemods.containers.laws import codes, lines_with, rewritten


def notebook(*sources: str, **metadata: Any) -> dict[str, Any]:
    """A valid notebook whose code cells hold `sources`, each as one string."""
    made = new_notebook(cells=[new_code_cell(source) for source in sources], metadata=metadata)
    for number, cell in enumerate(made["cells"]):
        cell["id"] = f"cell-{number}"
    result: dict[str, Any] = json.loads(json.dumps(made))
    return result


def by_lines(made: dict[str, Any]) -> dict[str, Any]:
    """The same notebook with every source as a list of lines, as Jupyter writes it to disk."""
    for cell in made["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    return made


def sources(text: bytes) -> list[str]:
    """The source of every cell, joined."""
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]


def without_sources(text: bytes) -> Any:
    """The notebook with all sources blanked, to compare everything else."""
    made = json.loads(text)
    for cell in made["cells"]:
        cell["source"] = None
    return made


BEFORE = [
    "!pip install -q datasets\n%load_ext autoreload\nfrom trl import ORPOConfig, ORPOTrainer, setup_chat_format",
    "# gr\u00f6\u00dfe: \u4f60\u597d \U0001f600 \"quoted\" \\ back\\slash\nargs = ORPOConfig(output_dir='a\\tb')\n",
    "import trl\nprint(trl.__version__)\nt = trl.ORPOTrainer(args=args)",
]
AFTER = [
    "!pip install -q datasets\n%load_ext autoreload\nfrom trl import setup_chat_format\n"
    "from orpo_compat import ORPOConfig, ORPOTrainer",
    BEFORE[1],
    "import trl\nimport orpo_compat\nprint(trl.__version__)\nt = orpo_compat.ORPOTrainer(args=args)",
]

STYLES: dict[str, dict[str, Any]] = {
    "indent 1": {"indent": 1, "ensure_ascii": False},
    "indent 1, ascii": {"indent": 1},
    "indent 2": {"indent": 2, "ensure_ascii": False},
    "indent 4, sorted": {"indent": 4, "sort_keys": True},
    "one line": {},
    "one line, no blanks": {"separators": (",", ":")},
    "tabs": {"indent": "\t"},
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("listed", [True, False], ids=["lines", "string"])
@pytest.mark.parametrize("eol", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("tail", ["", "\n"], ids=["no final newline", "final newline"])
def test_only_source_lines_change_whatever_the_json_style(style: str, listed: bool, eol: str, tail: str) -> None:
    made = notebook(*BEFORE)
    text = (json.dumps(by_lines(made) if listed else made, **STYLES[style]) + tail).replace("\n", eol)
    done = rewritten("run.ipynb", text.encode())
    assert sources(done.result) == AFTER
    assert without_sources(done.result) == without_sources(done.source)
    nbformat.validate(json.loads(done.result))
    other_eol = done.result.replace(b"\r\n", b"") if eol == "\r\n" else done.result.replace(b"\n", b"")
    assert b"\n" not in other_eol
    assert b"\r" not in other_eol


def test_a_list_of_lines_is_written_back_as_jupyter_would_split_it() -> None:
    text = json.dumps(by_lines(notebook(*BEFORE)), indent=1).encode()
    result = json.loads(rewritten("run.ipynb", text).result)
    for cell, source in zip(result["cells"], AFTER, strict=True):
        assert cell["source"] == source.splitlines(keepends=True)


def test_a_new_line_is_indented_like_its_neighbours() -> None:
    text = json.dumps(by_lines(notebook("from trl import ORPOTrainer, DPOTrainer")), indent=3).encode()
    assert rewritten("run.ipynb", text).result == text.replace(
        b'"from trl import ORPOTrainer, DPOTrainer"',
        b'"from trl import DPOTrainer\\n",\n            "from orpo_compat import ORPOTrainer"',
    )


def test_one_replaced_token_leaves_every_other_byte_alone() -> None:
    text = json.dumps(by_lines(notebook("from trl import ORPOConfig, ORPOTrainer\n\nt = 1")), indent=1).encode()
    done = rewritten("run.ipynb", text)
    assert done.result == text.replace(b"from trl import", b"from orpo_compat import")
    assert [(edit.old, edit.new) for edit in done.edits] == [(b"trl", b"orpo_compat")]


def test_import_in_one_cell_and_use_in_another_are_one_scope() -> None:
    done = rewritten("run.ipynb", json.dumps(notebook("import trl", "x = 1", "t = trl.ORPOTrainer()")).encode())
    assert sources(done.result) == ["import orpo_compat", "x = 1", "t = orpo_compat.ORPOTrainer()"]


def test_a_parenthesised_import_loses_and_gains_list_elements() -> None:
    cell = "from trl import (\n    ORPOConfig,  # \u00e4\n    SFTConfig,\n    ORPOTrainer,\n)\nx = 1"
    text = json.dumps(by_lines(notebook(cell)), indent=1).encode()
    done = rewritten("run.ipynb", text)
    kept, moved = "(\n    SFTConfig,\n)", "(\n    ORPOConfig,  # \u00e4\n    ORPOTrainer,\n)"
    assert sources(done.result) == [f"from trl import {kept}\nfrom orpo_compat import {moved}\nx = 1"]
    assert json.loads(done.result)["cells"][0]["source"] == sources(done.result)[0].splitlines(keepends=True)


def test_syntax_newer_than_this_interpreter_is_read() -> None:
    cell = "import trl\ntype T = trl.ORPOTrainer\ndef f[U: trl.ORPOTrainer](u: U): ..."
    done = rewritten("run.ipynb", json.dumps(notebook("!ls", cell)).encode())
    assert sources(done.result) == ["!ls", cell.replace("trl", "orpo_compat")]


def test_outputs_that_show_the_class_are_history() -> None:
    made = notebook("from trl import SFTTrainer")
    shown = "<trl.trainer.orpo_trainer.ORPOTrainer at 0x7f>"
    made["cells"][0]["outputs"] = [json.loads(json.dumps(new_output("stream", text=shown)))]
    done = rewritten("run.ipynb", json.dumps(made).encode())
    assert not done.changed
    assert codes(done) == []


def test_pip_in_a_cell_is_reported_and_the_import_still_moves() -> None:
    text = json.dumps(notebook("!pip install trl\n%load_ext x\nfrom trl import ORPOTrainer"), indent=1).encode()
    done = rewritten("run.ipynb", text)
    assert sources(done.result) == ["!pip install trl\n%load_ext x\nfrom orpo_compat import ORPOTrainer"]
    assert codes(done) == ["OC120"]
    assert b"pip install trl" in text.splitlines()[lines_with(done, "OC120")[0] - 1]


@pytest.mark.parametrize("magic", ["%%bash", "%%writefile train.py", "%%html", "%%script python3", "%%python"])
def test_foreign_cells_are_reported_and_kept(magic: str) -> None:
    made = notebook(f"{magic}\nfrom trl import ORPOTrainer", "from trl import ORPOTrainer")
    done = rewritten("run.ipynb", json.dumps(made).encode())
    assert sources(done.result) == [f"{magic}\nfrom trl import ORPOTrainer", "from orpo_compat import ORPOTrainer"]
    assert codes(done) == ["OC117"]
    assert magic.split()[0] in done.findings[0].message


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%timeit -n 1"])
def test_cell_magics_that_run_python_are_seen_through(magic: str) -> None:
    done = rewritten("run.ipynb", json.dumps(notebook(f"{magic}\nfrom trl import ORPOTrainer")).encode())
    assert sources(done.result) == [f"{magic}\nfrom orpo_compat import ORPOTrainer"]


@pytest.mark.parametrize("gap", ["<your code here>", "...<insert>...", "x = ... < your model > ...", "def f(:"])
def test_a_cell_that_is_not_python_does_not_stop_the_others(gap: str) -> None:
    made = notebook(f"from trl import ORPOTrainer\n{gap}", "from trl import ORPOTrainer")
    done = rewritten("run.ipynb", json.dumps(made).encode())
    assert sources(done.result)[1] == "from orpo_compat import ORPOTrainer"
    assert codes(done) == ["OC115"]
    assert done.findings[0].message.startswith("Cell 1: cannot be read as Python")


def test_a_magic_that_uses_the_module_keeps_its_import() -> None:
    made = notebook("import trl\nt = trl.ORPOTrainer()", "%timeit trl.SFTTrainer()")
    done = rewritten("run.ipynb", json.dumps(made).encode())
    assert sources(done.result)[0] == "import trl\nimport orpo_compat\nt = orpo_compat.ORPOTrainer()"
    assert sources(done.result)[1] == made["cells"][1]["source"]


@pytest.mark.parametrize(
    "line", ["trl.ORPOTrainer?", "?trl.ORPOTrainer", "%time trl.ORPOTrainer()", "x = %sql {trl.ORPOTrainer}"]
)
def test_a_masked_use_is_reported_once_and_keeps_the_import(line: str) -> None:
    done = rewritten("run.ipynb", json.dumps(notebook(f"import trl\nt = trl.ORPOTrainer()\n{line}")).encode())
    assert sources(done.result) == [f"import trl\nimport orpo_compat\nt = orpo_compat.ORPOTrainer()\n{line}"]
    assert codes(done) == ["OC117"]


def test_a_notebook_paired_by_jupytext_is_told_to_sync() -> None:
    made = notebook("from trl import ORPOTrainer", jupytext={"formats": "ipynb,py:percent"})
    done = rewritten("run.ipynb", json.dumps(made).encode())
    assert codes(done) == ["OC117"]
    assert "jupytext --sync" in done.findings[0].advice
    assert codes(rewritten("run.ipynb", json.dumps(notebook("x", jupytext={"formats": "ipynb,py"})).encode())) == []


def test_a_shell_line_that_only_says_trl_does_not_keep_the_import() -> None:
    done = rewritten("run.ipynb", json.dumps(notebook("!echo trl\nimport trl\nt = trl.ORPOTrainer()")).encode())
    assert sources(done.result) == ["!echo trl\nimport orpo_compat\nt = orpo_compat.ORPOTrainer()"]


def test_a_magic_line_about_orpo_is_reported() -> None:
    done = rewritten("run.ipynb", json.dumps(notebook('import os\n!python -c "from trl import ORPOTrainer"')).encode())
    assert not done.changed
    assert codes(done) == ["OC117"]


def test_markdown_cells_are_reported_as_documentation() -> None:
    made = new_notebook(cells=[new_markdown_cell("Uses `trl.ORPOTrainer`."), new_code_cell("x = 1")])
    done = rewritten("run.ipynb", json.dumps(made).encode())
    assert not done.changed
    assert codes(done) == ["OC118"]


def test_other_languages_are_left_alone() -> None:
    made = notebook("library(reticulate)\n# from trl import ORPOTrainer", language_info={"name": "R"})
    done = rewritten("run.ipynb", json.dumps(made).encode())
    assert not done.changed
    assert codes(done) == ["OC117"]


@pytest.mark.parametrize("text", [b"{", b'{"cells": [', b"from trl import ORPOTrainer", b'{"cells": []} x', b"[]"])
def test_what_is_no_notebook_is_reported_and_kept(text: bytes) -> None:
    done = rewritten("run.ipynb", text)
    assert not done.changed
    assert codes(done) == ["OC115"]


def test_an_empty_notebook_says_nothing() -> None:
    done = rewritten("run.ipynb", json.dumps(notebook()).encode())
    assert not done.changed
    assert codes(done) == []


def test_old_notebooks_keep_their_cells_in_worksheets() -> None:
    cell = {"cell_type": "code", "language": "python", "input": ["from trl import ORPOTrainer"], "outputs": []}
    made = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [cell], "metadata": {}}]}
    done = rewritten("run.ipynb", json.dumps(made).encode())
    assert json.loads(done.result)["worksheets"][0]["cells"][0]["input"] == ["from orpo_compat import ORPOTrainer"]


def test_a_byte_order_mark_stays_first() -> None:
    text = b"\xef\xbb\xbf" + json.dumps(notebook("from trl import ORPOTrainer")).encode()
    assert rewritten("run.ipynb", text).result == text.replace(b"from trl", b"from orpo_compat")


def test_a_shadowed_trl_is_not_moved() -> None:
    text = json.dumps(notebook("from trl import ORPOTrainer")).encode()
    assert not rewritten("run.ipynb", text, Options(first_party=frozenset({"trl"}))).changed


def test_windows_line_ends_inside_cells_are_kept() -> None:
    done = rewritten("run.ipynb", json.dumps(notebook("from trl import ORPOTrainer, SFTTrainer\r\nx = 1\r\n")).encode())
    assert sources(done.result) == ["from trl import SFTTrainer\r\nfrom orpo_compat import ORPOTrainer\r\nx = 1\r\n"]


def test_a_magic_line_that_reads_a_class_by_a_short_name_is_told() -> None:
    cell = '["import trl as t\\n", "t.ORPOTrainer?\\n", "t.SFTTrainer?\\n", "t.ORPOConfig()"]'
    source = f'{{"cells": [{{"cell_type": "code", "source":\n{cell}\n}}], "nbformat": 4}}'.replace(", ", ",\n").encode()
    done = rewrite_file("a.ipynb", source, Options())
    told = [finding for finding in done.findings if finding.code == "OC117"]
    assert [source.splitlines()[finding.line - 1] for finding in told] == [b'"t.ORPOTrainer?\\n",']
    assert b"import orpo_compat" in done.result
    assert b"import trl as t" in done.result


def test_prose_of_a_notebook_is_told_once_a_line() -> None:
    text = '["trl.ORPOTrainer is TRL\'s ORPOTrainer\\n",\n"TRL\'s `ORPOTrainer` too"]'
    source = f'{{"cells": [{{"cell_type": "markdown", "source":\n{text}\n}}], "nbformat": 4}}'.encode()
    done = rewrite_file("a.ipynb", source, Options())
    assert [(finding.code, finding.line) for finding in done.findings] == [("OC118", 2), ("OC118", 3)]
