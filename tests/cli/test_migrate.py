"""``orpo-compat migrate`` as a user meets it: real folders, real git, exit codes, streams."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.calls import migrate
from tests.codemods.trees import PLAIN, SWITCHED, contents, git, make_repository, make_tree, snapshot


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


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


def test_single_file_is_switched_and_the_rest_is_left(repository: Path) -> None:
    assert migrate(repository / "train.py", "--no-verify").exit_code == 0
    assert contents(repository) == {**PLAIN, "train.py": SWITCHED["train.py"]}
    assert migrate(repository / "train.py", "--rollback").exit_code == 0
    assert contents(repository) == PLAIN


def test_several_paths_share_one_journal_at_the_top_of_the_repository(repository: Path) -> None:
    assert migrate(repository / "train.py", repository / "pkg", "--no-verify").exit_code == 0
    assert contents(repository) == {**PLAIN, **SWITCHED}
    assert (repository / ".orpo-compat").is_dir()
    assert not (repository / "pkg/.orpo-compat").exists()


def test_path_that_does_not_exist_is_a_usage_error_without_traceback(tmp_path: Path) -> None:
    result = migrate(tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--to", "trl"],
        ["--rollback", "--resume"],
        ["--commit", "--dry-run"],
        ["--output", "x"],
        ["--no-verify", "--verify-with", "e.json"],
        ["--dry-run", "--report", "json"],
    ],
)
def test_contradictions_are_refused_as_usage_errors(repository: Path, arguments: list[str]) -> None:
    result = migrate(repository, *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert contents(repository) == PLAIN


def test_one_file_that_does_not_parse_is_reported_and_the_others_are_switched(repository: Path) -> None:
    (repository / "bad.py").write_bytes(b"from trl import ORPOTrainer\nprint 'two'\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "bad")
    result = migrate(repository, "--no-verify")
    assert result.exit_code == 3
    assert "bad.py" in result.stderr
    assert "OC115" in result.stderr
    assert contents(repository) == {**PLAIN, **SWITCHED, "bad.py": b"from trl import ORPOTrainer\nprint 'two'\n"}


def test_read_only_file_stops_the_run_before_anything_is_written(repository: Path) -> None:
    (repository / "pkg/deep.py").chmod(0o444)
    result = migrate(repository, "--no-verify", "--allow-dirty")
    assert result.exit_code == 6
    assert "pkg/deep.py" in result.stderr
    assert contents(repository) == PLAIN
    assert not (repository / ".orpo-compat").exists()


def test_hard_linked_modules_are_switched_and_rolled_back_as_one_file(repository: Path) -> None:
    (repository / "twin.py").hardlink_to(repository / "train.py")
    before = snapshot(repository)
    result = migrate(repository, "--no-verify", "--allow-dirty")
    assert result.exit_code == 0, result.stderr
    assert contents(repository) == {**PLAIN, **SWITCHED, "twin.py": SWITCHED["train.py"]}
    assert (repository / "twin.py").samefile(repository / "train.py")
    assert migrate(repository, "--rollback").exit_code == 0
    assert snapshot(repository) == before
    assert (repository / "twin.py").samefile(repository / "train.py")


def test_links_inside_the_tree_stay_links(repository: Path) -> None:
    (repository / "link.py").symlink_to("pkg/mixed.py")
    assert migrate(repository, "--no-verify", "--allow-dirty").exit_code == 0
    assert (repository / "link.py").is_symlink()
    assert (repository / "link.py").read_bytes() == SWITCHED["pkg/mixed.py"]


@pytest.mark.parametrize("name", ["a\nb.py", "sp ace.py", "\udcff.py", "umlaut-\u00e4.py", 'q"uote.py'])
def test_odd_names_go_there_and_back(repository: Path, name: str) -> None:
    (repository / name).write_bytes(PLAIN["train.py"] + b"s = 'trl.ORPOTrainer'\n")
    before = snapshot(repository)
    assert migrate(repository, "--no-verify", "--allow-dirty").exit_code == 3
    assert (repository / name).read_bytes().startswith(SWITCHED["train.py"])
    assert migrate(repository, "--rollback").exit_code == 0
    assert snapshot(repository) == before


def test_script_without_a_suffix_and_notebook_are_switched_with_the_rest(tmp_path: Path) -> None:
    cell = b'{"cell_type": "code", "metadata": {}, "outputs": [], "source": ["from trl import ORPOTrainer"]}'
    files = {
        "bin/train": b"#!/usr/bin/env python3\nfrom trl import ORPOTrainer\n",
        "nb.ipynb": b'{"cells": [' + cell + b'], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        "bin/other": b"#!/bin/sh\necho from trl import ORPOTrainer\n",
    }
    root = make_tree(tmp_path / "t", files)
    migrate(root, "--no-verify")
    after = contents(root)
    assert after["bin/train"] == files["bin/train"].replace(b"trl", b"orpo_compat")
    assert after["nb.ipynb"] == files["nb.ipynb"].replace(b"trl", b"orpo_compat")
    assert after["bin/other"] == files["bin/other"]
    assert migrate(root, "--rollback").exit_code == 0
    assert contents(root) == files


def test_tree_with_its_own_trl_package_is_refused(repository: Path) -> None:
    make_tree(repository, {"trl/__init__.py": b"", "src/x.py": b"from trl import ORPOTrainer\n"})
    result = migrate(repository, "--no-verify", "--allow-dirty")
    assert result.exit_code == 6
    assert "OC113" in result.stderr
    assert contents(repository)["train.py"] == PLAIN["train.py"]


def test_vendored_copy_of_trl_is_left_alone_and_its_users_elsewhere_are_switched(tmp_path: Path) -> None:
    root = make_tree(
        tmp_path / "t",
        {
            "third_party/trl/__init__.py": b"from trl.trainer import ORPOTrainer\n",
            "third_party/beside.py": PLAIN["train.py"],
            "train.py": PLAIN["train.py"],
        },
    )
    result = migrate(root, "--no-verify")
    assert result.exit_code == 3
    after = contents(root)
    assert after["train.py"] == SWITCHED["train.py"]
    assert after["third_party/trl/__init__.py"] == b"from trl.trainer import ORPOTrainer\n"
    assert after["third_party/beside.py"] == PLAIN["train.py"]
    assert "third_party/beside.py" in result.stderr


def test_any_number_of_processes_writes_the_same_bytes_and_reports(tmp_path: Path) -> None:
    files = {f"m{number}.py": PLAIN["pkg/mixed.py"] + b"s = 'trl.ORPOTrainer'\n" for number in range(12)}
    root = make_tree(tmp_path / "t", files)
    reports = [migrate(root, "--check", "--report", "json", "-j", jobs).stdout for jobs in (1, 2, 5)]
    assert reports[0] == reports[1] == reports[2]
    assert json.loads(reports[0])["counts"]["changed"] == 12


def test_nothing_to_change_leaves_no_journal_behind(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "t", {"a.py": b"x = 1\n"})
    assert migrate(root, "--no-verify").exit_code == 0
    assert contents(root) == {"a.py": b"x = 1\n"}
    assert not (root / ".orpo-compat").exists()
