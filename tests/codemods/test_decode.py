"""Bytes to text and offsets back, for the encodings and line ends of real files."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codemods.decode import declared_encoding, decoded
from codemods.errors import UnreadableSource


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"x = 1\n", "utf-8"),
        (b"# -*- coding: latin-1 -*-\n", "latin-1"),
        (b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n", "cp1252"),
        (b"\n\n# coding: latin-1\n", "utf-8"),
        (b"x = 1\n# coding: latin-1\n", "utf-8"),
        (codecs.BOM_UTF8 + b"# coding: utf-8\n", "utf-8"),
        (b"\x0c# coding: koi8-r\r\n", "koi8-r"),
    ],
)
def test_the_declaration_is_read_as_python_reads_it(raw: bytes, name: str) -> None:
    assert declared_encoding(raw) == name


@given(st.text(alphabet="ab\xe9\u65e5\U0001f600\n", max_size=20), st.sampled_from(["utf-8", "bom"]))
def test_every_offset_of_the_text_finds_its_byte(text: str, kind: str) -> None:
    raw = (codecs.BOM_UTF8 if kind == "bom" else b"") + text.encode()
    source = decoded(raw)
    for length in range(len(text) + 1):
        offset = len(text[:length].encode())
        assert raw[source.to_raw(offset) :] == text[length:].encode()


def test_offsets_follow_the_declared_encoding() -> None:
    raw = "# coding: latin-1\nx = '\xe9\xe8'; y\n".encode("latin-1")
    source = decoded(raw)
    at = source.utf8.index(b"y")
    assert source.to_raw(at) == raw.index(b"y") == at - 2


@pytest.mark.parametrize(
    ("offset", "place"), [(0, (1, 1)), (3, (1, 2)), (4, (1, 3)), (5, (2, 1)), (7, (3, 1)), (8, (3, 2)), (9, (4, 1))]
)
def test_lines_end_at_cr_lf_or_both_and_nowhere_else(offset: int, place: tuple[int, int]) -> None:
    assert decoded("\u2028a\nb\r\r\n".encode()).position(offset) == place


def test_the_line_end_to_copy_is_that_of_the_line_or_the_first_of_the_file() -> None:
    source = decoded(b"a\r\nb\nc")
    assert [source.eol_at(offset) for offset in (0, 3, 5)] == ["\r\n", "\n", "\r\n"]
    assert decoded(b"c").eol_at(0) == "\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"# coding: none-such\n",
        b"x = '\xff'\n",
        codecs.BOM_UTF8 + b"# coding: latin-1\n",
        b"# coding: utf-7\n# +AGE-\n",
    ],
)
def test_what_would_not_come_back_the_same_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableSource):
        decoded(raw)
