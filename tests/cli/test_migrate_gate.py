"""The gate decides whether anything is written. Most tests put a verdict in its place; the last one trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from orpo_compat.cli import migrate_forward
from orpo_compat.cli.migrate_options import Request
from orpo_compat.cli.target import resolve
from parity.errors import ArmFailed
from parity.reference import Reference
from tests.cli.calls import migrate, request
from tests.codemods.trees import PLAIN, SWITCHED, contents, git, make_repository, snapshot


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


def passing(root: Path, asked: Request) -> dict[str, str]:
    return {
        "verdict": "EQUIVALENT",
        "headline": "equal",
        "evidence": ".orpo-compat/evidence/e.json",
        "digest": "ab" * 32,
    }


def switch(root: Path, gate: migrate_forward.Gate, **asked: object) -> int:
    return migrate_forward.switch(request(root, **asked), resolve([str(root)]), gate)


def test_a_pass_is_recorded_in_the_journal_with_its_evidence(repository: Path) -> None:
    assert switch(repository, passing) == 0
    assert contents(repository) == {**PLAIN, **SWITCHED}
    (plan,) = (repository / ".orpo-compat/runs").glob("*/plan.json")
    assert json.loads(plan.read_text())["gate"] == passing(repository, request(repository))


def test_the_commit_message_names_the_evidence_and_its_seal(repository: Path) -> None:
    assert switch(repository, passing, commit=True) == 0
    message = git(repository, "log", "-1", "--format=%B")
    assert "Evidence: .orpo-compat/evidence/e.json\n" in message
    assert f"Evidence-Seal: {'ab' * 32}\n" in message


def test_a_release_that_is_asked_for_is_built_and_its_interpreter_given_to_the_gate(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The building itself is `parity`'s; here it only stands for a folder."""
    built: list[str] = []

    def build(requirement: str, *, report: object) -> Reference:
        built.append(requirement)
        return Reference(Path("/built/bin/python"), {"trl": "0.9.6"}, "built")

    seen: list[Path | None] = []

    def noting(root: Path, asked: Request) -> dict[str, str]:
        seen.append(asked.reference_python)
        return passing(root, asked)

    monkeypatch.setattr("parity.environments.build_reference", build)
    assert switch(repository, noting, reference="trl==0.9.6") == 0
    assert (built, seen) == (["trl==0.9.6"], [Path("/built/bin/python")])


def test_a_reference_that_pins_no_release_is_refused_with_nothing_written(repository: Path) -> None:
    before = snapshot(repository)
    result = migrate(repository, "--reference", "trl>=1")
    assert result.exit_code == 2
    assert "--reference: " in result.stderr
    assert "one release such as trl==0.24.0" in result.stderr
    assert snapshot(repository) == before


@pytest.mark.parametrize("other", [("--reference-python", "python"), ("--no-verify",)])
def test_a_reference_beside_what_contradicts_it_is_refused(repository: Path, other: tuple[str, ...]) -> None:
    result = migrate(repository, "--reference", "trl==0.9.6", *other)
    assert result.exit_code == 2
    assert "--reference" in result.stderr
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("arm", "advice"),
    [("theirs", "--reference trl==VERSION builds it"), ("ours", "does not run in this environment: mend that first")],
)
def test_a_subclass_that_cannot_be_trained_is_advised_on_by_the_side_that_failed(
    arm: str, advice: str, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(plan: object, asked: Request) -> None:
        raise ArmFailed(arm, "failed")

    before = snapshot(repository)
    monkeypatch.setattr("orpo_compat.cli.migrate_subclasses.judge_subclasses", failing)
    with pytest.raises(typer.Exit) as stopped:
        switch(repository, passing, verify_subclass=["all"])
    assert stopped.value.exit_code == 4
    assert advice in " ".join(capsys.readouterr().err.split())
    assert snapshot(repository) == before


@pytest.mark.parametrize("code", [4, 5])
def test_a_gate_that_stops_leaves_every_file_as_it_was(repository: Path, code: int) -> None:
    def stopping(root: Path, asked: Request) -> dict[str, str]:
        raise typer.Exit(code)

    before = snapshot(repository)
    with pytest.raises(typer.Exit) as stopped:
        switch(repository, stopping)
    assert stopped.value.exit_code == code
    assert snapshot(repository) == before
    assert git(repository, "status", "--porcelain") == ""


def test_the_gate_is_not_asked_when_there_is_nothing_to_change(repository: Path) -> None:
    def never(root: Path, asked: Request) -> dict[str, str]:
        raise AssertionError("asked")

    switch(repository, passing)
    assert switch(repository, never, allow_dirty=True) == 0
    assert switch(repository, never, dry_run=True) == 0


def test_the_gate_is_asked_only_after_the_tree_was_found_fit(repository: Path) -> None:
    def never(root: Path, asked: Request) -> dict[str, str]:
        raise AssertionError("asked")

    (repository / "other.py").write_bytes(b"dirty\n")
    assert migrate(repository).exit_code == 6
    from codemods.errors import DirtyTree

    with pytest.raises(DirtyTree):
        switch(repository, never)


def test_a_tree_that_changed_while_the_gate_ran_is_not_written(repository: Path) -> None:
    def slow(root: Path, asked: Request) -> dict[str, str]:
        (root / "train.py").write_bytes(b"# edited while the arms trained\n")
        return passing(root, asked)

    from codemods.errors import CodemodError

    with pytest.raises(CodemodError):
        switch(repository, slow)
    assert contents(repository) == {**PLAIN, "train.py": b"# edited while the arms trained\n"}


class Verdict:
    def __init__(self, name: str, exit_code: int) -> None:
        self.name, self.exit_code, self.passes = name, exit_code, exit_code == 0


@pytest.mark.parametrize(
    ("name", "of_parity", "expected"), [("DIFFERENT", 1, 5), ("INVESTIGATE", 3, 5), ("INCOMPARABLE", 4, 4)]
)
def test_each_verdict_that_does_not_pass_has_its_exit_code(
    repository: Path, monkeypatch: pytest.MonkeyPatch, name: str, of_parity: int, expected: int
) -> None:
    gate = pytest.importorskip("parity.gate")

    def judged(root: Path, **asked: object) -> object:
        return gate.GateResult(Verdict(name, of_parity), root / "e.json", "00", "the loss differs by 3e-3")

    monkeypatch.setattr(gate, "judge_switch", judged)
    result = migrate(repository)
    assert result.exit_code == expected
    assert name in result.stderr
    assert "the loss differs by 3e-3" in result.stderr
    assert contents(repository) == PLAIN


def test_no_reference_is_parity_not_run_and_nothing_is_written(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from parity import gate
    from parity.errors import ReferenceUnavailable

    def missing(root: Path, **asked: object) -> object:
        raise ReferenceUnavailable("no TRL here: pip install 'orpo-compat[parity]'")

    monkeypatch.setattr(gate, "judge_switch", missing)
    result = migrate(repository)
    assert result.exit_code == 4
    assert "pip install" in result.stderr
    assert contents(repository) == PLAIN


@pytest.mark.slow
def test_the_real_gate_trains_both_and_lets_the_switch_through(repository: Path) -> None:
    pytest.importorskip("trl")
    result = migrate(repository, "--commit")
    assert result.exit_code == 0, result.stderr
    assert contents(repository) == {**PLAIN, **SWITCHED}
    evidence = next(line for line in git(repository, "log", "-1", "--format=%B").splitlines() if "Evidence:" in line)
    assert (repository / evidence.split(": ")[1]).is_file()
    assert migrate(repository, "--rollback").exit_code == 0
    assert contents(repository) == PLAIN
