"""Every field of a journal replaced by nonsense: a rollback restores, or says no, and never writes anything else."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codemods import switch, writing
from codemods.discover import discover
from codemods.errors import CodemodError
from codemods.journal import Journal, new_record
from codemods.options import Options
from codemods.plan import make_plan
from codemods.transaction import recover
from tests.codemods.trees import PLAIN, make_tree, snapshot

NONSENSE = [None, 10**30, "", "../outside.py", "a\0b", [], "writing", "\ud800"]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (*path, key)
        yield from places(below, (*path, key))


def replaced(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: Any = json.loads(json.dumps(document))
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["plan.json", "state.json"])
def test_nonsense_anywhere_in_the_journal_writes_nothing_but_what_was_there(name: str, tmp_path: Path) -> None:
    base = make_tree(tmp_path / "base", {path: PLAIN[path] for path in ("train.py", "pkg/deep.py")})
    original = snapshot(base)
    Journal(base).prepare()
    switch.write(Journal(base), make_plan(discover(base), Options()).files, kind="migrate", gate={"skipped": "test"})
    switched = snapshot(base)
    file = next((base / ".orpo-compat/runs").glob(f"*/{name}"))
    document = json.loads(file.read_text())
    outside = tmp_path / "outside.py"
    outside.write_bytes(b"outside\n")
    for path in places(document):
        for value in NONSENSE:
            root = shutil.copytree(base, tmp_path / "copy")
            tamper(root / file.relative_to(base), replaced(document, path, value))
            with contextlib.suppress(CodemodError):  # a sentence, not a traceback
                roll_back(root)
            found = snapshot(root)
            assert all(found.get(one) in (original[one], switched[one]) for one in original), (path, value)
            assert set(found) == set(original)
            assert outside.read_bytes() == b"outside\n"
            shutil.rmtree(root)


def tamper(file: Path, document: dict[str, Any]) -> None:
    """Write it with a seal that fits: the seal is against accidents, the checks behind it against malice."""
    file.write_text(json.dumps(document))
    if file.name == "plan.json":
        state = file.with_name("state.json")
        seal = {**json.loads(state.read_text()), "plan": writing.digest(file.read_bytes())}
        state.write_text(json.dumps(seal))


def roll_back(root: Path) -> None:
    journal = Journal(root)
    recover(journal)
    plan, standing = switch.plan_taking_back(journal)
    switch.take_back(journal, plan, standing)


def test_a_clock_that_was_set_back_does_not_change_the_order_of_runs() -> None:
    ahead = "29990101T000000000000Z-aaaaaaaa"
    assert new_record("migrate", (), {}, later_than=ahead).run > ahead
    assert new_record("migrate", (), {}, later_than="").run < ahead


def test_runs_are_taken_back_in_the_order_they_were_made_whatever_the_clock_said(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "tree", {"a.py": b"from trl import ORPOTrainer\n"})
    journal = Journal(root)
    journal.prepare()
    switch.write(journal, make_plan(discover(root), Options()).files, kind="migrate", gate={})
    (run,) = (root / ".orpo-compat/runs").iterdir()
    run.rename(run.with_name(f"2999{run.name[4:]}"))
    (root / "a.py").write_bytes((root / "a.py").read_bytes() + b"from trl import ORPOConfig\n")
    switch.write(journal, make_plan(discover(root), Options()).files, kind="migrate", gate={})
    roll_back(root)
    assert (root / "a.py").read_bytes() == b"from trl import ORPOTrainer\nfrom trl import ORPOConfig\n"
