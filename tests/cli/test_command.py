"""Every command's help has an example, reads as prose, and answers to either way of writing an option."""

from __future__ import annotations

import pytest

from tests.cli.calls import call

COMMANDS = ("", "migrate", "scan", "parity", "train", "data", "data inspect", "plan", "diagnose", "doctor", "eval",
            "generate", "compare", "demo")  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    text = call(*command.split(), "--help").stdout
    assert f"Example: orpo-compat {command}" in " ".join(text.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_switch_shows_no_type(command: str) -> None:
    assert "<bool>" not in call(*command.split(), "--help").stdout


def test_underscores_are_read_as_hyphens_everywhere(tmp_path: object) -> None:
    hyphen, underscore = (
        call("data", "inspect", "absent.csv", option, "9") for option in ("--max-length", "--max_length")
    )
    assert hyphen.stderr == underscore.stderr
    assert "absent.csv: no such file" in hyphen.stderr


def test_completion_is_offered_for_the_usual_shells() -> None:
    assert "--install-completion" in call("--help").stdout
