"""The report on a terminal and as Markdown: what was asked to be measured is shown, whichever form was asked for."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from parity.report import print_report
from parity.report_text import make_markdown
from tests.parity.evidence_sample import sample_evidence

QUANTITY = {"theirs": 1.0, "ours": 0.5, "ratio": 0.5, "resolving_power": 0.1, "resolved": True}


@pytest.fixture
def content(tmp_path):
    return sample_evidence(tmp_path)


def printed(content, **asked) -> str:
    stream = io.StringIO()
    print_report(content, Console(file=stream, width=200), **asked)
    return stream.getvalue()


def test_the_full_report_ends_with_the_twelve_points(content):
    text = printed(content)
    for point in content["checklist"]:
        assert point["point"] in text
    assert len(content["checklist"]) == 12


def test_the_short_one_has_them_only_if_they_were_asked_for(content):
    assert "saves and reloads" not in printed(content, short=True)
    assert "saves and reloads" in printed(content, short=True, checklist=True)


@pytest.mark.parametrize("short", [True, False])
def test_repeated_measurements_are_shown_and_no_longer_advised(content, short):
    assert "--repeat 3 does" in printed(content, short=short)
    content["resources"]["measurements"] = {"repetitions": 3, "quantities": {"seconds_per_step": QUANTITY}}
    text = printed(content, short=short)
    assert "ours 2.00 times less" in text
    assert "3 alternating repetitions" in text
    assert "--repeat 3 does" not in text


def test_markdown_holds_both(content):
    content["resources"]["measurements"] = {"repetitions": 3, "quantities": {"seconds_per_step": QUANTITY}}
    text = make_markdown(content)
    assert "ours 2.00 times less" in text
    assert "| saves and reloads |" in text
