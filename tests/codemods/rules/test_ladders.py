"""Import ladders: the first rung moves, and the second run has nothing to say."""

from __future__ import annotations

from tests.codemods.checks import check_noop, check_rewrites


def test_only_the_first_of_three_rungs_moves() -> None:
    rest = (
        "except ImportError:\n    try:\n        from trl.trainer.orpo_trainer import ORPOTrainer\n"
        "    except Exception:\n        from trl.experimental.orpo import ORPOTrainer\n"
    )
    check_rewrites(
        f"try:\n    from trl import ORPOTrainer\n{rest}",
        f"try:\n    from orpo_compat import ORPOTrainer\n{rest}",
        "OC107",
    )


def test_a_name_the_first_rung_does_not_bring_moves_in_the_second() -> None:
    check_rewrites(
        "try:\n    from trl import ORPOTrainer\nexcept ImportError:\n    from trl.trainer import ORPOConfig\n",
        "try:\n    from orpo_compat import ORPOTrainer\nexcept ImportError:\n    from orpo_compat import ORPOConfig\n",
        "OC107",
    )


def test_the_fall_back_of_a_foreign_first_rung_moves() -> None:
    check_rewrites(
        "try:\n    from fasttrl import ORPOTrainer\nexcept ImportError:\n    from trl import ORPOTrainer\n",
        "try:\n    from fasttrl import ORPOTrainer\nexcept ImportError:\n    from orpo_compat import ORPOTrainer\n",
        "OC107",
    )


def test_a_migrated_ladder_is_silent() -> None:
    check_noop(
        "try:\n    from orpo_compat import ORPOConfig\nexcept ModuleNotFoundError:\n"
        "    from trl.experimental.orpo import ORPOConfig\n"
    )


def test_an_import_inside_a_function_of_a_handler_is_no_rung() -> None:
    check_rewrites(
        "try:\n    from trl import ORPOConfig\nexcept ValueError:\n    def f():\n        from trl import ORPOConfig\n",
        "try:\n    from orpo_compat import ORPOConfig\nexcept ValueError:\n    def f():\n"
        "        from orpo_compat import ORPOConfig\n",
    )
