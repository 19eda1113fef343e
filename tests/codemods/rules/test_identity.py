"""Type tests and saved arguments."""

from __future__ import annotations

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
