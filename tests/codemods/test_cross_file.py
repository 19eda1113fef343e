"""The identity of the classes between files: re-exports, and type tests in a tree that only half of moved."""

from __future__ import annotations

from pathlib import Path

from codemods.discover import discover
from codemods.findings import Finding, Severity
from codemods.options import Options
from codemods.plan import make_plan
from tests.codemods.trees import make_tree

HOME = b"from trl import ORPOTrainer, ORPOConfig\n__all__ = ['ORPOTrainer']\n"
STAYS = b"import trl\nT = getattr(trl, 'ORPOTrainer')\nt = trl.ORPOTrainer()\n"


def seen(root: Path, files: dict[str, bytes]) -> list[Finding]:
    plan = make_plan(discover(make_tree(root, files)), Options())
    return [one for one in plan.findings if one.code == "OC122"]


def test_importers_of_a_module_that_hands_the_class_on_are_told(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": b"from .trainers import *\n# ORPO\n",
        "pkg/trainers.py": HOME,
        "pkg/deep/__init__.py": b"",
        "pkg/deep/use.py": b"from ..trainers import ORPOTrainer as T\n",
        "train.py": b"from pkg import ORPOTrainer\nORPOTrainer()\n",
    }
    found = seen(tmp_path, files)
    assert [(one.path, one.line, one.severity) for one in found] == [
        ("pkg/deep/use.py", 1, Severity.INFO),
        ("train.py", 1, Severity.INFO),
    ]
    assert "by way of pkg," in found[1].message


def test_modules_are_found_below_a_source_root_and_beside_a_script(tmp_path: Path) -> None:
    files = {
        "src/pkg/__init__.py": b"",
        "src/pkg/t.py": HOME,
        "scripts/helper.py": HOME,
        "scripts/go.py": b"from helper import ORPOConfig\nfrom pkg.t import ORPOTrainer\n",
    }
    assert [(one.path, one.line) for one in seen(tmp_path, files)] == [("scripts/go.py", 1), ("scripts/go.py", 2)]


def test_a_class_of_ones_own_is_not_followed(tmp_path: Path) -> None:
    files = {
        "a.py": b"import trl\nclass ORPOTrainer(trl.ORPOTrainer): ...\n",
        "b.py": b"from a import ORPOTrainer\nok = isinstance(x, ORPOTrainer)\n",
        "c.py": STAYS,
    }
    assert seen(tmp_path, files) == []


def test_a_test_for_ours_beside_a_file_that_stays_with_trl_never_holds(tmp_path: Path) -> None:
    files = {"a.py": b"import trl\n\nok = isinstance(x, (int, trl.ORPOTrainer))\n", "b.py": STAYS}
    (found,) = seen(tmp_path, files)
    assert (found.path, found.line, found.severity) == ("a.py", 3, Severity.WARNING)
    assert "b.py:3 takes TRL's" in found.message


def test_a_test_in_the_file_that_stays_is_told_of_those_that_moved(tmp_path: Path) -> None:
    files = {"a.py": b"from trl import ORPOTrainer\nORPOTrainer()\n", "b.py": STAYS + b"type(x) is trl.ORPOTrainer\n"}
    (found,) = seen(tmp_path, files)
    assert (found.path, found.line, found.severity) == ("b.py", 4, Severity.WARNING)
    assert "a.py:1 takes orpo_compat's" in found.message


def test_a_tree_that_moves_as_a_whole_keeps_the_note_alone(tmp_path: Path) -> None:
    files = {
        "a.py": b"import trl\n\nok = isinstance(x, trl.ORPOTrainer)\n",
        "b.py": b"try:\n    from trl import ORPOConfig\nexcept ImportError:\n    from trl.trainer import ORPOConfig\n",
    }
    (found,) = seen(tmp_path, files)
    assert found.severity is Severity.INFO


def test_a_comment_silences_it(tmp_path: Path) -> None:
    line = b"from t import ORPOConfig  # orpo-compat: ignore[OC122] known\n"
    assert seen(tmp_path, {"t.py": HOME, "u.py": line}) == []


def test_import_cycles_and_files_that_do_not_parse_are_no_trouble(tmp_path: Path) -> None:
    files = {
        "a.py": b"from b import ORPOTrainer\n",
        "b.py": b"from a import ORPOTrainer\n",
        "c.py": b"print 'trl ORPOTrainer'\n",
        "d.py": HOME,
    }
    assert seen(tmp_path, files) == []
