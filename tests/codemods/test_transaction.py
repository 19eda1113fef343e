"""All files or none: kill -9 at every system call, full disks, stale input, interruption.

The oracle is the tree itself: snapshots of bytes, modes and names taken before the switch and after a switch that
nothing disturbed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codemods import switch, transaction
from codemods.discover import discover
from codemods.errors import StaleInput, WriteFailed
from codemods.journal import Journal, State
from codemods.options import Options
from codemods.plan import Plan, make_plan
from tests.codemods.faults import counting, full_disk, killed_at
from tests.codemods.trees import PLAIN, SWITCHED, contents, make_tree, snapshot


def planned(root: Path) -> Plan:
    return make_plan(discover(root), Options())


def switch_all(root: Path, plan: Plan) -> None:
    journal = Journal(root)
    journal.prepare()
    switch.write(journal, plan.files, kind="migrate", gate={"skipped": "test"})


def roll_back_all(root: Path) -> None:
    journal = Journal(root)
    plan, standing = switch.plan_taking_back(journal)
    switch.take_back(journal, plan, standing)


def moved(tree: Path, plan: Plan, to: Path) -> Plan:
    """A fresh copy of ``tree`` at ``to`` (hard links kept) and the same plan for it."""
    if to.exists():
        shutil.rmtree(to)
    seen: dict[int, Path] = {}
    for source in sorted(path for path in tree.rglob("*") if path.is_file()):
        place = to / source.relative_to(tree)
        place.parent.mkdir(parents=True, exist_ok=True)
        inode = source.stat().st_ino
        if inode in seen:
            os.link(seen[inode], place)
        else:
            shutil.copy2(source, place)
            seen[inode] = place
    return Plan(to, plan.files, plan.findings, plan.num_listed, plan.num_candidates, plan.listed_by)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing costs seconds here and shows nothing: kill -9 ends a process, not the kernel that holds its pages."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


def moments(work: Callable[[], object]) -> list[tuple[int, str]]:
    """Every way to die in ``work``: before each changing call, and half-way through each write."""
    names: list[str] = []

    def hook(number: int, name: str, real: Any, arguments: Any) -> Any:
        names.append(name)
        return real(*arguments)

    with counting(hook):
        work()
    torn = [(number, "torn") for number, name in enumerate(names, 1) if name == "write"]
    return [(number, "before") for number in range(1, len(names) + 1)] + torn


@pytest.mark.parametrize("hard_link", [False, True])
def test_kill_at_any_call_of_a_switch_leaves_a_tree_that_recovers_whole(
    tree: Path, tmp_path: Path, hard_link: bool
) -> None:
    if hard_link:
        os.link(tree / "train.py", tree / "twin.txt")
    before, plan, copy = snapshot(tree), planned(tree), tmp_path / "copy"
    allowed = {path: {PLAIN[path], SWITCHED.get(path, PLAIN[path])} for path in PLAIN}
    mine = moved(tree, plan, copy)
    ways = moments(lambda: switch_all(copy, mine))
    after = contents(copy)
    assert len(ways) > 40
    for moment, when in ways:
        moved(tree, plan, copy)
        assert killed_at(moment, when, lambda: switch_all(copy, mine))
        if not hard_link:
            assert all(contents(copy)[path] in allowed[path] for path in PLAIN), (moment, when)
        transaction.recover(Journal(copy))
        assert snapshot(copy) == before or contents(copy) == after, (moment, when)
        assert not Journal(copy).unfinished()


def test_resume_after_a_kill_reaches_the_switched_tree(tree: Path, tmp_path: Path) -> None:
    os.link(tree / "train.py", tree / "twin.txt")
    plan, copy, resumed = planned(tree), tmp_path / "copy", 0
    mine = moved(tree, plan, copy)
    ways = moments(lambda: switch_all(copy, mine))
    after = contents(copy)
    for moment, when in ways:
        moved(tree, plan, copy)
        assert killed_at(moment, when, lambda: switch_all(copy, mine))
        for run in Journal(copy).unfinished():
            transaction.finish(copy, run)
            assert contents(copy) == after, (moment, when)
            resumed += 1
    assert resumed > 10


def test_kill_at_any_call_of_a_rollback_still_ends_in_the_original_tree(tree: Path, tmp_path: Path) -> None:
    before, plan = snapshot(tree), planned(tree)
    switched, copy = moved(tree, plan, tmp_path / "switched").root, tmp_path / "copy"
    switch_all(switched, planned(switched))
    shutil.copytree(switched, copy)
    for moment, when in moments(lambda: roll_back_all(copy)):
        shutil.rmtree(copy)
        shutil.copytree(switched, copy)
        assert killed_at(moment, when, lambda: roll_back_all(copy))
        transaction.recover(Journal(copy))
        roll_back_all(copy)
        assert snapshot(copy) == before, (moment, when)
        assert not Journal(copy).standing()


def test_kill_during_recovery_is_recovered_too(tree: Path, tmp_path: Path) -> None:
    before, plan, copy, torn = snapshot(tree), planned(tree), tmp_path / "copy", tmp_path / "torn"
    last = len([way for way in moments_of_switch(tree, plan, copy) if way[1] == "before"])
    mine = moved(tree, plan, torn)
    assert killed_at(last - 8, "before", lambda: switch_all(torn, mine))
    shutil.rmtree(copy)
    shutil.copytree(torn, copy)
    ways = moments(lambda: transaction.recover(Journal(copy)))
    assert len(ways) > 5
    for moment, when in ways:
        shutil.rmtree(copy)
        shutil.copytree(torn, copy)
        assert killed_at(moment, when, lambda: transaction.recover(Journal(copy)))
        transaction.recover(Journal(copy))
        assert snapshot(copy) == before, (moment, when)


def test_kill_leaves_no_temporary_file_once_recovered(tree: Path, tmp_path: Path) -> None:
    plan, copy, strays = planned(tree), tmp_path / "copy", 0
    mine = moved(tree, plan, copy)
    for moment, when in moments_of_switch(tree, plan, copy)[-30:]:
        moved(tree, plan, copy)
        assert killed_at(moment, when, lambda: switch_all(copy, mine))
        strays += len(set(contents(copy)) - set(PLAIN))
        transaction.recover(Journal(copy))
        assert set(contents(copy)) == set(PLAIN)
    assert strays, "the kill never caught a temporary file: this test proves nothing"


def moments_of_switch(tree: Path, plan: Plan, copy: Path) -> list[tuple[int, str]]:
    mine = moved(tree, plan, copy)
    return moments(lambda: switch_all(copy, mine))


def count_writes(tree: Path, plan: Plan, copy: Path) -> int:
    return sum(when == "torn" for _, when in moments_of_switch(tree, plan, copy))


def test_the_plan_is_durable_before_the_first_file_and_every_file_before_the_end(tree: Path) -> None:
    """The order of renames, and that each one is followed by a flush of the folder it happened in."""
    events: list[str] = []

    def hook(number: int, name: str, real: Any, arguments: Any) -> Any:
        events.append(f"replace {Path(arguments[1]).name}" if name == "replace" else name)
        return real(*arguments)

    plan = planned(tree)
    with counting(hook):
        switch_all(tree, plan)
    renames = [event for event in events if event.startswith("replace")]
    (run,) = Journal(tree).runs()
    files = [f"replace {Path(file.path).name}" for file in plan.files]
    assert renames == [
        "replace .gitignore",
        f"replace {run.folder.name}",
        "replace state.json",
        *files,
        "replace state.json",
    ]
    for place, event in enumerate(events):
        if event.startswith("replace"):
            last = next(one for one in reversed(events[:place]) if one in ("write", "fsync"))
            assert last == "fsync", f"{event} was not flushed before it was named"
            assert "fsync" in events[place + 1 : place + 3], f"the folder was not flushed after {event}"


@pytest.mark.parametrize("recovers", [True, False])
def test_full_disk_at_any_write_restores_every_file(tree: Path, tmp_path: Path, recovers: bool) -> None:
    """With ``recovers`` one write fails; without, every write from then on, the undo's included."""
    before, plan = snapshot(tree), planned(tree)
    total = count_writes(tree, plan, tmp_path / "count")
    for moment in range(1, total + 1):
        mine = moved(tree, plan, tmp_path / "copy")
        with full_disk(from_write=moment, writes=1 if recovers else 10**9), pytest.raises((WriteFailed, OSError)):
            switch_all(mine.root, mine)
        transaction.recover(Journal(mine.root))
        assert snapshot(mine.root) == before, moment


def test_a_full_disk_that_stays_full_still_gives_every_file_back_at_once(tree: Path, tmp_path: Path) -> None:
    before, plan = snapshot(tree), planned(tree)
    total = count_writes(tree, plan, tmp_path / "count")
    mine = moved(tree, plan, tmp_path / "copy")
    with full_disk(from_write=total - 1), pytest.raises(WriteFailed):  # the last file's bytes, and all that follows
        switch_all(mine.root, mine)
    assert snapshot(mine.root) == before


def test_a_file_that_changed_since_the_plan_stops_the_run_with_nothing_switched(tree: Path) -> None:
    plan = planned(tree)
    (tree / "train.py").write_bytes(b"# edited meanwhile\n")
    before = snapshot(tree)
    with pytest.raises(StaleInput, match=r"train\.py changed while we worked"):
        switch_all(tree, plan)
    assert snapshot(tree) == before
    assert not Journal(tree).unfinished()


def test_a_file_that_changes_between_two_writes_stops_the_run_and_the_first_is_restored(tree: Path) -> None:
    plan = planned(tree)

    def hook(number: int, name: str, real: Any, arguments: Any) -> Any:
        done = real(*arguments)
        if name == "replace" and str(arguments[1]).endswith("pkg/deep.py"):
            (tree / "train.py").write_bytes(b"# edited meanwhile\n")
        return done

    with counting(hook), pytest.raises(StaleInput):
        switch_all(tree, plan)
    assert contents(tree) == {**PLAIN, "train.py": b"# edited meanwhile\n"}
    assert Journal(tree).runs()[0].state is State.ROLLED_BACK


def test_what_another_run_switched_meanwhile_is_not_undone(tree: Path) -> None:
    plan = planned(tree)
    switch_all(tree, plan)
    with pytest.raises(StaleInput):
        switch_all(tree, plan)
    assert contents(tree) == {**PLAIN, **SWITCHED}
    roll_back_all(tree)
    assert contents(tree) == PLAIN


def test_a_keyboard_interrupt_between_two_files_restores_all(tree: Path) -> None:
    before, plan = snapshot(tree), planned(tree)

    def hook(number: int, name: str, real: Any, arguments: Any) -> Any:
        if name == "replace" and str(arguments[1]).endswith("train.py"):
            raise KeyboardInterrupt
        return real(*arguments)

    with counting(hook), pytest.raises(KeyboardInterrupt):
        switch_all(tree, plan)
    assert snapshot(tree) == before


def test_recovery_leaves_a_file_alone_that_was_edited_after_the_crash(tree: Path) -> None:
    plan = planned(tree)
    journal = Journal(tree)
    journal.prepare()
    originals = {file.entry().before: file.source for file in plan.files}
    from codemods.journal import new_record

    run = journal.begin(new_record("migrate", tuple(file.entry() for file in plan.files), {}), originals)
    run.advance(State.WRITING)
    (tree / "train.py").write_bytes(b"# somebody's work\n")
    (_, undone) = transaction.recover(journal)[0]
    assert undone.strangers == ("train.py",)
    assert (tree / "train.py").read_bytes() == b"# somebody's work\n"


def test_resume_refuses_when_a_file_is_neither_old_nor_switched(tree: Path, tmp_path: Path) -> None:
    plan = planned(tree)
    last = len([way for way in moments_of_switch(tree, plan, tmp_path / "copy") if way[1] == "before"])
    assert killed_at(last - 8, "before", lambda: switch_all(tree, plan))
    (run,) = Journal(tree).unfinished()
    (tree / "pkg/deep.py").write_bytes(b"# somebody's work\n")
    before = snapshot(tree)
    with pytest.raises(StaleInput, match=r"pkg/deep\.py changed since"):
        transaction.finish(tree, run)
    assert snapshot(tree) == before
