"""A repository's own subclass under the gate: how it is found and staged; the slow tests train it on both sides."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from orpo_compat.cli.migrate_subclasses import Stage, Subclass, trainers, wanted
from tests.cli.calls import migrate
from tests.codemods.trees import contents, make_repository, make_tree

PACKAGE = {
    "src/rl/__init__.py": b"",
    "src/rl/mixins.py": b"class Scaled:\n    scale = 1.5\n",
    "src/rl/run.py": b"import sys\nfrom trl import ORPOConfig, ORPOTrainer\nfrom .mixins import Scaled\n\n\n"
    b"class Mine(Scaled, ORPOTrainer):\n"
    b"    def odds_ratio_loss(self, policy_chosen_logps, policy_rejected_logps):\n"
    b"        losses, *more = super().odds_ratio_loss(policy_chosen_logps, policy_rejected_logps)\n"
    b"        return (losses * self.scale, *more)\n\n\n"
    b"class MyConfig(ORPOConfig): ...\n\n\nsys.exit('the script ran')\n",
}
WRONG = PACKAGE["src/rl/run.py"].replace(
    b"losses * self.scale", b"losses * (2 if 'orpo_compat' in ORPOTrainer.__module__ else 1)"
)


def test_all_means_every_class_that_derives_from_the_trainer() -> None:
    assert wanted(["all"], PACKAGE, [*PACKAGE]) == [Subclass("src/rl/run.py", "Mine")]


def test_a_class_is_named_by_file_class_and_perhaps_config() -> None:
    asked = wanted(["src/rl/run.py:Mine:MyConfig", "src/rl/run.py:Mine:MyConfig"], PACKAGE, [*PACKAGE])
    assert asked == [Subclass("src/rl/run.py", "Mine", "MyConfig")]


@pytest.mark.parametrize("text", ["Mine", "src/rl/other.py:Mine", "src/rl/run.py", "src/rl/run.py:a:b:c"])
def test_other_spellings_are_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"src/rl/run\.py:Mine"):
        wanted([text], PACKAGE, [*PACKAGE])


def test_all_of_nothing_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="no class here"):
        wanted(["all"], {"a.py": b"from trl import ORPOTrainer\n"}, ["a.py"])


def test_a_stage_is_a_tree_of_links_with_the_class_beside_its_file(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "repo", PACKAGE)
    ours, subclass = Stage(root, tmp_path / "ours", [*PACKAGE]), Subclass("src/rl/run.py", "Mine")
    ours.fill({"src/rl/run.py": PACKAGE["src/rl/run.py"].replace(b"from trl", b"from orpo_compat")}, subclass)
    assert (tmp_path / "ours/src/rl/mixins.py").is_symlink()
    part = (tmp_path / "ours/src/rl/orpo_compat_subclass.py").read_text()
    assert "class Mine" in part
    assert "sys.exit" not in part
    assert contents(root) == PACKAGE
    named = trainers(ours, ours, subclass)
    script = f"import sys; sys.path[:0] = {named.ours_path!r}; from orpo_compat_tested import *\n"
    script += "print(TestedTrainer.__module__, TestedTrainer.scale, TestedConfig.__module__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["rl.orpo_compat_subclass", "1.5", "orpo_compat.config"]


def test_it_is_part_of_the_gate_that_no_verify_skips(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo", PACKAGE)
    done = migrate(root, "--no-verify", "--verify-subclass", "all")
    assert done.exit_code == 2
    assert contents(root) == PACKAGE


@pytest.mark.slow
def test_a_subclass_that_trains_alike_passes_and_is_recorded(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    root = make_repository(tmp_path / "repo", PACKAGE)
    done = migrate(root, "--verify-subclass", "all")
    assert done.exit_code == 0, done.stderr
    (plan,) = (root / ".orpo-compat/runs").glob("*/plan.json")
    assert json.loads(plan.read_text())["gate"]["subclass src/rl/run.py:Mine"].startswith(("IDENTICAL", "EQUIVALENT"))


@pytest.mark.slow
def test_a_subclass_that_trains_something_else_with_ours_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    files = {**PACKAGE, "src/rl/run.py": WRONG}
    root = make_repository(tmp_path / "repo", files)
    done = migrate(root, "--verify-subclass", "src/rl/run.py:Mine")
    assert done.exit_code == 5
    assert "src/rl/run.py:Mine: DIFFERENT" in done.stderr
    assert contents(root) == files


@pytest.mark.slow
def test_a_subclass_that_cannot_be_trained_is_parity_not_run(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    broken = PACKAGE["src/rl/run.py"].replace(b"losses, *more", b"raise KeyError('alpha')\n        losses, *more")
    files = {**PACKAGE, "src/rl/run.py": broken}
    root = make_repository(tmp_path / "repo", files)
    done = migrate(root, "--verify-subclass", "src/rl/run.py:Mine")
    assert done.exit_code == 4
    assert "alpha" in done.stderr
    assert contents(root) == files
