"""A conftest that puts a double of TRL into sys.modules matters to tests of code that moved."""

from __future__ import annotations

import pytest

from codemods.containers.doubles import doubles
from codemods.discover import discover, is_telling
from codemods.options import Options
from codemods.plan import make_plan
from tests.codemods.containers.laws import codes, lines_with, rewritten
from tests.codemods.trees import make_tree

DOUBLES = [
    "sys.modules['{0}'] = fake\n",
    "sys.modules['{0}'] = sys.modules['peft'] = fake\n",
    "monkeypatch.setitem(sys.modules, '{0}', fake)\n",
    "with mock.patch.dict(sys.modules, {{'peft': fake, '{0}': fake}}):\n    pass\n",
    "@mock.patch.dict('sys.modules', {{'{0}': None}})\ndef test(): ...\n",
    "sys.modules.setdefault('{0}', fake)\n",
    "sys.modules.update({{'{0}': fake}})\n",
    "for name in ('torch', '{0}'):\n    sys.modules[name] = fake\n",
]


@pytest.mark.parametrize("name", ["trl", "trl.trainer"])
@pytest.mark.parametrize("source", DOUBLES)
def test_a_double_is_found(source: str, name: str) -> None:
    assert len(doubles(source.format(name).encode())) == 1
    assert doubles(source.format("trlx").encode()) == []
    assert doubles(source.format("peft").encode()) == []
    assert doubles((source.format(name) + source.format("orpo_compat")).encode()) == []
    assert is_telling("conftest.py", source.format(name).encode())


@pytest.mark.parametrize(
    "source",
    [
        "if 'trl' in sys.modules: pass\n",
        "x = sys.modules['trl']\n",
        "names['trl'] = 1\n",
        "del sys.modules['torch']\nx = 'trl'\n",
        "mock.patch.dict(os.environ, {'trl': '1'})\n",
        "mock.patch.dict(sys.modules, {'peft': 'trl'})\n",
    ],
)
def test_reading_is_no_double(source: str) -> None:
    assert doubles(source.encode()) == []


def test_the_suite_of_code_that_moved_is_told_of_its_conftest(tmp_path) -> None:  # type: ignore[no-untyped-def]
    conftest = b"import sys\nfrom unittest.mock import MagicMock\n\nsys.modules['trl'] = MagicMock()\n"
    files = {"train.py": b"def f():\n    from trl import ORPOTrainer\n", "tests/conftest.py": conftest}
    plan = make_plan(discover(make_tree(tmp_path / "t", files)), Options())
    assert [one.path for one in plan.files] == ["train.py"]
    assert [(one.path, one.line, one.code) for one in plan.findings] == [("tests/conftest.py", 4, "OC104")]
    alone = make_plan(discover(make_tree(tmp_path / "u", {"tests/conftest.py": conftest})), Options())
    assert alone.findings == ()


def test_a_file_that_the_rules_judge_is_told_by_them_alone() -> None:
    done = rewritten("t.py", b"import sys\nsys.modules['trl'] = fake\nfrom trl import ORPOTrainer\n", Options())
    assert lines_with(done, "OC104") == [2, 3]
    moved = rewritten("t.py", done.source, Options(strings=True))
    assert moved.changed
    assert codes(moved) == []


def test_suppressions_silence_installs_and_doubles() -> None:
    source = (
        b"sys.modules['trl'] = fake  # orpo-compat: ignore[OC104] the reference\n"
        b"# orpo-compat: ignore\n"
        b"os.system('pip install trl')\n"
        b"os.system('pip install trl')  # orpo-compat: ignore[OC103]\n"
    )
    done = rewritten("conftest.py", source, Options())
    assert [(one.code, one.line) for one in done.findings] == [("OC116", 1), ("OC116", 3), ("OC120", 4), ("OC116", 4)]
    assert "the reference" in done.findings[0].advice
    whole = rewritten("conftest.py", b"# orpo-compat: ignore-file x\nos.system('pip install trl')\n", Options())
    assert lines_with(whole, "OC120") == []
