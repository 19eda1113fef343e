"""Finding TRL: an interpreter is asked, never assumed, and every refusal says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from parity import environments, reference
from parity.environments import packages_for, pinned_release
from parity.errors import ReferenceUnavailable, SpecError
from parity.reference import find_reference, probe


def _fake_python(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


PACKAGES = '"trl": "0.24.0", "transformers": "4.57.6", "torch": "2.13.0", "datasets": "4.0"'
ANSWER = f'ORPO-COMPAT-PROBE {{{PACKAGES}, "has_trl": true}}'


def test_an_interpreter_says_which_versions_it_has():
    found = probe(Path(sys.executable))
    assert found["torch"]
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))


def test_noise_before_the_answer_is_ignored(tmp_path):
    python = _fake_python(tmp_path / "python", f"echo 'Welcome!'; echo '{{}}'; echo '{ANSWER}'; echo bye")
    assert find_reference(python=python).trl == "0.24.0"


def test_garbage_is_no_answer(tmp_path):
    python = _fake_python(tmp_path / "python", "head -c 300 /dev/urandom; exit 3")
    with pytest.raises(ReferenceUnavailable, match="exit code 3"):
        find_reference(python=python)


def test_an_interpreter_that_hangs_is_given_up(tmp_path):
    with pytest.raises(ReferenceUnavailable, match="within 1 seconds"):
        probe(_fake_python(tmp_path / "python", "exec sleep 30"), timeout=1.0)


def test_a_file_that_is_no_program_is_named(tmp_path):
    (tmp_path / "python").write_text("hello")
    with pytest.raises(ReferenceUnavailable, match="cannot be started"):
        find_reference(python=tmp_path / "python")


def test_an_interpreter_without_trl_says_how_to_install_it_there(tmp_path):
    python = _fake_python(tmp_path / "python", 'echo \'ORPO-COMPAT-PROBE {"torch": "2", "has_trl": false}\'')
    with pytest.raises(ReferenceUnavailable, match=r"-m pip install trl"):
        find_reference(python=python)


def test_an_interpreter_with_trl_and_nothing_else_says_what_is_missing(tmp_path):
    python = _fake_python(tmp_path / "python", 'echo \'ORPO-COMPAT-PROBE {"trl": "1.0", "has_trl": true}\'')
    with pytest.raises(ReferenceUnavailable, match="lacks transformers, torch, datasets"):
        find_reference(python=python)


def test_the_repositorys_own_environment_comes_first(tmp_path):
    _fake_python(tmp_path / ".venv" / "bin" / "python", f"echo '{ANSWER}'")
    found = find_reference(root=tmp_path)
    assert found.trl == "0.24.0"
    assert found.found_as == ".venv of the repository"


def test_a_folder_means_the_environment_in_it(tmp_path):
    _fake_python(tmp_path / "env" / "bin" / "python", f"echo '{ANSWER}'")
    assert find_reference(python=tmp_path / "env").trl == "0.24.0"


def test_without_trl_anywhere_every_way_to_get_it_is_told(tmp_path, monkeypatch):
    empty = _fake_python(tmp_path / "python", "echo 'ORPO-COMPAT-PROBE {\"has_trl\": false}'")
    monkeypatch.setattr(reference.sys, "executable", str(empty))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    with pytest.raises(ReferenceUnavailable) as caught:
        find_reference(root=tmp_path)
    assert "pip install 'orpo-compat[parity]'" in str(caught.value)
    assert "--reference trl==" in str(caught.value)


@pytest.mark.parametrize("requirement", ["trl", "trl>=1", "trl==1.*", "torch==2", "trl==0.8.1", "trl==", "!"])
def test_a_reference_pins_one_release_that_has_orpo(requirement):
    with pytest.raises(SpecError):
        pinned_release(requirement)


@pytest.mark.parametrize(
    ("release", "transformers"),
    [("0.8.2", "4.45.2"), ("0.11.4", "4.45.2"), ("0.12.1", "4.46.3"), ("0.24.0", "4.57.6"), ("1.16.0", "5.23.0")],
)
def test_each_release_gets_transformers_it_trains_with(release, transformers):
    packages = packages_for(release)
    assert packages[0] == f"trl=={release}"
    assert f"transformers=={transformers}" in packages


def test_an_environment_that_could_not_be_built_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
    monkeypatch.setenv("ORPO_COMPAT_CACHE", str(tmp_path))
    monkeypatch.setattr(environments, "packages_for", lambda release: ("no-such-file.whl",))
    with pytest.raises(ReferenceUnavailable, match="failed"):
        environments.build_reference("trl==0.24.0", report=lambda line: None)
    assert list((tmp_path / "references").iterdir()) == []
