"""Patches of TRL's module stop the file, patches of the class are told."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_refuses, check_rewrites


@pytest.mark.parametrize(
    "patch",
    [
        "trl.trainer.ORPOTrainer = Mine",
        "trl.ORPOConfig: type = Mine",
        "del trl.ORPOTrainer",
        "setattr(trl, 'ORPOTrainer', Mine)",
        "monkeypatch.setattr(trl.trainer, 'ORPOTrainer', Mine)",
        "mock.patch.object(trl, 'ORPOConfig')",
        "trl.trainer = fake",
        "del trl.trainer.orpo_trainer",
        "setattr(trl.experimental, 'orpo', fake)",
    ],
)
def test_a_patch_of_the_module_stops_the_file(patch: str) -> None:
    check_refuses(f"import trl\nfrom trl import ORPOConfig\n{patch}\n", "OC123")


def test_a_module_replaced_by_its_dotted_name_keeps_its_readers() -> None:
    check_refuses("import trl\nwith mock.patch('trl.trainer'):\n    trl.trainer.ORPOTrainer()\n", "OC103")


@pytest.mark.parametrize(
    "patch", ["T.compute_loss = mine", "del T.__init__", "setattr(T, 'log', mine)", "mock.patch.object(T, 'train')"]
)
def test_a_patch_of_the_class_moves_and_is_told(patch: str) -> None:
    check_rewrites(
        f"from trl import ORPOTrainer as T\n{patch}\n", f"from orpo_compat import ORPOTrainer as T\n{patch}\n", "OC123"
    )


def test_attributes_of_instances_and_other_modules_are_nothing_special() -> None:
    rest = "t = ORPOTrainer()\nt.beta = 1\nos.trainer.ORPOTrainer = 1\n"
    check_rewrites(f"from trl import ORPOTrainer\n{rest}", f"from orpo_compat import ORPOTrainer\n{rest}")
