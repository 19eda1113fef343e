"""``python -m orpo_compat``: what it takes off the import path, and what it leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orpo_compat.__main__ import leave_working_directory

HOME = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("first", ["", ".", None])
def test_the_working_directory_is_taken_off(first: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = [str(tmp_path) if first is None else first, "elsewhere"]
    leave_working_directory(path)
    assert path == ["elsewhere"]


def test_a_folder_that_is_not_the_working_directory_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = ["/somewhere", str(tmp_path)]
    leave_working_directory(path)
    assert path == ["/somewhere", str(tmp_path)]


def test_the_folder_that_this_package_is_in_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HOME)
    path = [""]
    leave_working_directory(path)
    assert path == [""]


def test_modules_of_the_working_directory_are_not_imported(tmp_path: Path) -> None:
    for name in ("codemods", "parity"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    (tmp_path / "rich.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    code = f"sys.path.append({str(HOME)!r}); import runpy; runpy.run_module('orpo_compat', run_name='__main__')"
    for arguments in (["scan", "."], ["--help"]):
        command = [sys.executable, "-c", f"import sys; sys.argv[1:] = {arguments!r}; {code}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
