"""The switch and git: what is refused, what is committed, and what of the user's index and tree stays as it was."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.calls import migrate
from tests.codemods.trees import PLAIN, SWITCHED, contents, git, make_repository, make_tree


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def conflicting_branches(root: Path) -> None:
    git(root, "switch", "--quiet", "--create", "side")
    (root / "README.md").write_bytes(b"side\n")
    git(root, "commit", "--quiet", "--all", "--message", "side")
    git(root, "switch", "--quiet", "main")
    (root / "README.md").write_bytes(b"main\n")
    git(root, "commit", "--quiet", "--all", "--message", "main")


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick"])
def test_unfinished_operation_is_refused_even_with_allow_dirty(repository: Path, operation: str) -> None:
    conflicting_branches(repository)
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, operation, "side")
    before = contents(repository)
    result = migrate(repository, "--no-verify", "--allow-dirty")
    assert result.exit_code == 6
    assert f"a {operation} is in progress" in result.stderr
    assert contents(repository) == before


def test_staged_change_is_dirty_too(repository: Path) -> None:
    (repository / "other.py").write_bytes(b"staged\n")
    git(repository, "add", "other.py")
    assert migrate(repository, "--no-verify").exit_code == 6


def test_untracked_file_counts_only_when_it_would_be_edited(repository: Path) -> None:
    (repository / "notes.txt").write_bytes(b"mine\n")
    assert migrate(repository, "--check").exit_code == 1
    assert migrate(repository, "--no-verify").exit_code == 0
    (repository / "new.py").write_bytes(PLAIN["train.py"])
    git(repository, "commit", "--quiet", "--all", "--message", "switched")
    result = migrate(repository, "--no-verify")
    assert result.exit_code == 6
    assert "new.py" in result.stderr


def test_git_that_cannot_answer_means_no(repository: Path) -> None:
    (repository / ".git/HEAD").write_text("broken\n")
    result = migrate(repository, "--no-verify")
    assert result.exit_code == 6
    assert "--allow-dirty" in result.stderr
    assert contents(repository) == PLAIN
    assert migrate(repository, "--no-verify", "--allow-dirty").exit_code == 0


def test_folder_inside_a_repository_is_judged_by_the_whole_repository(repository: Path) -> None:
    (repository / "other.py").write_bytes(b"changed\n")
    assert migrate(repository / "pkg", "--no-verify").exit_code == 6


def test_commit_holds_exactly_the_switched_files(repository: Path) -> None:
    result = migrate(repository, "--no-verify", "--commit")
    assert result.exit_code == 0, result.stderr
    changed = git(repository, "show", "--name-only", "--format=", "HEAD").split()
    assert sorted(changed) == sorted(SWITCHED)
    assert git(repository, "status", "--porcelain") == ""
    message = git(repository, "log", "-1", "--format=%B")
    assert "--no-verify" in message
    assert max(map(len, message.splitlines())) <= 100


def test_commit_leaves_the_users_index_as_it_was(repository: Path) -> None:
    (repository / "other.py").write_bytes(b"staged by the user\n")
    git(repository, "add", "other.py")
    (repository / "README.md").write_bytes(b"not staged\n")
    assert migrate(repository, "--no-verify", "--commit", "--allow-dirty").exit_code == 0
    assert git(repository, "diff", "--cached", "--name-only").split() == ["other.py"]
    assert git(repository, "diff", "--name-only").split() == ["README.md"]
    assert "other.py" not in git(repository, "show", "--name-only", "--format=", "HEAD")


def test_commit_refuses_to_take_own_work_in_the_same_file_along(repository: Path) -> None:
    (repository / "train.py").write_bytes(PLAIN["train.py"] + b"# my work\n")
    result = migrate(repository, "--no-verify", "--commit", "--allow-dirty")
    assert result.exit_code == 6
    assert "train.py" in result.stderr
    assert contents(repository)["train.py"] == PLAIN["train.py"] + b"# my work\n"


def test_names_that_look_like_patterns_are_committed_by_name(tmp_path: Path) -> None:
    names = ["[ab].py", "*.py", ":(top)x.py", "a.py"]
    root = make_repository(tmp_path / "r", {**dict.fromkeys(names, PLAIN["train.py"]), "z.py": b"x = 1\n"})
    (root / "z.py").write_bytes(b"x = 2\n")
    assert migrate(root, "--no-verify", "--commit", "--allow-dirty").exit_code == 0
    assert git(root, "status", "--porcelain").split() == ["M", "z.py"]


def test_hooks_see_the_users_own_environment(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    hook(repository, "env > ../seen")
    assert migrate(repository, "--no-verify", "--commit").exit_code == 0
    seen = (repository.parent / "seen").read_text().splitlines()
    assert "LC_ALL=C.UTF-8" in seen
    assert not [line for line in seen if line.startswith(("GIT_LITERAL_PATHSPECS", "GIT_OPTIONAL_LOCKS"))]


def hook(root: Path, script: str) -> None:
    place = root / ".git/hooks/pre-commit"
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)


def test_hooks_run_on_the_commit(repository: Path) -> None:
    hook(repository, "echo ran > ../hook-ran")
    assert migrate(repository, "--no-verify", "--commit").exit_code == 0
    assert (repository.parent / "hook-ran").exists()


def test_hook_that_refuses_leaves_the_files_switched_and_says_so(repository: Path) -> None:
    hook(repository, "echo 'not like this' >&2; exit 1")
    result = migrate(repository, "--no-verify", "--commit")
    assert result.exit_code == 3
    assert "not like this" in result.stderr
    assert contents(repository) == {**PLAIN, **SWITCHED}
    assert migrate(repository, "--rollback").exit_code == 0
    assert git(repository, "status", "--porcelain") == ""


def test_run_from_inside_a_git_hook_looks_at_the_right_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git sets these for its hooks; obeyed, they would list and commit the hook's repository."""
    other = make_repository(tmp_path / "other", {"o.py": b"from trl import ORPOTrainer\n"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert migrate(repository, "--no-verify", "--commit").exit_code == 0
    monkeypatch.undo()
    assert contents(other) == {"o.py": b"from trl import ORPOTrainer\n"}
    assert git(repository, "status", "--porcelain") == ""


def test_commit_outside_git_is_refused(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "plain")
    result = migrate(root, "--no-verify", "--commit")
    assert result.exit_code == 2
    assert "needs a git work tree" in result.stderr
    assert contents(root) == PLAIN


def test_autocrlf_work_tree_keeps_its_bytes(repository: Path) -> None:
    (repository / ".gitattributes").write_bytes(b"*.py text eol=crlf\n")
    (repository / "w.py").write_bytes(b"from trl import ORPOTrainer, SFTTrainer\r\nx = 1\r\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "crlf")
    assert migrate(repository, "--no-verify").exit_code == 0
    switched = b"from trl import SFTTrainer\r\nfrom orpo_compat import ORPOTrainer\r\nx = 1\r\n"
    assert (repository / "w.py").read_bytes() == switched
    assert git(repository, "diff", "--numstat", "w.py").split()[:2] == ["2", "1"]
