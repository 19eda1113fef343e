"""The page is one file that works offline and escapes everything; a real browser reads its values back."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from parity.charts import bars, curves, differences
from parity.report import measurement_rows
from parity.report_html import make_html
from tests.parity.evidence_sample import sample_evidence

HOSTILE = "</script><script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def _elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(page)
    return parser.found


def test_the_page_asks_the_network_for_nothing(tmp_path):
    page = make_html(sample_evidence(tmp_path))
    for tag, attributes in _elements(page):
        assert tag not in ("link", "iframe", "img", "object")
        assert not {"src", "href", "srcset"} & set(attributes)
    assert "url(" not in page
    assert "@import" not in page


def test_hostile_text_anywhere_in_the_evidence_stays_text(tmp_path):
    def poison(value):
        if isinstance(value, dict):
            return {name: poison(item) for name, item in value.items()}
        if isinstance(value, list):
            return [poison(item) for item in value]
        return HOSTILE if isinstance(value, str) and value not in ("nan", "inf") else value

    content = sample_evidence(tmp_path)
    for section in ("judgements", "checklist", "question"):
        content[section] = poison(content[section])
    content["conclusion"]["headline"] = HOSTILE
    content["series"]["ours"] = {HOSTILE: next(iter(content["series"]["ours"].values()))}
    page = make_html(content)
    scripts = [attributes for tag, attributes in _elements(page) if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "summary"}]
    assert "onerror" not in {name for _, attributes in _elements(page) for name in attributes}


def test_what_theirs_does_not_know_is_said(tmp_path):
    content = sample_evidence(tmp_path)
    content["arms"]["theirs"]["refused"] = ["max_prompt_length"]
    assert "TRL 1.16.0 has no max_prompt_length; left out of both arms" in make_html(content)


def test_every_drawn_point_carries_its_value():
    svg = curves("loss", [1.0, 2.5], {"default": [1.0, 2.25]}, [0.1, 0.1])
    values = [attributes["data-value"] for tag, attributes in _elements(svg) if tag == "circle"]
    assert values == ["1.0", "2.5", "1.0", "2.25"]


def test_a_curve_without_a_finite_value_says_so():
    assert "no finite value" in curves("loss", [float("nan")], {"a": [float("inf")]}, [0.0])


def test_a_bit_equal_difference_has_a_place_on_a_log_scale():
    svg = differences("d", {"loss": [0.0, 1e-7, float("inf")]}, 1e-6)
    assert svg.count("<circle") == 3


def test_bars_show_what_they_measure():
    svg = bars("memory", [("a<b", {"theirs": 10.0, "ours": float("nan")})], "MiB")
    assert "a&lt;b" in svg
    assert "10 MiB" in svg


def test_a_difference_below_the_resolving_power_claims_nothing():
    quantity = {"theirs": 1.0, "ours": 0.5, "ratio": 0.5, "resolving_power": 0.1, "resolved": True}
    rows = measurement_rows({"quantities": {"seconds_per_step": quantity}})
    assert rows[0][-1] == "ours 2.00 times less"
    rows = measurement_rows({"quantities": {"seconds_per_step": {**quantity, "resolved": False}}})
    assert rows[0][-1] == "not resolved"


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(_chromium() is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1100, 390])
def test_a_browser_shows_the_verdict_and_the_values(tmp_path, width):
    content = sample_evidence(tmp_path)
    page = tmp_path / "report.html"
    page.write_text(make_html(content))
    shown = _browse(page, "--dump-dom", f"--window-size={width},1600")
    assert f'id="verdict">{content["conclusion"]["verdict"]}<' in shown
    summary = json.loads(re.search(r'id="summary">(.*?)</script>', shown, re.DOTALL).group(1))
    assert summary["series"] == content["series"]
    drawn = [float(value) for value in re.findall(r'class="theirs"[^>]*data-value="([^"]+)"', shown)]
    assert drawn[: len(content["series"]["theirs"]["loss"])] == content["series"]["theirs"]["loss"]
    picture = tmp_path / "page.png"
    _browse(page, f"--screenshot={picture}", f"--window-size={width},1600")
    assert picture.stat().st_size > 10_000


def _browse(page: Path, *options: str) -> str:
    command = [_chromium(), "--headless", "--no-sandbox", "--disable-gpu", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
