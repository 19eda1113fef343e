"""``--rollback``, ``--resume`` and the recovery that any writing run begins with, through the command line."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codemods import switch
from codemods.discover import discover
from codemods.journal import Journal
from codemods.options import Options
from codemods.plan import make_plan
from tests.cli.calls import migrate
from tests.codemods.faults import killed_before_replacing
from tests.codemods.trees import PLAIN, SWITCHED, contents, git, make_repository, make_tree, snapshot


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def interrupt(root: Path) -> None:
    """Kill a switch for good between its second file and its third."""

    def work() -> None:
        journal = Journal(root)
        journal.prepare()
        switch.write(journal, make_plan(discover(root), Options()).files, kind="migrate", gate={"skipped": "test"})

    assert killed_before_replacing("train.py", work)
    assert contents(root) != PLAIN
    assert contents(root)["train.py"] == PLAIN["train.py"]


def test_resume_finishes_what_was_interrupted(repository: Path) -> None:
    interrupt(repository)
    result = migrate(repository, "--resume")
    assert result.exit_code == 0, result.stderr
    assert contents(repository) == {**PLAIN, **SWITCHED}
    assert migrate(repository, "--rollback").exit_code == 0
    assert git(repository, "status", "--porcelain") == ""


def test_rollback_undoes_what_was_interrupted(repository: Path) -> None:
    before = snapshot(repository)
    interrupt(repository)
    result = migrate(repository, "--rollback")
    assert result.exit_code == 0, result.stderr
    assert snapshot(repository) == before


def test_the_next_migration_recovers_first_and_then_switches(repository: Path) -> None:
    interrupt(repository)
    result = migrate(repository, "--no-verify")
    assert result.exit_code == 0, result.stderr
    assert "OC150" in result.stderr
    assert contents(repository) == {**PLAIN, **SWITCHED}


def test_a_dry_run_on_an_interrupted_tree_says_so_and_writes_nothing(repository: Path) -> None:
    interrupt(repository)
    before = snapshot(repository, journal=True)
    assert "OC150" in migrate(repository, "--dry-run").stderr
    assert snapshot(repository, journal=True) == before


def test_resume_with_nothing_interrupted_is_a_no_op(repository: Path) -> None:
    assert migrate(repository, "--resume").exit_code == 0
    assert not (repository / ".orpo-compat").exists()


def test_rollback_preview_writes_nothing(repository: Path) -> None:
    migrate(repository, "--no-verify")
    before = snapshot(repository, journal=True)
    result = migrate(repository, "--rollback", "--dry-run")
    assert result.exit_code == 0
    assert "+from trl import ORPOConfig, ORPOTrainer\n" in result.stdout
    assert migrate(repository, "--rollback", "--check").exit_code == 1
    assert snapshot(repository, journal=True) == before


def test_a_file_that_cannot_be_rolled_back_exits_three_and_the_others_are_back(repository: Path) -> None:
    migrate(repository, "--no-verify")
    (repository / "train.py").unlink()
    result = migrate(repository, "--rollback")
    assert result.exit_code == 3
    assert "train.py" in result.stderr
    assert contents(repository) == {path: content for path, content in PLAIN.items() if path != "train.py"}


def test_without_a_journal_the_rules_go_back_where_they_are_told(repository: Path) -> None:
    migrate(repository, "--no-verify", "--commit")
    shutil.rmtree(repository / ".orpo-compat")
    result = migrate(repository, "--rollback")
    assert result.exit_code == 3
    assert "--to auto" in result.stderr
    assert contents(repository) == {**PLAIN, **SWITCHED}
    assert migrate(repository, "--rollback", "--to", "trl.experimental.orpo").exit_code == 0
    after = contents(repository)
    assert after["train.py"].startswith(b"from trl.experimental.orpo import ORPOConfig, ORPOTrainer\n")
    assert not any(b"orpo_compat" in content for content in after.values())


@pytest.mark.parametrize(("pin", "home"), [("trl==0.24.0", "trl"), ("trl==0.29.0", "trl.experimental.orpo")])
def test_auto_goes_back_to_where_the_pinned_release_keeps_orpo(tmp_path: Path, pin: str, home: str) -> None:
    root = make_tree(
        tmp_path / "t", {"a.py": b"from orpo_compat import ORPOTrainer\n", "requirements.txt": pin.encode()}
    )
    migrate(root, "--rollback", "--to", "auto")
    assert (root / "a.py").read_bytes() == f"from {home} import ORPOTrainer\n".encode()


def test_rule_alone_rollback_can_itself_be_seen_first(repository: Path) -> None:
    make_tree(repository, {"new.py": b"from orpo_compat import ORPOTrainer\n"})
    result = migrate(repository / "new.py", "--rollback", "--to", "trl", "--dry-run")
    assert "+from trl import ORPOTrainer\n" in result.stdout
    assert contents(repository)["new.py"] == b"from orpo_compat import ORPOTrainer\n"


def test_rollback_of_a_tree_that_was_never_switched_is_a_no_op(repository: Path) -> None:
    assert migrate(repository, "--rollback").exit_code == 0
    assert contents(repository) == PLAIN


def test_rollback_of_one_path_leaves_the_others_switched(repository: Path) -> None:
    migrate(repository, "--no-verify")
    assert migrate(repository / "train.py", "--rollback").exit_code == 0
    assert contents(repository) == {**PLAIN, **SWITCHED, "train.py": PLAIN["train.py"]}
    assert migrate(repository, "--rollback").exit_code == 0
    assert contents(repository) == PLAIN


def test_a_file_finds_the_journal_of_the_folder_it_was_switched_in(repository: Path) -> None:
    migrate(repository / "pkg", "--no-verify")
    assert migrate(repository / "pkg/mixed.py", "--rollback").exit_code == 0
    assert contents(repository)["pkg/mixed.py"] == PLAIN["pkg/mixed.py"]
    assert contents(repository)["pkg/deep.py"] == SWITCHED["pkg/deep.py"]


def test_a_journal_further_down_is_pointed_at(repository: Path) -> None:
    migrate(repository / "pkg", "--no-verify")
    result = migrate(repository, "--rollback")
    assert result.exit_code == 3
    assert f"orpo-compat migrate {repository / 'pkg'} --rollback" in result.stderr
    migrate(repository / "pkg", "--rollback")
    assert migrate(repository, "--rollback").exit_code == 0
    assert contents(repository) == PLAIN


def test_a_tampered_journal_is_an_error_in_one_line(repository: Path) -> None:
    migrate(repository, "--no-verify")
    (plan,) = (repository / ".orpo-compat/runs").glob("*/plan.json")
    plan.write_bytes(plan.read_bytes().replace(b'"train.py"', b'"../../x.py"'))
    before = snapshot(repository)
    result = migrate(repository, "--rollback")
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert snapshot(repository) == before


def holding(root: Path) -> subprocess.Popen[bytes]:
    """A second process that takes the lock of ``root`` and keeps it."""
    code = (
        "import sys, time; from pathlib import Path; from codemods.locks import exclusive; "
        "from codemods.journal import Journal; j = Journal(Path(sys.argv[1])); j.prepare()\n"
        "with exclusive(j.lock): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    return child


def test_a_second_run_is_refused_while_the_first_holds_the_lock(repository: Path) -> None:
    with holding(repository) as child:
        result = migrate(repository, "--no-verify")
        child.kill()
        assert result.exit_code == 6
        assert f"process {child.pid}" in result.stderr
        assert contents(repository) == PLAIN
    assert migrate(repository, "--no-verify").exit_code == 0, "the lock of a killed process must not outlive it"


def test_two_runs_at_once_leave_one_whole_switch(repository: Path) -> None:
    command = [sys.executable, "-m", "orpo_compat", "migrate", str(repository), "--no-verify", "--allow-dirty"]
    runs = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]
    codes = [run.wait() for run in runs]
    assert 0 in codes
    assert set(codes) <= {0, 6}
    assert contents(repository) == {**PLAIN, **SWITCHED}
    assert migrate(repository, "--rollback").exit_code == 0
    assert contents(repository) == PLAIN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_during_the_write_exits_130_with_every_file_whole(tmp_path: Path, number: int) -> None:
    files = {f"m{index}.py": PLAIN["train.py"] for index in range(400)}
    root = make_tree(tmp_path / "t", files)
    command = [sys.executable, "-m", "orpo_compat", "migrate", str(root), "--no-verify", "-j", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline:
            if b"orpo_compat" in (root / "m0.py").read_bytes():
                child.send_signal(number)
                time.sleep(0.02)
                child.send_signal(signal.SIGINT)  # the impatient second Ctrl-C must not stop the undoing
                break
            time.sleep(0.001)
        assert child.wait() == 130
    assert contents(root) == files
    assert list((root / ".orpo-compat/runs").iterdir())
