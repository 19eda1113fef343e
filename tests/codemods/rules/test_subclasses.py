"""Subclasses, and the hooks table against TRL's own source and ours."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from codemods.findings import Severity
from codemods.hooks import HOOKS
from tests.codemods.checks import check_rewrites


@pytest.mark.parametrize(
    ("method", "severity"),
    [
        ("def odds_ratio_loss(self, a, b): ...", Severity.INFO),
        ("def odds_ratio_loss(self, a): ...", Severity.WARNING),
        ("def odds_ratio_loss(self, a, b, weight): ...", Severity.WARNING),
        ("def odds_ratio_loss(self, a, b, weight=1): ...", Severity.INFO),
        ("def compute_loss(self, model, inputs, return_outputs=False): ...", Severity.WARNING),
        ("def compute_loss(self, model, inputs, return_outputs=False, **kwargs): ...", Severity.INFO),
        ("def compute_loss(self, *args): ...", Severity.INFO),
        ("def log(self, logs, start_time=None): ...", Severity.INFO),
        ("def get_batch_samples(self, model, batch): ...", Severity.WARNING),
        (
            "@staticmethod\n    def get_batch_logps(logits, labels, average_log_prob=0, is_encoder_decoder=0): ...",
            Severity.INFO,
        ),
    ],
)
def test_an_override_is_held_against_our_call(method: str, severity: Severity) -> None:
    body = f"\n\nclass Mine(Mixin, trl.ORPOTrainer):\n    {method}\n"
    done = check_rewrites(f"import trl{body}", f"import orpo_compat{body.replace('trl.', 'orpo_compat.')}", "OC111")
    assert [finding.severity for finding in done.findings] == [severity]


def test_a_subclass_of_the_same_name_is_one_too() -> None:
    body = "class ORPOTrainer(ORPOTrainer):\n    def log(self, logs): ...\n"
    check_rewrites(f"from trl import ORPOTrainer\n{body}", f"from orpo_compat import ORPOTrainer\n{body}", "OC111")


def test_methods_that_are_no_hooks_and_classes_of_others_are_not_reported() -> None:
    rest = "\n\nclass Mine(ORPOTrainer):\n    def my_loss(self): ...\n\n\nclass Other(Base):\n    def log(self): ...\n"
    check_rewrites(f"from trl import ORPOTrainer{rest}", f"from orpo_compat import ORPOTrainer{rest}")


def test_the_hooks_are_those_of_the_installed_trl() -> None:
    path = _file("trl.experimental.orpo.orpo_trainer")
    theirs = _methods(path, "ORPOTrainer")
    ours = {name: (list(hook.parameters), hook.required) for name, hook in HOOKS.items()}
    assert {name: ours[name] for name in theirs if name in ours} == {
        name: theirs[name] for name in theirs if name in ours
    }
    assert set(theirs) - set(ours) == {"__init__"}
    assert set(ours) - set(theirs) == {"get_batch_samples"}


def test_our_package_defines_every_hook() -> None:
    source = "".join(path.read_text() for path in sorted(_file("orpo_compat").parent.glob("*.py")))
    assert [name for name in HOOKS if f"def {name}(" not in source] == []


def _file(module: str) -> Path:
    top = find_spec(module.partition(".")[0])
    assert top is not None
    assert top.origin is not None
    inner = module.split(".")[1:]
    return Path(top.origin).parent.joinpath(*inner).with_suffix(".py") if inner else Path(top.origin)


def _methods(path: Path, name: str) -> dict[str, tuple[list[str], int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    owner = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    found = {}
    for node in owner.body:
        if isinstance(node, ast.FunctionDef):
            names = [arg.arg for arg in node.args.args if arg.arg != "self"]
            found[node.name] = (names, len(names) - len(node.args.defaults))
    return found
