"""Type tests and saved arguments."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_rewrites


def test_a_type_test_moves_and_is_told() -> None:
    check_rewrites(
        "from trl import ORPOTrainer\nok = isinstance(t, (int, ORPOTrainer)) or issubclass(c, ORPOTrainer)\n",
        "from orpo_compat import ORPOTrainer\nok = isinstance(t, (int, ORPOTrainer)) or issubclass(c, ORPOTrainer)\n",
        "OC122",
    )


def test_saved_arguments_still_name_trl() -> None:
    rest = "import torch\nargs = torch.load('run/training_args.bin')\nweights = torch.load('model.bin')\n"
    done = check_rewrites(f"from trl import ORPOConfig\n{rest}", f"from orpo_compat import ORPOConfig\n{rest}", "OC122")
    assert [finding.line for finding in done.findings] == [3]


@pytest.mark.parametrize(
    "test",
    [
        "t.__class__.__module__.startswith('trl')",
        "type(t).__module__.split('.')[0] in ('trl', 'peft')",
        "'trl.trainer' == T.__module__",
        "re.match('trl', T.__module__)",
    ],
)
def test_a_class_told_by_its_modules_name_is_reported(test: str) -> None:
    source = "from {} import ORPOTrainer\nok = " + test + "\n"
    done = check_rewrites(source.format("trl"), source.format("orpo_compat"), "OC122")
    assert [finding.line for finding in done.findings] == [2]


@pytest.mark.parametrize("test", ["t.__module__ == 'peft'", "log('trl', t)", "name == 'trl'"])
def test_other_tests_of_names_are_not(test: str) -> None:
    source = "from {} import ORPOTrainer\nok = " + test + "\n"
    check_rewrites(source.format("trl"), source.format("orpo_compat"))
