"""The way back after somebody went on working: what is exact, what is merged, what is reversed, what is left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from codemods import switch, writing
from codemods.discover import discover
from codemods.errors import JournalDamaged
from codemods.journal import Journal, State
from codemods.options import Options
from codemods.plan import make_plan
from codemods.rollback import How, RollbackPlan
from tests.codemods.trees import PLAIN, SWITCHED, contents, git, make_repository, make_tree, snapshot


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def migrate(root: Path) -> None:
    journal = Journal(root)
    journal.prepare()
    switch.write(journal, make_plan(discover(root), Options()).files, kind="migrate", gate={"skipped": "test"})


def roll_back(root: Path) -> RollbackPlan:
    journal = Journal(root)
    plan, standing = switch.plan_taking_back(journal)
    switch.take_back(journal, plan, standing)
    return plan


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = make_tree(tmp_path / "tree")
    migrate(root)
    return root


def run_folder(root: Path) -> Path:
    return min((root / ".orpo-compat/runs").iterdir())


def test_untouched_files_come_back_byte_for_byte(tree: Path) -> None:
    plan = roll_back(tree)
    assert contents(tree) == PLAIN
    assert set(plan.how.values()) == {How.EXACT}


def test_later_edits_elsewhere_in_a_file_are_kept(tree: Path) -> None:
    (tree / "pkg/mixed.py").write_bytes(b"# new head\n" + SWITCHED["pkg/mixed.py"] + b"\n\ndef more(): ...\n")
    plan = roll_back(tree)
    assert (tree / "pkg/mixed.py").read_bytes() == b"# new head\n" + PLAIN["pkg/mixed.py"] + b"\n\ndef more(): ...\n"
    assert plan.how["pkg/mixed.py"] is How.MERGED
    assert not plan.incomplete


def test_an_edited_switched_line_goes_back_by_rule_and_is_declared(tree: Path) -> None:
    place = tree / "train.py"
    place.write_bytes(place.read_bytes().replace(b"ORPOConfig, ORPOTrainer", b"ORPOConfig, ORPOTrainer as T2"))
    plan = roll_back(tree)
    assert place.read_bytes().startswith(b"from trl import ORPOConfig, ORPOTrainer as T2\n")
    assert plan.how["train.py"] is How.REVERSED
    assert [(finding.code, finding.path) for finding in plan.findings] == [("OC151", "train.py")]
    assert contents(tree)["pkg/deep.py"] == PLAIN["pkg/deep.py"]


def test_a_sorted_import_block_is_still_rolled_back(tree: Path) -> None:
    place = tree / "pkg/mixed.py"
    names = b"from orpo_compat import ORPOTrainer  # noqa: F401\nfrom trl import DPOTrainer  # noqa: F401\n"
    place.write_bytes(b"import os\n\n" + names + b"\nx = (DPOTrainer,)\n")
    roll_back(tree)
    text = place.read_bytes()
    assert b"orpo_compat" not in text
    assert b"from trl import ORPOTrainer" in text
    assert b"from trl import DPOTrainer" in text


def test_names_from_the_experimental_module_go_back_there_when_the_line_was_edited(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "t", {"a.py": b"from trl.experimental.orpo import ORPOTrainer\n"})
    migrate(tree)
    (tree / "a.py").write_bytes(b"from orpo_compat import ORPOTrainer as Mine\n")
    roll_back(tree)
    assert (tree / "a.py").read_bytes() == b"from trl.experimental.orpo import ORPOTrainer as Mine\n"


def test_a_switched_line_the_user_took_out_is_not_put_back(tree: Path) -> None:
    (tree / "train.py").write_bytes(b"print('no trainer any more')\n")
    plan = roll_back(tree)
    assert (tree / "train.py").read_bytes() == b"print('no trainer any more')\n"
    assert not plan.incomplete


def test_what_neither_can_do_is_left_reported_and_the_run_stays_open(tree: Path) -> None:
    """A name looked up at run time: no rule moves it, and the original never spoke of our package."""
    place = tree / "train.py"
    place.write_bytes(
        b"import importlib\nT = getattr(importlib.import_module('orpo' + '_compat'), 'x')\nimport orpo_compat.health\n"
    )
    plan = roll_back(tree)
    assert plan.incomplete
    assert any(finding.path == "train.py" and "line 3" in finding.message for finding in plan.findings)
    assert contents(tree)["pkg/mixed.py"] == PLAIN["pkg/mixed.py"]
    assert Journal(tree).standing()


def test_a_renamed_file_is_restored_under_its_present_name(tree: Path) -> None:
    (tree / "sub").mkdir()
    (tree / "train.py").rename(tree / "sub/renamed.py")
    plan = roll_back(tree)
    assert (tree / "sub/renamed.py").read_bytes() == PLAIN["train.py"]
    assert not (tree / "train.py").exists()
    assert not plan.incomplete


def test_a_deleted_file_is_reported_with_the_place_of_its_original(tree: Path) -> None:
    (tree / "train.py").unlink()
    plan = roll_back(tree)
    assert plan.incomplete
    assert not (tree / "train.py").exists()
    (finding,) = plan.findings
    kept = Path(finding.advice.split(" is ", 1)[1])
    assert kept.read_bytes() == PLAIN["train.py"]


def test_the_second_rollback_plans_nothing(tree: Path) -> None:
    roll_back(tree)
    before = snapshot(tree)
    plan, standing = switch.plan_taking_back(Journal(tree))
    assert (plan.files, standing) == ((), [])
    assert snapshot(tree) == before


def test_git_revert_of_the_switch_is_recognised(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    migrate(root)
    git(root, "commit", "--quiet", "--all", "--message", "Switch")
    git(root, "revert", "--no-edit", "HEAD")
    plan = roll_back(root)
    assert plan.files == ()
    assert set(plan.how.values()) == {How.ALREADY}
    run = Journal(root).runs()[0]
    assert run.state is State.ROLLED_BACK
    assert "already" in run.note("reason")


def test_rollback_works_after_a_commit_and_a_branch_switch(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "repo")
    migrate(root)
    git(root, "commit", "--quiet", "--all", "--message", "Switch")
    git(root, "switch", "--quiet", "--create", "other")
    roll_back(root)
    assert contents(root) == PLAIN


def test_two_migrations_are_taken_back_together(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "t", {"a.py": PLAIN["train.py"]})
    migrate(root)
    make_tree(root, {"b.py": PLAIN["train.py"]})
    migrate(root)
    assert b"orpo_compat" in contents(root)["b.py"]
    roll_back(root)
    assert contents(root) == {"a.py": PLAIN["train.py"], "b.py": PLAIN["train.py"]}
    assert not Journal(root).standing()


def test_mode_and_untouched_mtimes_stay(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "t")
    (root / "train.py").chmod(0o755)
    times = (root / "other.py").stat().st_mtime_ns
    migrate(root)
    assert (root / "train.py").stat().st_mode & 0o777 == 0o755
    roll_back(root)
    assert (root / "train.py").stat().st_mode & 0o777 == 0o755
    assert (root / "other.py").stat().st_mtime_ns == times


def tamper(root: Path, change) -> None:  # type: ignore[no-untyped-def]
    """Change the plan and seal it again, as somebody who read our source would."""
    folder = run_folder(root)
    plan = json.loads((folder / "plan.json").read_text())
    change(plan)
    text = (json.dumps(plan) + "\n").encode()
    (folder / "plan.json").write_bytes(text)
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "plan": writing.digest(text)}))


@pytest.mark.parametrize(
    "path", ["../outside.py", "/etc/hostname", "a/../../x.py", ".git/config", ".orpo-compat/lock", ""]
)
def test_a_journal_that_points_elsewhere_writes_nothing(tree: Path, path: str) -> None:
    outside = tree.parent / "outside.py"
    outside.write_bytes(SWITCHED["train.py"])

    def aim(plan: dict[str, object]) -> None:
        next(file for file in plan["files"] if file["path"] == "train.py")["path"] = path  # type: ignore[index, union-attr]

    tamper(tree, aim)
    before = snapshot(tree)
    with pytest.raises(JournalDamaged):
        roll_back(tree)
    assert snapshot(tree) == before
    assert outside.read_bytes() == SWITCHED["train.py"]


def test_a_folder_that_became_a_link_out_of_the_tree_is_not_written_through(tree: Path) -> None:
    outside = tree.parent / "elsewhere"
    shutil.move(tree / "pkg", outside)
    (tree / "pkg").symlink_to(outside)
    before = contents(outside)
    with pytest.raises(JournalDamaged, match="through a link"):
        roll_back(tree)
    assert contents(outside) == before


def test_a_plan_changed_without_its_seal_is_refused(tree: Path) -> None:
    place = run_folder(tree) / "plan.json"
    place.write_bytes(place.read_bytes().replace(b"train.py", b"other.py"))
    with pytest.raises(JournalDamaged, match="seal"):
        roll_back(tree)


def test_an_original_with_the_wrong_digest_is_never_put_back_but_made_again_from_the_edits(tree: Path) -> None:
    stored = run_folder(tree) / "before" / writing.digest(PLAIN["train.py"])
    stored.write_bytes(b"import os; os.system('evil')\n")
    roll_back(tree)
    assert contents(tree) == PLAIN


def test_a_lost_original_of_an_edited_file_falls_to_the_rules(tree: Path) -> None:
    (run_folder(tree) / "before" / writing.digest(PLAIN["train.py"])).unlink()
    (tree / "train.py").write_bytes(SWITCHED["train.py"] + b"# more\n")
    plan = roll_back(tree)
    assert plan.how["train.py"] is How.REVERSED
    assert (tree / "train.py").read_bytes() == PLAIN["train.py"] + b"# more\n"


def test_a_truncated_journal_is_refused_not_guessed_at(tree: Path) -> None:
    place = run_folder(tree) / "state.json"
    place.write_bytes(place.read_bytes()[:10])
    with pytest.raises(JournalDamaged, match="cannot be read"):
        roll_back(tree)
