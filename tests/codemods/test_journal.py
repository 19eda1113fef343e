"""What the journal keeps, and that it creates nothing before it must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codemods import writing
from codemods.edits import Edit
from codemods.errors import JournalDamaged
from codemods.journal import Entry, Journal, State, new_record

SOURCE = b"# \xff\nfrom trl import ORPOTrainer\nx = 1\n"
RESULT = b"# \xff\nfrom orpo_compat import ORPOTrainer\nx = 1\n"
EDIT = Edit(9, 12, b"trl", b"orpo_compat", "move")


def entry(path: str) -> Entry:
    return Entry(path, 0o644, writing.digest(SOURCE), writing.digest(RESULT), (EDIT,))


def begin(root: Path, path: str = "a.py", kind: str = "migrate") -> Journal:
    journal = Journal(root)
    journal.prepare()
    journal.begin(new_record(kind, (entry(path),), {"skipped": "x"}), {writing.digest(SOURCE): SOURCE})
    return journal


def test_reading_an_absent_journal_creates_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert (journal.runs(), journal.unfinished(), journal.standing()) == ([], [], [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["a.py", "sp ace/\u00e4.py", "\udcff.py", "new\nline.py", 'q"uote.py'])
def test_what_is_written_is_read_back(tmp_path: Path, path: str) -> None:
    (run,) = begin(tmp_path, path).runs()
    assert run.record.entries == (entry(path),)
    assert run.state is State.PLANNED
    assert run.before(entry(path)) == SOURCE
    assert run.after(entry(path)) == RESULT


def test_spans_carry_the_line_they_stand_in(tmp_path: Path) -> None:
    (run,) = begin(tmp_path).runs()
    (file,) = json.loads((run.folder / "plan.json").read_text())["files"]
    assert file["edits"][0]["line"] == 2
    assert file["edits"][0]["within"] == "from trl import ORPOTrainer"


def test_the_folder_hides_itself_from_git(tmp_path: Path) -> None:
    begin(tmp_path)
    assert (tmp_path / ".orpo-compat/.gitignore").read_bytes() == b"*\n"


def test_a_half_built_run_is_no_run_and_is_cleared_away(tmp_path: Path) -> None:
    half = tmp_path / ".orpo-compat/runs/20200101T000000000000Z-aa.new"
    half.mkdir(parents=True)
    assert Journal(tmp_path).runs() == []
    begin(tmp_path)
    assert not half.exists()


def test_a_journal_behind_a_link_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / ".orpo-compat").symlink_to(elsewhere)
    with pytest.raises(JournalDamaged, match="link"):
        Journal(root).prepare()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("part", [".orpo-compat", ".orpo-compat/runs", ".orpo-compat/runs/ID"])
def test_no_part_of_the_journal_is_followed_through_a_link(tmp_path: Path, part: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (run,) = begin(root).runs()
    place = root / part.replace("ID", run.folder.name)
    elsewhere = tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    with pytest.raises(JournalDamaged, match="is a link"):
        Journal(root).runs()


def test_another_format_is_refused_by_its_number(tmp_path: Path) -> None:
    (run,) = begin(tmp_path).runs()
    text = (run.folder / "plan.json").read_bytes().replace(b'"format": 1', b'"format": 9')
    (run.folder / "plan.json").write_bytes(text)
    state = json.loads((run.folder / "state.json").read_text())
    (run.folder / "state.json").write_text(json.dumps({**state, "plan": writing.digest(text)}))
    with pytest.raises(JournalDamaged, match="format 9"):
        Journal(tmp_path).runs()


def test_only_migrations_in_force_stand_newest_first(tmp_path: Path) -> None:
    journal = begin(tmp_path)
    begin(tmp_path, "b.py")
    begin(tmp_path, "c.py", kind="rollback")
    for run in journal.runs():
        run.advance(State.DONE)
    assert [run.record.entries[0].path for run in journal.standing()] == ["b.py", "a.py"]
    journal.standing()[0].advance(State.ROLLED_BACK, reason="test")
    assert [run.record.entries[0].path for run in journal.standing()] == ["a.py"]
