"""Which lines of a cell are IPython's; the expected spans are counted by hand from the text itself."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codemods.containers.magics import apply_mask, placeholder, read_cell


def masked(text: str) -> list[str]:
    source = text.encode()
    reading = read_cell(source)
    assert not reading.broken
    assert not reading.foreign
    return [source[start:end].decode() for start, end in reading.masked]


@pytest.mark.parametrize(
    ("cell", "magic"),
    [
        ("%matplotlib inline\nx = 1", ["%matplotlib inline"]),
        ("x = 1\n!pip install trl", ["!pip install trl"]),
        ("if x:\n    !pip install 'trl<0.29'\n    y = 1", ["!pip install 'trl<0.29'"]),
        ("files = !ls -l\nx = files", ["!ls -l"]),
        ("out = %sql select 1", ["%sql select 1"]),
        ("ORPOTrainer?", ["ORPOTrainer?"]),
        ("?ORPOTrainer\n??trl", ["?ORPOTrainer", "??trl"]),
        ("!pip install \\\n   trl \\\n   peft\nx = 1", ["!pip install \\\n   trl \\\n   peft"]),
        ('!echo "unbalanced ( [\nx = 1', ['!echo "unbalanced ( [']),
        ("%%time\nx = 1\n!ls", ["%%time", "!ls"]),
        ("!ls\r\nx = 1\r\n", ["!ls"]),
        ("x = (a\n % b)", []),
        ('x = """\n!ls\n%magic\n"""', []),
        ("x = 5 % 3  # ?", []),
        ("# !pip install trl", []),
        ("async_result = await f()", []),
        ("", []),
    ],
)
def test_ipython_lines_are_told_from_python(cell: str, magic: list[str]) -> None:
    assert masked(cell) == magic


@pytest.mark.parametrize("cell", ["%%bash\nls", "%%writefile a.py\nx = 1", "\n\n%%html\n<b>", "%%python\nx", "%%\nx"])
def test_foreign_cells_are_named(cell: str) -> None:
    assert read_cell(cell.encode()).foreign == cell.strip().split()[0]


@pytest.mark.parametrize("cell", ["x = (", "def f(:\n  pass", "<your code>", "print 'x'", "x = 1\n  y = 2", "\0"])
def test_broken_cells_say_what_python_said(cell: str) -> None:
    assert read_cell(cell.encode()).broken


def test_a_stand_in_keeps_a_name_that_the_magic_evaluates() -> None:
    names = frozenset({b"trl", b"t"})
    assert placeholder(b"%time trl.f()", names) == b"trl##########"
    assert placeholder(b"%time t.f()", names) == b"t##########"
    assert placeholder(b"!pip install trl", names) == b"0###############"
    assert placeholder(b"!echo {trl.x}", names) == b"trl##########"
    assert placeholder(b"%time my.trl", names) == b"0###########"


LINES = st.sampled_from(
    ["x = 1", "!ls", "%time f()", "if x:\n    !a\n    pass", "y = !b", "f?", "s = '''\n%no\n'''", "", "# c"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, max_size=6).map("\n".join))
def test_a_masked_cell_is_python_of_the_same_length(cell: str) -> None:
    source = cell.encode()
    text = apply_mask(source, read_cell(source).masked)
    ast.parse(text)
    assert len(text) == len(source)
    assert text.count(b"\n") == source.count(b"\n")
