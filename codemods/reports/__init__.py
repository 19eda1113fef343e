"""One finished look at a tree, told in several formats: terminal text, JSON, SARIF, Markdown and one-file HTML.

Each format is a pure function from a ``Report`` to text. None of them decides anything.
"""

from __future__ import annotations

from codemods.reports.model import Report

FORMATS = ("json", "sarif", "markdown", "html")


def render(report: Report, fmt: str) -> str:
    """The report in one of ``FORMATS``.

    Raises:
        ValueError: no such format.
    """
    if fmt == "json":
        from codemods.reports.json import render_json

        return render_json(report)
    if fmt == "sarif":
        from codemods.reports.sarif import render_sarif

        return render_sarif(report)
    if fmt == "markdown":
        from codemods.reports.markdown import render_markdown

        return render_markdown(report)
    if fmt == "html":
        from codemods.reports.html import render_html

        return render_html(report)
    raise ValueError(f"no report format {fmt!r}; choose one of {', '.join(FORMATS)}")
