"""``orpo-compat scan``: the inventory, read-only."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.calls import call
from tests.codemods.trees import make_tree, snapshot

NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        for source in (["%pip install x\n", "import trl\n"], "t = trl.ORPOTrainer\n")
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def tree(tmp_path: Path) -> Path:
    files = {
        "old.py": b"from trl import ORPOConfig, SFTConfig\n",
        "new.py": b"from trl.experimental.orpo import ORPOTrainer as T\n",
        "ours.py": b"from orpo_compat import ORPOTrainer\n",
        "nb.ipynb": json.dumps(NOTEBOOK, indent=1).encode(),
        "none.py": b"class ORPOTrainer: ...\n",
    }
    return make_tree(tmp_path / "t", files)


def test_inventory_names_sources_releases_and_what_would_change(tmp_path: Path) -> None:
    result = call("scan", tree(tmp_path))
    lines = result.stdout.splitlines()
    assert "  1: trl.ORPOConfig (TRL 0.8.2 to 0.28)" in lines
    assert "  1: trl.experimental.orpo.ORPOTrainer (TRL 0.26 and later)" in lines
    ours = lines.index("ours.py: works on any TRL release, or none; nothing to change")
    assert lines[ours + 1] == "  1: orpo_compat.ORPOTrainer (orpo-compat)"
    assert any(line.startswith("old.py: works on TRL 0.8.2 to 0.28; ") and line.endswith(" to edit") for line in lines)
    assert "none.py" not in result.stdout


def test_notebook_uses_are_placed_at_their_line_of_the_file(tmp_path: Path) -> None:
    root = tree(tmp_path)
    usages = json.loads(call("scan", root, "--report", "json").stdout)["usages"]
    (use,) = (one for one in usages if one["path"] == "nb.ipynb")
    assert b"trl.ORPOTrainer" in (root / "nb.ipynb").read_bytes().split(b"\n")[use["line"] - 1]


def test_scan_writes_nothing(tmp_path: Path) -> None:
    root = tree(tmp_path)
    before = snapshot(root, journal=True)
    call("scan", root)
    assert snapshot(root, journal=True) == before


def test_scan_exits_three_only_when_there_is_something_to_look_at(tmp_path: Path) -> None:
    quiet = make_tree(tmp_path / "q", {"a.py": b"from trl import ORPOTrainer\n"})
    assert call("scan", quiet).exit_code == 0
    loud = make_tree(tmp_path / "l", {"a.py": b"s = 'trl.ORPOTrainer'\n"})
    assert call("scan", loud).exit_code == 3
