"""``orpo-compat migrate`` as a user meets it: real folders, real git, exit codes, streams."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orpo_compat.cli.app import app
from tests.codemods.trees import PLAIN, SWITCHED, contents, git, make_repository, make_tree, snapshot


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def migrate(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["migrate", *map(str, arguments)], input=stdin)


def test_switch_writes_exactly_the_planned_bytes(repository: Path) -> None:
    result = migrate(repository, "--no-verify")
    assert result.exit_code == 0, result.stderr
    assert contents(repository) == {**PLAIN, **SWITCHED}


def test_rollback_leaves_git_status_clean(repository: Path) -> None:
    before = snapshot(repository)
    migrate(repository, "--no-verify")
    result = migrate(repository, "--rollback")
    assert result.exit_code == 0, result.stderr
    assert snapshot(repository) == before
    assert git(repository, "status", "--porcelain") == ""


def test_second_rollback_is_a_no_op(repository: Path) -> None:
    migrate(repository, "--no-verify")
    migrate(repository, "--rollback")
    before = snapshot(repository, journal=True)
    assert migrate(repository, "--rollback").exit_code == 0
    assert {path: seen for path, seen in snapshot(repository, journal=True).items() if not path.endswith("lock")} == {
        path: seen for path, seen in before.items() if not path.endswith("lock")
    }


def test_second_migration_has_nothing_to_do(repository: Path) -> None:
    migrate(repository, "--no-verify")
    result = migrate(repository, "--allow-dirty", "--no-verify")
    assert result.exit_code == 0
    assert "nothing to change" in result.stderr


def test_migrate_rollback_migrate_gives_the_same_bytes(repository: Path) -> None:
    migrate(repository, "--no-verify")
    first = snapshot(repository)
    migrate(repository, "--rollback")
    migrate(repository, "--no-verify")
    assert snapshot(repository) == first


def test_dry_run_prints_a_diff_and_writes_no_byte_anywhere(repository: Path) -> None:
    before = snapshot(repository, journal=True)
    index = (repository / ".git/index").read_bytes()
    result = migrate(repository, "--dry-run")
    assert result.exit_code == 0
    assert (
        "-from trl import ORPOConfig, ORPOTrainer\n+from orpo_compat import ORPOConfig, ORPOTrainer\n" in result.stdout
    )
    assert snapshot(repository, journal=True) == before
    assert (repository / ".git/index").read_bytes() == index


def test_check_exits_one_when_something_would_change_and_zero_afterwards(repository: Path) -> None:
    assert migrate(repository, "--check").exit_code == 1
    assert contents(repository) == PLAIN
    migrate(repository, "--no-verify")
    assert migrate(repository, "--check").exit_code == 0


def test_dirty_tree_is_refused_before_anything_is_written(repository: Path) -> None:
    (repository / "other.py").write_bytes(b"changed\n")
    before = snapshot(repository, journal=True)
    result = migrate(repository, "--no-verify")
    assert result.exit_code == 6
    assert "other.py" in result.stderr
    assert "--allow-dirty" in result.stderr
    assert snapshot(repository, journal=True) == before
    assert migrate(repository, "--no-verify", "--allow-dirty").exit_code == 0


def test_plain_folder_without_git_works_too(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "plain")
    assert migrate(tree, "--no-verify").exit_code == 0
    assert contents(tree) == {**PLAIN, **SWITCHED}
    assert migrate(tree, "--rollback").exit_code == 0
    assert contents(tree) == PLAIN


def test_journal_records_that_the_gate_was_skipped(repository: Path) -> None:
    migrate(repository, "--no-verify")
    plans = list((repository / ".orpo-compat/runs").glob("*/plan.json"))
    assert len(plans) == 1
    assert json.loads(plans[0].read_text())["gate"] == {"skipped": "--no-verify"}


def test_summary_ends_with_the_rollback_command(repository: Path) -> None:
    lines = migrate(repository, "--no-verify").stderr.splitlines()
    assert lines[-1] == f"undo with: orpo-compat migrate {repository} --rollback"
    assert len(lines) <= 20
