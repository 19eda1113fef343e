"""The site builds without a warning, holds every page, and fetches nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
# What a browser fetches by itself, as against links that a reader follows.
FETCHED = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)="(?:https?:)?//([^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` builds it; a warning fails the build."""
    pytest.importorskip("material", reason="the docs extra is not installed")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
    return folder


def test_every_page_is_in_the_site(site: Path) -> None:
    built = {path.relative_to(site).with_suffix(".md").as_posix() for path in site.rglob("*.html")}
    assert {page.relative_to(ROOT / "docs").as_posix() for page in PAGES} <= built


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = {host for page in site.rglob("*.html") for host in FETCHED.findall(page.read_text("utf-8"))}
    styles = {
        match
        for sheet in site.rglob("*.css")
        for match in re.findall(r"url\((https?:[^)]+)\)", sheet.read_text("utf-8"))
    }
    assert not fetched | styles
