"""Patches, with ``git apply`` as the oracle: what it makes of our diff must be our result, byte for byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codemods.patch import quoted, split_lines, unified
from tests.codemods.trees import make_tree

CASES = {
    "plain": (b"a\nb\nc\n", b"a\nB\nc\n"),
    "crlf": (b"a\r\nb\r\n", b"a\r\nB\r\n"),
    "no final newline": (b"a\nb", b"a\nB"),
    "newline added at the end": (b"a\nb", b"a\nb\n"),
    "newline lost at the end": (b"a\nb\n", b"a\nb"),
    "lone CR": (b"a\rb\rc", b"A\rb\rc"),
    "form feed and U+2028": (b"\x0c\n# \xe2\x80\xa8 x\na\n", b"\x0c\n# \xe2\x80\xa8 x\nb\n"),
    "latin-1 bytes": (b"# \xe9\na\n", b"# \xe9\nb\n"),
    "two hunks": (
        b"".join(b"%d\n" % n for n in range(40)),
        b"".join(b"%d\n" % (n + n // 39) for n in range(40)) + b"x",
    ),
    "to empty": (b"a\n", b""),
}
NAMES = [
    "m.py",
    "sp ace.py",
    "umlaut-\u00e4.py",
    'q"uote.py',
    "tab\t.py",
    "new\nline.py",
    "back\\slash.py",
    "\udcff.py",
]


def apply(root: Path, patch: bytes) -> None:
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "apply", "--check", "-"], input=patch, check=True, capture_output=True)
    subprocess.run(["git", "-C", str(root), "apply", "-"], input=patch, check=True, capture_output=True)


@pytest.mark.parametrize(("source", "result"), CASES.values(), ids=CASES)
def test_git_makes_the_result_of_the_source(tmp_path: Path, source: bytes, result: bytes) -> None:
    make_tree(tmp_path, {"m.py": source})
    apply(tmp_path, unified(b"m.py", source, result))
    assert (tmp_path / "m.py").read_bytes() == result


@pytest.mark.parametrize("name", NAMES)
def test_git_finds_files_of_any_name(tmp_path: Path, name: str) -> None:
    make_tree(tmp_path, {name: b"a\n"})
    apply(tmp_path, unified(name.encode("utf-8", "surrogateescape"), b"a\n", b"b\n"))
    assert (tmp_path / name).read_bytes() == b"b\n"


def test_usual_names_stay_bare() -> None:
    assert quoted(b"a/b c-1.py") == b"a/b c-1.py"
    assert quoted("\u00e4".encode()) == b'"\\303\\244"'


@given(st.binary())
def test_split_lines_loses_nothing_and_breaks_at_newlines_only(source: bytes) -> None:
    lines = split_lines(source)
    assert b"".join(lines) == source
    assert all(line.count(b"\n") == line.endswith(b"\n") for line in lines)


LINE = st.sampled_from([b"a\n", b"b\n", b"c\r\n", b"\n", b"d\re\n"])


@settings(max_examples=40, deadline=None)
@given(st.lists(LINE, min_size=1, max_size=30), st.lists(LINE, min_size=1, max_size=30), st.booleans(), st.booleans())
def test_git_applies_the_diff_of_any_two_texts(
    tmp_path_factory: pytest.TempPathFactory, left: list[bytes], right: list[bytes], cut_left: bool, cut_right: bool
) -> None:
    source, result = b"".join(left)[: -1 if cut_left else None], b"".join(right)[: -1 if cut_right else None]
    if source == result or not source or not result:
        return
    root = make_tree(tmp_path_factory.mktemp("patch"), {"m.py": source})
    apply(root, unified(b"m.py", source, result))
    assert (root / "m.py").read_bytes() == result
