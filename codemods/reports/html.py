"""The report as one HTML file that needs nothing else: no script, no font, no network. Everything is escaped."""

from __future__ import annotations

from jinja2 import Environment

from codemods.patch import unified
from codemods.reports.model import Report, shown
from codemods.reports.text import gate_lines, headline

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>orpo-compat {{ report.command }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c2330 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #dde2ea; vertical-align: top }
pre { background: #f6f8fa; padding: .8rem; overflow-x: auto }
code, pre { font: 13px/1.45 ui-monospace, monospace }
.add { color: #116329 } .del { color: #a40e26 } .at { color: #0550ae }
.error { color: #a40e26 } .warning { color: #7d4e00 } .info { color: #57606a }
</style>
<h1>{{ headline }}</h1>
<p>{{ report.plan.root }}, {{ report.mode }}, orpo-compat {{ report.version }}</p>
{% for line in gate %}<p>{{ line }}</p>
{% endfor %}
{% if report.usages %}<h2>What is used</h2>
<table><tr><th>where<th>takes<th>from<th>works on</tr>
{% for use in report.usages %}<tr><td><code>{{ shown(use.path) }}:{{ use.line }}</code><td><code>{{ use.name }}</code>
<td><code>{{ use.module }}</code><td>{{ use.works_on }}</tr>
{% endfor %}</table>
{% endif %}
{% if findings %}<h2>To look at</h2>
<table><tr><th>where<th>code<th>what<th>next step</tr>
{% for finding, line in findings %}<tr><td><code>{{ shown(finding.path) }}:{{ line }}</code>
<td class="{{ finding.severity.value }}">{{ finding.code }} {{ finding.severity.value }}<td>{{ finding.message }}
<td>{{ finding.advice }}</tr>
{% endfor %}</table>
{% endif %}
{% if diffs %}<h2>Changes</h2>
{% for path, lines in diffs %}<h3><code>{{ path }}</code></h3>
<pre>{% for style, line in lines %}<span class="{{ style }}">{{ line }}</span>
{% endfor %}</pre>
{% endfor %}
{% endif %}
</html>
"""


def _style(line: str) -> str:
    if line.startswith("@@"):
        return "at"
    return {"+": "add", "-": "del"}.get(line[:1], "same")


def _diff(path: str, source: bytes, result: bytes) -> list[tuple[str, str]]:
    text = unified(path.encode("utf-8", "surrogateescape"), source, result).decode("utf-8", "backslashreplace")
    return [(_style(line), line) for line in text.rstrip("\n").split("\n")]


def render_html(report: Report) -> str:
    """One self-contained page."""
    written = report.mode == "written"
    page = Environment(autoescape=True).from_string(_PAGE)
    return page.render(
        report=report,
        headline=headline(report),
        gate=list(gate_lines(report.gate)),
        findings=[(one, report.line_after(one) if written else one.line) for one in report.plan.findings],
        diffs=[(shown(file.path), _diff(file.path, file.source, file.result)) for file in report.plan.files],
        shown=shown,
    )
