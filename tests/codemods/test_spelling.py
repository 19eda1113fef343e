"""Which characters Python takes for the letters of a name: every one Unicode has, checked one by one."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from codemods.containers import rewrite_file
from codemods.discover import is_telling
from codemods.options import Direction, Options
from codemods.rewrite import rewrite
from codemods.spelling import identifier, spelt_out
from tests.codemods.checks import check_noop, check_rewrites

LETTERS = frozenset("trl ORPOTrainer ORPOConfig orpo_trainer orpo_config experimental orpo_compat".replace(" ", ""))


def _full(name: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in name)


def test_no_character_that_stands_for_our_letters_is_missed() -> None:
    hidden = [chr(code) for code in range(128, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    hidden = [one for one in hidden if one.isidentifier() or ("a" + one).isidentifier()]
    hidden = [one for one in hidden if set(unicodedata.normalize("NFKC", one)) <= LETTERS]
    assert len(hidden) > 300
    for one in hidden:
        assert spelt_out(f"x{one}".encode()) == f"x{identifier(one)}".encode(), hex(ord(one))


def test_text_without_such_characters_is_the_same_object() -> None:
    for text in (b"plain", "ein \u00dcberblick, \uff08\u4e2d\u6587\uff09".encode()):
        assert spelt_out(text) is text


@pytest.mark.parametrize("name", [_full("ORPOTrainer"), "O\u211dPOTrainer", "\U0001d40eRPOTrainer", "\uff2fRPOTrainer"])
def test_a_name_in_other_letters_moves_as_it_is_written(name: str) -> None:
    assert identifier(name) == "ORPOTrainer"
    check_rewrites(
        f"from trl import {name}, X\n{name}()\n", f"from trl import X\nfrom orpo_compat import {name}\n{name}()\n"
    )
    check_rewrites(f"import trl\ntrl.{name}()\n", f"import orpo_compat\norpo_compat.{name}()\n")
    check_rewrites(
        f"import trl\ndef f(x: 'trl.{name}'): ...\n", f"import orpo_compat\ndef f(x: 'orpo_compat.{name}'): ...\n"
    )


def test_a_ligature_spells_two_letters() -> None:
    check_rewrites("from trl import ORPOCon\ufb01g\n", "from orpo_compat import ORPOCon\ufb01g\n")


def test_a_package_in_other_letters_is_the_package() -> None:
    trl = _full("trl")
    check_rewrites(f"import {trl}\n{trl}.ORPOTrainer()\n", "import orpo_compat\norpo_compat.ORPOTrainer()\n")
    check_rewrites(f"import trl\n{trl}.ORPOTrainer()\n", "import orpo_compat\norpo_compat.ORPOTrainer()\n")
    check_rewrites(f"from {trl}.{_full('trainer')} import ORPOConfig\n", "from orpo_compat import ORPOConfig\n")
    for path in ("a.py", "a.b/train"):
        assert is_telling(path, f"#!/usr/bin/python\nfrom {trl} import {_full('ORPOConfig')}\n".encode())
    assert not is_telling("a.json", _full("ORPOConfig").encode())


def test_a_module_all_in_other_letters_comes_back() -> None:
    source = f"from {_full('trl')} import {_full('ORPOConfig')}\n".encode()
    done = rewrite(source)
    assert done.result == f"from orpo_compat import {_full('ORPOConfig')}\n".encode()
    back = rewrite(done.result, direction=Direction.REVERSE, to="trl")
    assert back.result == f"from trl import {_full('ORPOConfig')}\n".encode()


def test_strings_are_not_names_and_stay_silent() -> None:
    check_noop(f"x = 'trl.{_full('ORPOTrainer')}'\n")


@pytest.mark.parametrize("written", [_full("ORPO"), "\\uff2f\\uff32\\uff30\\uff2f"])
def test_a_notebook_in_other_letters_moves(written: str) -> None:
    cell = f'{{"cells": [{{"cell_type": "code", "source": ["from trl import {written}Config"]}}], "nbformat": 4}}'
    assert is_telling("a.ipynb", cell.encode())
    done = rewrite_file("a.ipynb", cell.encode(), Options())
    assert done.result == cell.replace("from trl import", "from orpo_compat import").encode()
