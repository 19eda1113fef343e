"""Runs the fast tests on a stack and says what came of it: the rows of the support table.

The tests run from the source tree with the stack's interpreter; the test tools are appended to its path, so that
whatever the package needs comes from its declared dependencies alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.matrix.stacks import ROOT, dependencies, environment, show_tools, tools_folder

SHOWN = ("torch", "transformers", "peft", "accelerate", "datasets")
FAST = ("tests/orpo_compat", "tests/cli", "tests/codemods/test_rewrite.py", "tests/codemods/test_scopes.py")
_RUNNER = "import sys; sys.path.append(sys.argv.pop(1)); import pytest; raise SystemExit(pytest.main(sys.argv[1:]))"
_VERSIONS = (
    "import json, platform, sys; from importlib.metadata import version; "
    "print(json.dumps({'python': platform.python_version(), **{name: version(name) for name in sys.argv[1:]}}))"
)
_BEGIN, _END = "<!-- table of `make matrix` -->\n", "<!-- end of the table -->\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One run of the fast tests on one stack; versions of Python and of every declared dependency."""

    stack: str
    versions: dict[str, str]
    passed: int
    skipped: int
    failed: int


def run_stack(stack: str, *, python: Path | None = None, tools: Path | None = None, tests: Sequence[str] = FAST) -> Row:
    """Run the fast tests on a stack.

    Args:
        stack: ``oldest``, ``newest``, or any name with an interpreter of its own.
        python: an interpreter to use instead of the stack's environment.
        tools: a folder to find pytest in, instead of one that is built.
        tests: what to run.
    """
    interpreter = python or environment(stack)
    if python is None:
        show_tools(interpreter)
    tools = tools or tools_folder()
    names = [each.name for each in dependencies()]
    found = subprocess.run([interpreter, "-c", _VERSIONS, *names], check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [str(interpreter), "-c", _RUNNER, str(tools), "-q", "-m", "not slow", "-n", "2", "--dist", "loadfile",
                   "-p", "no:cacheprovider", "--hypothesis-seed=0",
                   f"--junit-xml={report}", *tests]  # fmt: skip
        surroundings = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        subprocess.run(command, cwd=ROOT, env=surroundings, check=False)
        return Row(stack, json.loads(found), *_counts(report))


def _counts(report: Path) -> tuple[int, int, int]:
    """Passed, skipped and failed tests; a run without a report is one failure."""
    if not report.is_file():
        return 0, 0, 1
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return total - skipped - failed, skipped, failed


def table(rows: Sequence[Row]) -> str:
    """The support table, in Markdown."""
    head = ("stack", "Python", *SHOWN, "tests")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        result = f"{row.passed} passed, {row.skipped} skipped" + (f", {row.failed} failed" if row.failed else "")
        cells = (row.stack, *(row.versions[name] for name in ("python", *SHOWN)), result)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_table(page: Path, rows: Sequence[Row]) -> None:
    """Put rows into a page's table: those of the same stack are replaced, others kept, new ones added."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, marker, after = rest.partition(_END)
    if not marker:
        raise ValueError(f"{page} has no lines {_BEGIN.strip()!r} and {_END.strip()!r}")
    merged = {row.stack: row for row in (*read_rows(text), *rows)}
    page.write_text(before + _BEGIN + _hidden(merged.values()) + table([*merged.values()]) + _END + after,
                    encoding="utf-8", newline="\n")  # fmt: skip


def _hidden(rows: Sequence[Row]) -> str:
    return f"<!-- {json.dumps([asdict(row) for row in rows])} -->\n\n"


def read_rows(text: str) -> list[Row]:
    """The rows that a page's table was made from."""
    first = text.partition(_BEGIN)[2].partition(_END)[0].strip().partition("\n")[0]
    return [Row(**row) for row in json.loads(first[5:-4])] if first.startswith("<!-- [") else []
