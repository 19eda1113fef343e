"""Files that are only reported: every mention on its line, and nothing else said."""

from __future__ import annotations

import pytest

from codemods.containers import Kind, kind_of, rewrite_file
from codemods.containers.installs import install_offsets, unserved_offsets
from codemods.containers.mentions import mention_spans
from codemods.findings import Severity
from codemods.options import Direction, Options
from tests.codemods.containers.laws import codes, lines_with, rewritten

EVERYTHING = Options(modernize=True, strings=True, docs=True, configs=True, deps=True)


@pytest.mark.parametrize(
    "path", ["m.pyx", "m.pxd", "m.ipy", "m.py.j2", "m.py-tpl", "m.py.jinja", "cookie.py.in", "a.j2"]
)
def test_files_that_look_like_python_are_never_parsed(path: str) -> None:
    done = rewritten(path, b"x\nfrom trl import ORPOTrainer\n", EVERYTHING)
    assert not done.changed
    assert lines_with(done, "OC115") == [2]


@pytest.mark.parametrize("path", ["Dockerfile", "run.sh", "Makefile", "app.ts", "main.rs", "Jenkinsfile"])
def test_any_text_is_searched(path: str) -> None:
    done = rewritten(path, b'x\npython -c "from trl import ORPOTrainer"\n', EVERYTHING)
    assert not done.changed
    assert lines_with(done, "OC119") == [2]


@pytest.mark.parametrize("path", ["notes.txt", "page.html", "paper.tex", "data.jsonl"])
def test_prose_and_records_are_good_to_know(path: str) -> None:
    done = rewritten(path, b"x\nfrom trl import ORPOTrainer\n", EVERYTHING)
    assert [(one.code, one.line, one.severity) for one in done.findings] == [("OC118", 2, Severity.INFO)]


@pytest.mark.parametrize(
    ("path", "head", "kind"),
    [
        ("a/b.py", b"", Kind.PYTHON),
        ("a/b.pyi", b"", Kind.PYTHON),
        ("setup.py", b"", Kind.PYTHON),
        ("bin/train", b"#!/usr/bin/env python3\n", Kind.PYTHON),
        ("bin/train", b"#!/usr/bin/python3.11 -u\n", Kind.PYTHON),
        ("bin/train", b"#!/usr/bin/env -S uv run --script\n", Kind.PYTHON),
        ("bin/train", b"\xef\xbb\xbf#!/usr/bin/env python\n", Kind.PYTHON),
        ("bin/train", b"#!/bin/bash\npython\n", Kind.TEXT),
        ("bin/train", b"", Kind.TEXT),
        ("a.IPYNB", b"", Kind.NOTEBOOK),
        ("README.md", b"", Kind.MARKDOWN),
        ("a.Rmd", b"", Kind.MARKDOWN),
        ("a.rst", b"", Kind.RST),
        ("a.yaml", b"", Kind.YAML),
        ("a.json", b"", Kind.JSON),
        ("a.toml", b"", Kind.TOML),
        (".env.prod", b"", Kind.DOTENV),
        ("pyproject.toml", b"", Kind.MANIFEST),
        ("requirements.txt", b"", Kind.MANIFEST),
        ("requirements_gpu.txt", b"", Kind.MANIFEST),
        ("dev-requirements.in", b"", Kind.MANIFEST),
        ("requirements/base.txt", b"", Kind.MANIFEST),
        ("constraints.txt", b"", Kind.MANIFEST),
        ("environment.yml", b"", Kind.MANIFEST),
        ("conda_env.yaml", b"", Kind.MANIFEST),
        ("environment-gpu.yml", b"", Kind.MANIFEST),
        ("Pipfile", b"", Kind.MANIFEST),
        ("setup.cfg", b"", Kind.MANIFEST),
        ("uv.lock", b"", Kind.LOCK),
        ("Pipfile.lock", b"", Kind.LOCK),
        ("conda-lock.yml", b"", Kind.LOCK),
        ("notes.txt", b"", Kind.TEXT),
        ("environs.yaml", b"", Kind.YAML),
        ("x.py.j2", b"", Kind.NEAR_PYTHON),
    ],
)
def test_a_file_is_known_by_its_name_or_its_first_line(path: str, head: bytes, kind: Kind) -> None:
    assert kind_of(path, head) is kind


@pytest.mark.parametrize(
    "command",
    [
        "pip install trl",
        "pip3 install -U 'trl<0.29' peft",
        "python -m pip install -q trl==0.9.6",
        "%pip install torch trl",
        "!uv pip install --system trl[peft]>=0.8",
        "uv add trl",
        "poetry add trl@^0.24",
        "conda install -c conda-forge trl=0.9",
        "RUN pip install torch \\\n    trl \\\n    peft",
        "uv run --with trl train.py",
        "pip install git+https://github.com/huggingface/trl.git@main",
        "pip install torch && pip install trl",
        'session.install("trl>=0.8")',
    ],
)
def test_commands_that_install_trl_are_found(command: str) -> None:
    assert len(install_offsets(command.encode())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "pip install trl orpo-compat",
        "pip install orpo-compat trl",
        "RUN pip install trl \\\n    orpo-compat",
        "pip install trl\npip install orpo-compat",
        "pip install 'orpo-compat[parity]>=0.1'\npip install trl",
        "uv run --with trl --with orpo-compat train.py",
    ],
)
def test_an_environment_that_gets_ours_too_is_not_told(text: str) -> None:
    assert unserved_offsets(text.encode()) == []


@pytest.mark.parametrize(
    "text",
    [
        "pip install trl\npip install trl orpo-compat",
        "pip install trl\n# pip install orpo-compat",
        "pip install trl  # orpo-compat\npip install trl\npip install orpo-compat",
        "pip install trl\npip uninstall orpo-compat",
        "pip install trl\ncat orpo-compat.txt",
    ],
)
def test_one_command_serves_one_environment(text: str) -> None:
    assert len(unserved_offsets(text.encode())) == 1


@pytest.mark.parametrize(
    "command",
    [
        "pip install trlx",
        "pip install my-trl",
        "pip install ./trl-fork",
        "# pip install trl",
        "pip install torch  # trl comes later",
        "pip install torch && python -m trl",
        "pip uninstall trl",
        "pip show trl",
        "echo trl",
        "pip install torch; trl sft",
        "pip install torch\ntrl sft",
    ],
)
def test_commands_that_do_something_else_are_not(command: str) -> None:
    assert install_offsets(command.encode()) == []


@pytest.mark.parametrize(
    "text",
    [
        "trl.ORPOTrainer",
        "trl.trainer.orpo_config.ORPOConfig",
        "trl.experimental.orpo",
        "trl.trainer.orpo_trainer",
        "trl:ORPOTrainer",
        "from trl import DPOTrainer, ORPOTrainer",
        "from trl import (\n  DPOTrainer,\n  ORPOConfig,\n)",
        "from trl.trainer.orpo_trainer import *",
        "from trl.experimental import orpo",
        "import trl.experimental.orpo as o",
        "[[autodoc]] experimental.orpo.ORPOTrainer",
    ],
)
def test_mentions_are_found(text: str) -> None:
    source = f"\u00fc\n{text}\n".encode()
    [(start, end)] = mention_spans(source)
    assert source[:start].count(b"\n") == 1
    assert source[start:end] in text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "ORPOTrainer",
        "trl",
        "from trl import SFTTrainer",
        "from trl import (\n  SFTTrainer,\n)\nORPOTrainer",
        "from trl import *",
        "orpo_compat.ORPOTrainer",
        "mytrl.ORPOTrainer",
        "x.trl.ORPOTrainer",
        "from easydel import ORPOTrainer",
        "from .trl import ORPOTrainer",
        "trl.ORPOTrainerConfig",
    ],
)
def test_homonyms_are_not_mentions(text: str) -> None:
    assert mention_spans(text.encode()) == []


def test_the_way_back_says_nothing_of_text() -> None:
    done = rewrite_file("run.sh", b"python -c 'from trl import ORPOTrainer'\n", EVERYTHING, Direction.REVERSE)
    assert not done.changed
    assert codes(done) == []


@pytest.mark.parametrize("path", ["a.md", "a.ipynb", "a.yaml", "notes.txt", "requirements.txt"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_reported_and_kept(path: str, encoding: str) -> None:
    source = "\ufefftext\nfrom trl import ORPOTrainer\n".encode(encoding)
    done = rewritten(path, source, EVERYTHING)
    assert not done.changed
    assert lines_with(done, "OC115") == [2]


@pytest.mark.parametrize("path", ["run.sh", "a.yaml", "a.json", "m.pyx"])
def test_a_repository_with_its_own_trl_is_not_read_by_spelling(path: str) -> None:
    done = rewritten(path, b'"trl.ORPOTrainer"', Options(first_party=frozenset({"trl"})))
    assert codes(done) == []
