"""Which TRL a repository pins; expected values follow from TRL's list of releases and each tool's own grammar."""

from __future__ import annotations

import pytest

from codemods.trl_version import RELEASES, release_of


@pytest.mark.parametrize(
    ("requirement", "release"),
    [
        ("trl==0.24.0", "0.24.0"),
        ("trl === 0.11.4", "0.11.4"),
        ("trl[peft]==0.9.6  # pinned", "0.9.6"),
        ("trl==0.9.6; python_version < '3.12'", "0.9.6"),
        ("trl<0.12", "0.11.4"),
        ("trl>=0.8.2,<0.12", "0.11.4"),
        ("trl<=0.9.4", "0.9.4"),
        ("trl~=0.9.2", "0.9.6"),
        ("trl==0.9.*", "0.9.6"),
        ("trl>=0.8,!=0.28.0,<0.29", "0.27.2"),
        ("trl<0.29", "0.28.0"),
        ("trl>=0.29", "0.29"),
        ("trl>=1.2", "1.2"),
        ("trl @ git+https://github.com/huggingface/trl.git@v0.8.6", "0.8.6"),
        ("trl", None),
        ("trl>=0.8", None),
        ("trl>0.9,<2", None),
        ("trl @ git+https://github.com/huggingface/trl.git", None),
        ("trlx==0.6", None),
        ("torch==2.1", None),
    ],
)
def test_a_requirement_says_which_release_it_gets(requirement: str, release: str | None) -> None:
    assert release_of([("requirements.txt", f"torch\n{requirement}\n".encode())]) == release


@pytest.mark.parametrize(
    ("path", "text", "release"),
    [
        ("pyproject.toml", '[project]\ndependencies = ["trl<0.20"]\n', "0.19.1"),
        ("pyproject.toml", '[tool.poetry.dependencies]\ntrl = "^0.24"\n', "0.24.0"),
        ("pyproject.toml", '[tool.poetry.dependencies]\ntrl = "~0.9.3"\n', "0.9.6"),
        ("pyproject.toml", '[tool.poetry.dependencies]\ntrl = {version = "0.15.2", optional = true}\n', "0.15.2"),
        ("pyproject.toml", '[tool.poetry.dependencies]\ntrl = "*"\n', None),
        ("Pipfile", '[packages]\ntrl = "==0.9.6"\n', "0.9.6"),
        ("environment.yml", "dependencies:\n- trl=0.9\n", "0.9.6"),
        ("environment.yml", "dependencies:\n- pip:\n  - trl==0.8.6\n", "0.8.6"),
        ("setup.py", "from setuptools import setup\nsetup(install_requires=['trl==0.10.1'])\n", "0.10.1"),
        ("setup.cfg", "[options]\ninstall_requires =\n  trl==0.10.1\n", "0.10.1"),
        ("uv.lock", '[[package]]\nname = "trl"\nversion = "0.15.2"\nsource = {}\n', "0.15.2"),
        ("poetry.lock", '[[package]]\nname = "trl"\nversion = "0.15.2"\n', "0.15.2"),
        ("Pipfile.lock", '{"default": {"trl": {"hashes": [], "version": "==0.9.6"}}}', "0.9.6"),
        ("conda-lock.yml", "package:\n- name: trl\n  version: 0.9.6\n", "0.9.6"),
        ("requirements.lock", "torch==2.1\ntrl==0.22.1\n", "0.22.1"),
        ("notes.txt", "trl==0.22.1\n", None),
    ],
)
def test_every_format_is_read(path: str, text: str, release: str | None) -> None:
    assert release_of([(path, text.encode())]) == release


def test_the_lock_file_knows_better_than_the_range() -> None:
    files = [
        ("pyproject.toml", b'[project]\ndependencies = ["trl<0.20"]\n'),
        ("uv.lock", b'[[package]]\nname = "trl"\nversion = "0.12.2"\n'),
    ]
    assert release_of(files) == "0.12.2"


def test_an_exact_pin_knows_better_than_a_range() -> None:
    files = [("pyproject.toml", b'[project]\ndependencies = ["trl<0.20"]\n'), ("requirements.txt", b"trl==0.12.2\n")]
    assert release_of(files) == "0.12.2"


def test_the_list_nearest_the_root_decides() -> None:
    files = [("examples/requirements.txt", b"trl==0.8.6\n"), ("requirements.txt", b"trl==0.12.2\n")]
    assert release_of(files) == "0.12.2"


def test_equal_lists_that_disagree_say_nothing() -> None:
    assert release_of([("requirements.txt", b"trl==0.8.6\n"), ("requirements-dev.txt", b"trl==0.12.2\n")]) is None


def test_no_list_says_nothing() -> None:
    assert release_of([]) is None


def test_the_table_of_releases_is_in_order() -> None:
    assert len(RELEASES) == 50
    assert [tuple(map(int, name.split("."))) for name in RELEASES] == sorted(
        tuple(map(int, n.split("."))) for n in RELEASES
    )
