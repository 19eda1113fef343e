"""Python in all its files: stubs, scripts without a suffix, percent scripts; the rules have tests of their own."""

from __future__ import annotations

import pytest

from codemods.containers import rewrite_file
from codemods.options import Direction, Options
from tests.codemods.containers.laws import codes, lines_with, rewritten

LINE = "from trl import ORPOTrainer as ORPOTrainer\n"
MOVED = "from orpo_compat import ORPOTrainer as ORPOTrainer\n"


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("m.py", ""),
        ("m.pyi", ""),
        ("m.pyw", ""),
        ("bin/train", "#!/usr/bin/env python3\n"),
        ("bin/train", "#!/usr/bin/python\n# -*- coding: utf-8 -*-\n"),
    ],
)
def test_python_is_rewritten_whatever_the_file_is_called(path: str, head: str) -> None:
    assert rewritten(path, (head + LINE).encode()).result == (head + MOVED).encode()


def test_a_file_without_orpo_is_returned_as_the_same_object() -> None:
    source = b"import os\n"
    assert rewrite_file("m.py", source, Options()).result is source


def test_percent_scripts_are_modules_and_their_shell_comments_are_reported() -> None:
    source = "# %%\n# !pip install trl\n# pip install trl\n# %pip install -U trl\n# %%\n" + LINE
    done = rewritten("nb.py", source.encode())
    assert done.result.decode() == source.replace(LINE, MOVED)
    assert lines_with(done, "OC120") == [2, 4]


def test_a_paired_percent_script_is_told_to_sync() -> None:
    head = "# ---\n# jupyter:\n#   jupytext:\n#     formats: ipynb,py:percent\n# ---\n\n# %%\n"
    assert lines_with(rewritten("nb.py", (head + LINE).encode()), "OC117") == [4]
    assert codes(rewritten("nb.py", (head + "x = 1\n").encode())) == []


def test_the_way_back_goes_where_it_is_told() -> None:
    done = rewrite_file("m.py", MOVED.encode(), Options(), Direction.REVERSE, to="trl.experimental.orpo")
    assert done.result == b"from trl.experimental.orpo import ORPOTrainer as ORPOTrainer\n"


def test_a_broken_header_is_reported_and_the_import_moves() -> None:
    source = '# /// script\n# dependencies = ["trl\n# ///\n' + LINE
    done = rewritten("m.py", source.encode(), Options(deps=True))
    assert done.result.decode() == source.replace(LINE, MOVED)
    assert "OC120" in codes(done)


def test_an_install_in_a_databricks_notebook_is_told() -> None:
    source = b"# Databricks notebook source\n# MAGIC %pip install trl==0.24\nfrom trl import ORPOTrainer\n"
    done = rewrite_file("a.py", source + b"# pip install trl\n", Options())
    assert [(one.code, one.line) for one in done.findings] == [("OC120", 2)]
