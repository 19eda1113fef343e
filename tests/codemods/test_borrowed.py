"""A module of TRL that other files read by way of a file keeps its import there."""

from __future__ import annotations

from pathlib import Path

import pytest

from codemods.discover import discover
from codemods.options import Options
from codemods.plan import Plan, make_plan
from tests.codemods.trees import make_tree

LENDER = b"import trl\n\nargs = trl.ORPOConfig()\n"
KEPT = b"import trl\nimport orpo_compat\n\nargs = orpo_compat.ORPOConfig()\n"
SWAPPED = b"import orpo_compat\n\nargs = orpo_compat.ORPOConfig()\n"


def planned(root: Path, reader: bytes, path: str = "pkg/b.py", lender: bytes = LENDER) -> Plan:
    files = {"pkg/__init__.py": b"", "pkg/a.py": lender, path: reader}
    return make_plan(discover(make_tree(root / "t", files)), Options())


@pytest.mark.parametrize(
    "reader",
    [
        b"from .a import trl\n",
        b"from pkg.a import trl as t\n",
        b"from . import a\nx = a.trl.SFTConfig\n",
        b"import pkg.a\nx = pkg.a.trl.SFTConfig\n",
        b"import pkg.a as lib\nx = lib.trl.SFTConfig\n",
        b"from .a import *\nx = trl.SFTConfig\n",
        b"mock.patch('pkg.a.trl')\n",
        b"mock.patch('pkg.a.trl.SFTTrainer')\n",
    ],
)
def test_an_import_that_is_read_elsewhere_stays(tmp_path: Path, reader: bytes) -> None:
    plan = planned(tmp_path, reader)
    assert [(one.path, one.result) for one in plan.files] == [("pkg/a.py", KEPT)]
    assert plan.findings == ()


@pytest.mark.parametrize(
    "reader",
    [
        b"from .c import trl\n",
        b"import trl\nfrom . import a\nx = a.args, trl.SFTConfig\n",
        b"from .a import *\nimport trl\nx = trl.SFTConfig\n",
        b"x = other.a.trl\n",
        b"mock.patch('pkg.a.trls')\n",
        b"trl = = from pkg.a\n",
    ],
)
def test_an_import_that_nobody_else_reads_is_swapped(tmp_path: Path, reader: bytes) -> None:
    assert [(one.path, one.result) for one in planned(tmp_path, reader).files] == [("pkg/a.py", SWAPPED)]


def test_a_name_given_with_as_and_a_module_below_stay_too(tmp_path: Path) -> None:
    lender = b"import trl as t\nfrom trl.experimental import orpo\nx = t.ORPOConfig, orpo.ORPOConfig\n"
    (file,) = planned(tmp_path, b"from .a import t, orpo\n", lender=lender).files
    assert file.result == (
        b"import trl as t\nimport orpo_compat\nfrom trl.experimental import orpo\nimport orpo_compat\n"
        b"x = orpo_compat.ORPOConfig, orpo_compat.ORPOConfig\n"
    )


@pytest.mark.parametrize(
    ("reader", "code"),
    [
        (b"from .a import trl\nx = trl.ORPOTrainer\n", "OC106"),
        (b"import pkg.a\nx = pkg.a.trl.ORPOTrainer\n", "OC106"),
        (b"import mock\nmock.patch('pkg.a.trl.ORPOTrainer.train')\n", "OC103"),
    ],
)
def test_a_class_that_is_read_through_another_file_is_told(tmp_path: Path, reader: bytes, code: str) -> None:
    plan = planned(tmp_path, reader, "tests/test_b.py" if code == "OC103" else "pkg/b.py")
    assert [one.result for one in plan.files] == [KEPT]
    assert [(one.line, one.code) for one in plan.open_findings()] == [(2, code)]
