"""Names that a module hands on."""

from __future__ import annotations

from tests.codemods.checks import check_rewrites


def test_a_name_in_all_is_reported() -> None:
    for listing in ("__all__ = ('Tr',)", "__all__ += ['Tr']", "__all__.append('Tr')"):
        check_rewrites(
            f"from trl import ORPOTrainer as Tr\n{listing}\n",
            f"from orpo_compat import ORPOTrainer as Tr\n{listing}\n",
            "OC109",
            path="rl/__init__.py",
        )


def test_an_unused_import_of_a_package_is_kept_without_a_word() -> None:
    check_rewrites(
        "from trl import SFTTrainer, ORPOConfig\n",
        "from trl import SFTTrainer\nfrom orpo_compat import ORPOConfig\n",
        path="rl/__init__.py",
    )


def test_other_lists_of_names_are_not_exports() -> None:
    check_rewrites(
        "from trl import ORPOConfig\nseen = ['ORPOConfig']\n",
        "from orpo_compat import ORPOConfig\nseen = ['ORPOConfig']\n",
    )


def test_a_lazy_getattr_of_a_package_moves_in_place() -> None:
    lazy = "def __getattr__(name):\n    if name == 'ORPOConfig':\n        from {} import ORPOConfig\n        return 1\n"
    check_rewrites(lazy.format("trl.trainer"), lazy.format("orpo_compat"), path="rl/__init__.py")
