"""One file at a time: attributes kept, links respected, torn writes recognised."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codemods import writing
from codemods.errors import StaleInput


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "m.py"
    place.write_bytes(b"before\n")
    return place


def replace(place: Path, content: bytes, expected: bytes = b"before\n") -> None:
    writing.replace(place, content, expected=writing.digest(expected), scratch=".scratch")


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o4750, 0o640])
def test_mode_is_kept(file: Path, mode: int) -> None:
    file.chmod(mode)
    replace(file, b"after\n")
    assert file.stat().st_mode & 0o7777 == mode
    assert file.read_bytes() == b"after\n"


def test_owner_is_kept(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(file, 1234, 4321)
    replace(file, b"after\n")
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 4321)


def test_owner_that_cannot_be_given_makes_it_write_in_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inode = file.stat().st_ino

    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "not yours")

    monkeypatch.setattr(os, "fchown", refuse)
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda descriptor: _as_if_owned_by_another(real(descriptor)))
    replace(file, b"after\n")
    assert (file.read_bytes(), file.stat().st_ino) == (b"after\n", inode)
    assert [path.name for path in file.parent.iterdir()] == ["m.py"]


def _as_if_owned_by_another(status: os.stat_result) -> os.stat_result:
    fields = list(status)
    fields[4] = fields[4] + 1
    return os.stat_result(fields)


def test_extended_attributes_are_kept(file: Path) -> None:
    try:
        os.setxattr(file, "user.note", b"keep me")
    except OSError:
        pytest.skip("this file system has no user attributes")
    replace(file, b"after\n")
    assert os.getxattr(file, "user.note") == b"keep me"


def test_hard_link_stays_one_file(file: Path) -> None:
    twin = file.with_name("twin.py")
    os.link(file, twin)
    replace(file, b"a much longer text than before\n")
    assert twin.read_bytes() == b"a much longer text than before\n"
    assert file.stat().st_ino == twin.stat().st_ino
    replace(twin, b"s\n", b"a much longer text than before\n")
    assert file.read_bytes() == b"s\n"


def test_a_file_that_changed_is_not_written(file: Path) -> None:
    with pytest.raises(StaleInput, match="changed while we worked"):
        replace(file, b"after\n", expected=b"something else\n")
    assert file.read_bytes() == b"before\n"
    assert [path.name for path in file.parent.iterdir()] == ["m.py"]


def test_a_file_that_became_a_link_is_not_written_through(file: Path) -> None:
    target = file.with_name("target.py")
    file.rename(target)
    file.symlink_to(target)
    with pytest.raises(StaleInput):
        replace(file, b"after\n")
    assert target.read_bytes() == b"before\n"


def test_a_scratch_file_left_by_a_crash_is_in_nobodys_way(file: Path) -> None:
    file.with_name(".scratch").write_bytes(b"half")
    replace(file, b"after\n")
    assert [path.name for path in file.parent.iterdir()] == ["m.py"]


def test_a_name_as_long_as_names_get_can_be_replaced(tmp_path: Path) -> None:
    place = tmp_path / ("n" * 252 + ".py")
    place.write_bytes(b"before\n")
    replace(place, b"after\n")
    assert place.read_bytes() == b"after\n"


@given(before=st.binary(max_size=12), after=st.binary(max_size=12), data=st.data())
def test_every_state_of_an_interrupted_overwrite_is_recognised(
    before: bytes, after: bytes, data: st.DataObject
) -> None:
    written = data.draw(st.integers(0, len(after)))
    torn = after[:written] + before[written:]
    assert writing.is_torn(torn, before, after)


@given(before=st.binary(max_size=6), after=st.binary(max_size=6), current=st.binary(max_size=6))
def test_nothing_else_is_taken_for_one(before: bytes, after: bytes, current: bytes) -> None:
    states = {after[:written] + before[written:] for written in range(len(after) + 1)}
    assert writing.is_torn(current, before, after) == (current in states)


@given(left=st.binary(max_size=20), right=st.binary(max_size=20))
def test_common_prefix_is_what_counting_gives(left: bytes, right: bytes) -> None:
    count = 0
    while count < min(len(left), len(right)) and left[count] == right[count]:
        count += 1
    assert writing.common_prefix(left, right) == count
