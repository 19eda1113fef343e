"""A form feed in front of a line changes nothing about what the line becomes; the parser sees the line without it."""

from __future__ import annotations

import ast
import random

import pytest

from codemods.form_feeds import without_form_feeds
from codemods.rewrite import invert, rewrite
from tests.codemods.checks import check_refuses, check_rewrites
from tests.codemods.test_same_behaviour import Programs, compiles


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a = 1\n", "a = 1\n"),
        ("\fa = 1\n", "a = 1\n"),
        ("if a:\n  \f    b\n", "if a:\n    b\n"),
        ("if a:\r\n\f    b\r\n", "if a:\r\n    b\r\n"),
        ("if a:\r\f    b\r", "if a:\r    b\r"),
        ("a = 1\n\f\nb = 2\n", "a = 1\n\f\nb = 2\n"),
        ("a\f= 1\n", "a\f= 1\n"),
        ('a = """\n  \f  b\n"""\n\fc = 1\n', 'a = """\n  \f  b\n"""\nc = 1\n'),
        ("a = 'b\\\n  \f  c'\n", "a = 'b\\\n  \f  c'\n"),
        ('a = f"""\n  \f  {b}\n"""\n', 'a = f"""\n  \f  {b}\n"""\n'),
        ("\f    a = '''open\n", "\f    a = '''open\n"),
    ],
)
def test_indentation_begins_after_the_last_form_feed_and_strings_keep_theirs(text: str, plain: str) -> None:
    assert without_form_feeds(text) == plain


@pytest.mark.parametrize("blanks", ["\f    ", "  \f    ", "    \f    ", "\f\f    ", " \f \f    ", "\t\f    "])
def test_an_import_behind_a_form_feed_moves_and_every_byte_around_it_stays(blanks: str) -> None:
    check_rewrites(
        f"def f():\n    a = 1\n{blanks}from trl import ORPOConfig, X\n    return a\n",
        f"def f():\n    a = 1\n{blanks}from trl import X\n    from orpo_compat import ORPOConfig\n    return a\n",
    )


def test_a_form_feed_that_python_refuses_is_left_alone() -> None:
    check_refuses("if a:\n    \ffrom trl import ORPOConfig\n", "OC115")


def _with_form_feeds(text: str, seed: int) -> str:
    pick = random.Random(seed)
    lines = text.split("\n")
    return "\n".join(
        f"{pick.choice(['', '  ', '     '])}\f{one}" if one and pick.random() < 0.4 else one for one in lines
    )


def test_programs_with_form_feeds_become_what_they_become_without() -> None:
    programs = Programs(77)
    num_changed = 0
    for seed in range(150):
        plain = programs.block() + "\n"
        text = _with_form_feeds(plain, seed)
        if not compiles(plain) or ast.dump(ast.parse(plain)) != ast.dump(ast.parse(text)):
            continue
        done = rewrite(text.encode())
        assert without_form_feeds(done.result.decode()) == rewrite(plain.encode()).result.decode(), text
        back = bytearray(done.result)
        for edit in reversed(invert(done)):
            back[edit.start : edit.end] = edit.new
        assert bytes(back) == text.encode()
        num_changed += done.changed
    assert num_changed > 60
