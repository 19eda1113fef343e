"""Helpers move to their present home under --modernize, if the pinned TRL has it."""

from __future__ import annotations

from codemods.options import Options
from tests.codemods.checks import check_refuses, check_rewrites

SOURCE = "from trl.trainer.orpo_trainer import pad_to_length, add_bos_token_if_needed\n"


def test_helpers_of_one_home_move_together() -> None:
    check_rewrites(
        SOURCE, SOURCE.replace("trl.trainer.orpo_trainer", "trl.experimental.utils"), options=Options(modernize=True)
    )


def test_helpers_of_two_homes_stay() -> None:
    source = "from trl.trainer.orpo_trainer import pad_to_length, disable_dropout_in_model\n"
    check_refuses(source, "OC121", options=Options(modernize=True))


def test_an_older_pin_keeps_the_old_path() -> None:
    check_refuses(SOURCE, "OC121", options=Options(modernize=True, trl_version="0.24.0"))
    check_refuses(SOURCE, "OC121", options=Options(modernize=True, trl_version="main"))
