"""Star imports: those of ORPO's own modules can be written out, that of trl cannot."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_noop, check_refuses, check_rewrites


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from trl.trainer.orpo_trainer import *\nt = ORPOTrainer(ORPOConfig('o'))\n",
            "from orpo_compat import ORPOConfig, ORPOTrainer\nt = ORPOTrainer(ORPOConfig('o'))\n",
        ),
        (
            "from trl.experimental.orpo import *  # noqa: F403\nprint(ORPOConfig)\n",
            "from orpo_compat import ORPOConfig  # noqa: F403\nprint(ORPOConfig)\n",
        ),
        (
            "from trl.trainer.orpo_config import *\n__all__ = ['ORPOConfig']\n",
            "from orpo_compat import ORPOConfig\n__all__ = ['ORPOConfig']\n",
        ),
    ],
)
def test_a_star_of_an_orpo_module_is_written_out(before: str, after: str) -> None:
    check_rewrites(before, after)


@pytest.mark.parametrize(
    "source",
    [
        "from trl import *\nt = ORPOTrainer()\n",
        "from trl.trainer.orpo_trainer import *\nx = torch.ones(1)\n",
        "from trl.trainer.orpo_trainer import *\n",
    ],
)
def test_a_star_that_brings_more_stays(source: str) -> None:
    check_refuses(source, "OC101")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from trl.trainer.orpo_trainer import *\nt = ORPOTrainer(pad_to_length)\n",
            "from trl.trainer.orpo_trainer import pad_to_length\nfrom orpo_compat import ORPOTrainer\n"
            "t = ORPOTrainer(pad_to_length)\n",
        ),
        (
            "import torch\nif x:\n    from trl.trainer.orpo_trainer import *  # noqa: F403\n"
            "    Dataset, ORPOConfig, torch\n",
            "import torch\nif x:\n    from trl.trainer.orpo_trainer import Dataset  # noqa: F403\n"
            "    from orpo_compat import ORPOConfig  # noqa: F403\n    Dataset, ORPOConfig, torch\n",
        ),
    ],
)
def test_helpers_that_came_with_a_star_are_named_and_stay_with_the_module(before: str, after: str) -> None:
    check_rewrites(before, after, "OC121")


@pytest.mark.parametrize(
    "source",
    [
        # The star rebinds Dataset: writing it out would leave torch's in force.
        "from torch.utils.data import Dataset\nfrom trl.trainer.orpo_trainer import *\nORPOTrainer(Dataset())\n",
        "def pad_to_length(x): ...\nfrom trl.trainer.orpo_trainer import *\nORPOTrainer(pad_to_length)\n",
        "from mine import *\nfrom trl.trainer.orpo_trainer import *\nORPOTrainer(pad_to_length)\n",
    ],
)
def test_a_star_that_may_rebind_a_name_stays(source: str) -> None:
    check_refuses(source, "OC101")


def test_a_name_bound_below_the_star_is_the_files_own() -> None:
    check_rewrites(
        "from trl.trainer.orpo_trainer import *\nclass Dataset: ...\nORPOTrainer(Dataset())\n",
        "from orpo_compat import ORPOTrainer\nclass Dataset: ...\nORPOTrainer(Dataset())\n",
    )


def test_a_package_may_hand_on_everything_the_star_brings() -> None:
    check_refuses("from trl.trainer.orpo_trainer import *\nORPOTrainer\n", "OC101", path="rl/__init__.py")


def test_a_star_beside_a_class_of_ones_own_is_fine() -> None:
    check_noop("from trl import *\n\n\nclass ORPOTrainer: ...\n\n\nt = ORPOTrainer()\n")
