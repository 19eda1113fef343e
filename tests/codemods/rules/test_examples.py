"""Every rule shows an example; here each example is carried out, and the printed table holds it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import codemods.rules as package
from codemods.findings import CODES
from codemods.options import Options
from codemods.rewrite import rewrite
from codemods.rules import LoadedRule, Rule, all_rules, described
from codemods.rules.table import table
from tests.codemods.checks import parses

RULES = all_rules()


@pytest.mark.parametrize("rule", described(), ids=lambda rule: rule.title)
def test_the_example_of_a_rule_does_what_it_says(rule: Rule) -> None:
    example = rule.example
    done = rewrite(example.before.encode(), options=example.options or Options())
    assert done.result.decode() == (example.after if example.after is not None else example.before)
    assert parses(example.before.encode()) or rule.code == "OC115"


@pytest.mark.parametrize("rule", described(), ids=lambda rule: rule.title)
def test_the_example_of_a_rule_shows_its_code(rule: Rule) -> None:
    example, code = rule.example, rule.code
    done = rewrite(example.before.encode(), options=example.options or Options())
    told = {finding.code for finding in done.findings} | {edit.rule for edit in done.edits}
    assert code in told or (code, rule.edits) == ("OC003", True) or code == "OC126"


@pytest.mark.parametrize("loaded", RULES, ids=lambda loaded: loaded.rule.title)
def test_a_rule_opens_with_a_release_or_the_fact_behind_it(loaded: LoadedRule) -> None:
    doc = __import__(loaded.apply.__module__, fromlist=["__doc__"]).__doc__
    assert len(doc.strip().splitlines()) >= 3
    assert re.search(r"0\.\d+|release|ORPO|generated|suppress", doc)


def test_every_rule_module_is_loaded_once_and_has_a_test_of_its_name() -> None:
    stems = {path.stem for path in Path(package.__file__).parent.glob("*.py")} - {"__init__", "table"}
    assert {loaded.apply.__module__.rpartition(".")[2] for loaded in RULES} == stems
    assert {f"test_{stem}" for stem in stems} <= {path.stem for path in Path(__file__).parent.glob("test_*.py")}


def test_the_table_lists_every_rule_and_every_code() -> None:
    page = table()
    rows = [line for line in page.splitlines() if line.startswith("| OC")]
    assert len(rows) == len(described())
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
    assert all(f"- `{code}`" in page for code in CODES)
