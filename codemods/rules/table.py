"""The rules as a Markdown table: ``python -m codemods.rules.table``.

Made from what the rules say of themselves, so that the documentation cannot fall behind; the same examples are tests.
"""

from __future__ import annotations

import sys

from codemods.findings import CODES
from codemods.rules import Rule, described

BANNER = "<!-- Made by `python -m codemods.rules.table`; change the rules, not this file. -->"


def table() -> str:
    """The whole page."""
    ordered = sorted(described(), key=lambda rule: (not rule.edits, rule.code, rule.title))
    rewriting = [rule for rule in ordered if rule.edits]
    reporting = [rule for rule in ordered if not rule.edits]
    parts = [
        BANNER,
        "# Rules",
        "Every edit and every finding carries one of these codes; `# orpo-compat: ignore[CODE] reason` silences it.",
        "## Rewrites",
        _rows(rewriting),
        "## Reports",
        _rows(reporting),
        "## Codes",
        "\n".join(f"- `{code}` {meaning}" for code, meaning in CODES.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(rules: list[Rule]) -> str:
    head = "| code | what | before | after | why |\n|---|---|---|---|---|"
    return "\n".join([head, *(_row(rule) for rule in rules)])


def _row(rule: Rule) -> str:
    after = "unchanged, reported" if rule.example.after is None else _cell(rule.example.after)
    what = f"{rule.title}: {rule.message}"
    return f"| {rule.code} | {_plain(what)} | {_cell(rule.example.before)} | {after} | {_plain(rule.why)} |"


def _cell(code: str) -> str:
    """Source text inside a table: one cell, its line breaks kept."""
    lines = [line for line in code.strip("\n").split("\n") if line.strip()]
    return "<br>".join(f"`` {_plain(line)} ``" for line in lines)


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(table())
