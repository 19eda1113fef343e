"""`orpo-compat doctor`: what it says of this environment, and what it knows of TRL's releases."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orpo_compat.cli.app import app
from orpo_compat.cli.doctor import IMPORTS, known_defects, probe_imports
from orpo_compat.cli.exit_codes import ExitCode


@pytest.mark.skipif(find_spec("trl") is None, reason="needs TRL")
def test_everything_is_looked_at_and_said_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trl.py").write_text("raise RuntimeError('a file that shadows TRL')\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["doctor", "--offline", "--json"], catch_exceptions=False)
    assert result.exit_code == ExitCode.DONE, result.output
    found = {each["subject"]: each for each in json.loads(result.stdout)["findings"]}
    assert {"python", "torch", "transformers", "trl", "device", "bitsandbytes", "flash_attn", "hub"} <= found.keys()
    assert found["./trl.py"]["state"] == "note"
    top, experimental = found[IMPORTS[0]], found[IMPORTS[3]]
    assert (top["state"], experimental["state"]) == ("note", "ok")
    assert "ImportError" in top["detail"]
    assert "migrate" in top["advice"]


def test_imports_are_tried_apart_from_this_process() -> None:
    answers = probe_imports(("import json", "import no_such_module_anywhere"))
    assert answers["import json"] == ""
    assert answers["import no_such_module_anywhere"].startswith("ModuleNotFoundError")


@pytest.mark.parametrize(
    ("trl", "transformers", "word", "known"),
    [
        ("0.9.1", "4.41.0", "padding", True),
        ("0.9.6", "4.41.0", "padding", False),
        ("0.18.0", "4.50.0", "gradient_accumulation_steps", True),
        ("0.18.0", "4.44.0", "gradient_accumulation_steps", False),
        ("1.8.0", "5.0.0", "longer response", True),
        ("1.16.0", "5.23.0", "longer response", False),
        ("1.16.0", "5.23.0", "finite gradient", True),
    ],
)
def test_defects_are_those_of_exactly_that_release(trl: str, transformers: str, word: str, known: bool) -> None:
    assert any(word in what for what in known_defects(trl, transformers)) == known
