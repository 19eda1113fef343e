"""Laws over whole trees, on trees that hypothesis makes up.

Migrate then roll back is the identity; migrating twice is migrating once; nothing is silently left: after a run,
every line in which the moved names are still taken from TRL is a line that the report lists.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codemods import switch
from codemods.containers.mentions import Places
from codemods.discover import discover
from codemods.journal import Journal
from codemods.options import Options
from codemods.plan import Plan, make_plan
from codemods.reports.model import line_after
from tests.codemods.trees import contents, make_tree, snapshot

IMPORTS = [
    "from trl import ORPOTrainer",
    "from trl import ORPOConfig, ORPOTrainer  # both",
    "from trl import DPOTrainer, ORPOTrainer as T, SFTTrainer",
    "from trl import (\n    ORPOConfig,  # cfg\n    DPOConfig,\n)",
    "from trl.trainer.orpo_trainer import ORPOTrainer",
    "from trl.experimental.orpo import ORPOConfig, ORPOTrainer",
    "import trl\nx = trl.ORPOTrainer",
    "import trl.experimental.orpo as o\ny = o.ORPOConfig()",
    "try:\n    from trl import ORPOTrainer\nexcept ImportError:\n    from trl.experimental.orpo import ORPOTrainer",
    "from trl import *",
    "def f():\n    from trl.trainer import ORPOConfig; z = 1\n    return ORPOConfig",
    "s = 'trl.ORPOTrainer'",
    "# see trl.trainer.orpo_config.ORPOConfig",
    "import trl\nregister(trl)\nt = getattr(trl, 'ORPOTrainer')",
    "import importlib\nm = importlib.import_module('trl.trainer.orpo_trainer')",
    "class ORPOTrainer: ...",
    "import sys\nsys.modules['trl.trainer.orpo_trainer'] = None",
]
FILLERS = ["import os", "x = 1", "", "# words", "def g():\n    return 2", '"""text"""', "y = [\n    1,\n]"]
PATHS = ["a.py", "pkg/b.py", "pkg/__init__.py", "deep/er/c.pyi", "d.md", "sp ace.py", "e.txt", "notes.rst"]


@st.composite
def sources(draw: st.DrawFn) -> bytes:
    """A text of imports and fillers, with one line-end style, perhaps a BOM, perhaps no final newline."""
    parts = draw(st.lists(st.sampled_from(IMPORTS + FILLERS), min_size=1, max_size=6))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join("\n".join(parts).split("\n")) + draw(st.sampled_from(["", end]))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


TREES = st.dictionaries(st.sampled_from(PATHS), sources(), min_size=1, max_size=4)
EVERYTHING = Options(modernize=True, strings=True, docs=True, configs=True, deps=True)
OPTIONS = st.sampled_from([Options(), EVERYTHING, Options(strings=True), Options(docs=True)])
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def migrate(root: Path, options: Options) -> Plan:
    plan = make_plan(discover(root), options)
    if plan.files:
        journal = Journal(root)
        journal.prepare()
        switch.write(journal, plan.files, kind="migrate", gate={"skipped": "test"})
    return plan


@relaxed
@given(files=TREES, options=OPTIONS)
def test_migrate_then_roll_back_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], options: Options
) -> None:
    root = make_tree(tmp_path_factory.mktemp("law"), files)
    before = snapshot(root)
    migrate(root, options)
    journal = Journal(root)
    plan, standing = switch.plan_taking_back(journal)
    if standing:
        switch.take_back(journal, plan, standing)
    assert snapshot(root) == before


@relaxed
@given(files=TREES, options=OPTIONS)
def test_migrating_twice_is_migrating_once(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], options: Options
) -> None:
    root = make_tree(tmp_path_factory.mktemp("law"), files)
    migrate(root, options)
    once = contents(root)
    assert migrate(root, options).files == ()
    assert contents(root) == once


TAKEN_FROM_TRL = re.compile(
    rb"\btrl(\.\w+)*\.ORPO(Trainer|Config)\b|\btrl\.(trainer\.orpo_(trainer|config)|experimental\.orpo)\b"
    rb"|from[ \t]+trl[\w.]*[ \t]+import[^(\n]*\bORPO(Trainer|Config)\b"
    rb"|from[ \t]+trl[\w.]*[ \t]+import[ \t]*\([^)]*\bORPO"
)
"""A search anybody could run over the tree, written apart from the one the codemod uses."""


def searched(root: Path) -> set[tuple[str, int]]:
    """Every line that the search finds, as path and line."""
    found = set()
    for path, content in contents(root).items():
        places = Places(content)
        found |= {(path, places.at(match.start())[0]) for match in TAKEN_FROM_TRL.finditer(content)}
    return found


def listed(plan: Plan) -> set[tuple[str, int]]:
    files = {file.path: file for file in plan.files}
    return {
        (one.path, line_after(files[one.path].source, files[one.path].edits, one.line))
        if one.path in files
        else (one.path, one.line)
        for one in plan.findings
    }


@relaxed
@given(files=TREES, options=OPTIONS)
def test_nothing_is_silently_left(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], options: Options
) -> None:
    root = make_tree(tmp_path_factory.mktemp("law"), files)
    plan = migrate(root, options)
    assert searched(root) <= listed(plan)


def test_the_search_of_that_law_does_find_what_is_left(tmp_path: Path) -> None:
    root = make_tree(tmp_path, {"a.py": b"x = 1\ns = 'trl.ORPOTrainer'\n", "b.txt": b"from trl import ORPOConfig\n"})
    assert searched(root) == {("a.py", 2), ("b.txt", 1)}


@settings(relaxed, max_examples=15)
@given(files=TREES, jobs=st.integers(2, 4))
def test_the_plan_does_not_depend_on_the_number_of_processes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], jobs: int
) -> None:
    root = make_tree(tmp_path_factory.mktemp("law"), files)
    found: Any = discover(root)
    with mock.patch("codemods.plan._POOL_PAYS_FROM", 1):  # so that small trees use processes too
        assert make_plan(found, Options(), num_jobs=jobs) == make_plan(found, Options())
