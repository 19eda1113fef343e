"""Data on stdout, prose on stderr: patches, reports in four formats, standard input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.cli.calls import migrate
from tests.codemods.trees import PLAIN, SWITCHED, contents, git, make_repository, make_tree


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files = {
        **PLAIN,
        "umlaut-\u00e4 and space.py": PLAIN["train.py"],
        "odd.py": b"from trl import ORPOTrainer\ns = 'trl.ORPOTrainer'\n# <script>alert(1)</script> | trl.ORPOConfig\n",
    }
    return make_repository(tmp_path / "repo", files)


def test_patch_file_applies_and_gives_the_switched_tree(repository: Path, tmp_path: Path) -> None:
    patch = tmp_path / "switch.patch"
    assert migrate(repository, "--diff", patch).exit_code == 3
    assert contents(repository)["train.py"] == PLAIN["train.py"]
    git(repository, "apply", "--check", str(patch))
    git(repository, "apply", str(patch))
    by_patch = contents(repository)
    git(repository, "checkout", "--quiet", ".")
    migrate(repository, "--no-verify")
    assert contents(repository) == by_patch


def test_patch_of_a_subfolder_applies_from_the_top(repository: Path) -> None:
    result = migrate(repository / "pkg", "--diff", "-")
    subprocess.run(["git", "-C", str(repository), "apply", "-"], input=result.stdout_bytes, check=True)
    assert contents(repository)["pkg/mixed.py"] == SWITCHED["pkg/mixed.py"]
    assert contents(repository)["train.py"] == PLAIN["train.py"]


def test_dry_run_on_a_pipe_is_a_patch_too(repository: Path) -> None:
    result = migrate(repository, "--dry-run")
    subprocess.run(["git", "-C", str(repository), "apply", "--check", "-"], input=result.stdout_bytes, check=True)


def test_dry_run_on_a_terminal_is_coloured(repository: Path) -> None:
    """A real pseudo-terminal, because that is what decides."""
    leader, follower = os.openpty()
    command = [sys.executable, "-m", "orpo_compat", "migrate", str(repository), "--dry-run"]
    with subprocess.Popen(
        command, stdout=follower, stderr=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"}
    ) as child:
        os.close(follower)
        shown = b""
        while True:
            try:
                read = os.read(leader, 65536)
            except OSError:
                break
            if not read:
                break
            shown += read
        child.wait()
    os.close(leader)
    assert re.search(rb"\x1b\[31m-from trl import ORPOConfig", shown)
    assert re.search(rb"\x1b\[32m\+from orpo_compat import ORPOConfig", shown)


def test_a_no_on_the_terminal_writes_nothing(repository: Path) -> None:
    leader, follower = os.openpty()
    before = contents(repository)
    command = [sys.executable, "-m", "orpo_compat", "migrate", str(repository), "--no-verify"]
    with subprocess.Popen(command, stdin=follower, stdout=subprocess.DEVNULL, stderr=follower) as child:
        os.close(follower)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(leader, 65536)
        os.write(leader, b"n\n")
        assert child.wait() == 6
    os.close(leader)
    assert contents(repository) == before


def test_the_pre_commit_hooks_run_what_they_say(repository: Path) -> None:
    hooks = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
    for hook in hooks:
        program, command, *arguments = hook["entry"].split()
        assert (program, command) == ("orpo-compat", "migrate")
        paths = [] if hook.get("pass_filenames") is False else [repository / "train.py", repository / "pkg/mixed.py"]
        arguments = [str(repository) if argument == "." else argument for argument in arguments]
        assert migrate(*arguments, *paths).exit_code == 1
        assert contents(repository)["train.py"] == PLAIN["train.py"]


def test_json_report_is_complete(repository: Path) -> None:
    result = migrate(repository, "--check", "--report", "json")
    report = json.loads(result.stdout)
    assert report["schema"] == "orpo-compat/report/1"
    assert report["exit_code"] == result.exit_code == 1
    assert {file["path"] for file in report["files"]} == {*SWITCHED, "umlaut-\u00e4 and space.py", "odd.py"}
    mixed = next(file for file in report["files"] if file["path"] == "pkg/mixed.py")
    source = PLAIN["pkg/mixed.py"]
    assert all(source[edit["start"] : edit["end"]] == edit["old"].encode() for edit in mixed["edits"])
    assert {(finding["path"], finding["line"]) for finding in report["findings"]} >= {("odd.py", 2), ("odd.py", 3)}


def test_finding_below_a_split_import_carries_its_line_after_the_switch(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "t", {"a.py": b"from trl import ORPOTrainer, SFTTrainer\ns = 'trl.ORPOTrainer'\n"})
    result = migrate(root, "--no-verify", "--report", "json")
    (finding,) = (one for one in json.loads(result.stdout)["findings"] if one["code"] == "OC103")
    assert (finding["line"], finding["line_after"]) == (2, 3)
    assert (root / "a.py").read_bytes().splitlines()[2] == b"s = 'trl.ORPOTrainer'"
    assert "a.py:3: OC103" in result.stderr


def test_sarif_report_points_at_every_finding_and_pending_line(repository: Path) -> None:
    sarif = json.loads(migrate(repository, "--check", "--report", "sarif").stdout)
    (run,) = sarif["runs"]
    places = {
        (result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], result["ruleId"])
        for result in run["results"]
    }
    assert sarif["version"] == "2.1.0"
    assert ("umlaut-%C3%A4%20and%20space.py", "OC100") in places
    assert ("odd.py", "OC103") in places
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {code for _, code in places}
    assert all(r["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1 for r in run["results"])


def test_markdown_report_escapes_what_would_break_its_table(repository: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.md"
    migrate(repository, "--check", "--report", "markdown", "--output", output)
    text = output.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert "<script>" not in "".join(rows)


def test_html_report_is_one_safe_page(repository: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    migrate(repository, "--check", "--report", "html", "--output", output)
    text = output.read_text()

    seen: set[str] = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            seen.add(tag)

    Tags().feed(text)
    assert "script" not in seen
    assert {"table", "pre", "span"} <= seen
    assert "&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")


def test_summary_stays_under_a_screen_for_a_large_tree(tmp_path: Path) -> None:
    files = {f"m{number}.py": b"from trl import ORPOTrainer\ns = 'trl.ORPOTrainer'\n" for number in range(60)}
    root = make_tree(tmp_path / "t", files)
    lines = migrate(root, "--no-verify").stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("switched: "))
    assert len(lines) - start <= 20
    assert lines[-1].startswith("undo with: ")


def test_standard_input_is_rewritten_to_standard_output() -> None:
    result = migrate("-", stdin=PLAIN["pkg/mixed.py"])
    assert result.exit_code == 0
    assert result.stdout_bytes == SWITCHED["pkg/mixed.py"]


def test_standard_input_keeps_crlf_and_unrelated_text() -> None:
    assert migrate("-", stdin=PLAIN["pkg/deep.py"]).stdout_bytes == SWITCHED["pkg/deep.py"]
    assert migrate("-", stdin=b"x = 1\r\n").stdout_bytes == b"x = 1\r\n"


def test_standard_input_with_check_and_with_findings() -> None:
    assert migrate("-", "--check", stdin=PLAIN["train.py"]).exit_code == 1
    assert migrate("-", "--check", stdin=SWITCHED["train.py"]).exit_code == 0
    result = migrate("-", stdin=b"s = 'trl.ORPOTrainer'\n")
    assert result.exit_code == 3
    assert result.stdout_bytes == b"s = 'trl.ORPOTrainer'\n"
    assert "OC103" in result.stderr


def test_standard_input_goes_back_where_it_is_told() -> None:
    result = migrate("-", "--rollback", "--to", "trl.experimental.orpo", stdin=b"from orpo_compat import ORPOTrainer\n")
    assert result.stdout_bytes == b"from trl.experimental.orpo import ORPOTrainer\n"
