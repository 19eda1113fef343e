"""Imports by name: what moves, what stays, and where the new statement goes."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_noop, check_rewrites


@pytest.mark.parametrize(
    "source",
    [
        "from orpo_compat import ORPOConfig\n",
        "from trl import KTOTrainer\n",
        "from jaxtrl import ORPOTrainer  # not trl\n",
        "from my.trl import ORPOTrainer\n",
        "from .trl import ORPOTrainer\n",
        "from ...trl.trainer.orpo_trainer import ORPOTrainer\n",
        "from trl import SFTConfig\n\n\nclass ORPOConfig(SFTConfig): ...\n",
        "def train(trl):\n    from rl import ORPOTrainer\n    return trl.fit(ORPOTrainer)\n",
        "",
    ],
)
def test_other_peoples_classes_are_nobodys_business(source: str) -> None:
    check_noop(source)


@pytest.mark.parametrize(
    "module",
    [
        "trl",
        "trl.trainer",
        "trl.trainer.orpo_trainer",
        "trl.trainer.orpo_config",
        "trl.experimental.orpo",
        "trl.experimental.orpo.orpo_trainer",
        "trl.experimental.orpo.orpo_config",
    ],
)
def test_every_home_the_config_ever_had_is_known(module: str) -> None:
    check_rewrites(f"from {module} import ORPOConfig as Args\n", "from orpo_compat import ORPOConfig as Args\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from trl import ORPOTrainer, ORPOConfig\n", "from orpo_compat import ORPOTrainer, ORPOConfig\n"),
        ("from trl import ORPOTrainer as A, ORPOTrainer\n", "from orpo_compat import ORPOTrainer as A, ORPOTrainer\n"),
        ("from   trl   import  (ORPOConfig)\n", "from   orpo_compat   import  (ORPOConfig)\n"),
        ("from trl\\\n  import ORPOConfig\n", "from orpo_compat\\\n  import ORPOConfig\n"),
        (
            "from trl import (  # both\n    ORPOTrainer,  # one\n    ORPOConfig,  # two\n)\n",
            "from orpo_compat import (  # both\n    ORPOTrainer,  # one\n    ORPOConfig,  # two\n)\n",
        ),
        ("x = 1; from trl import ORPOConfig; y = 2\n", "x = 1; from orpo_compat import ORPOConfig; y = 2\n"),
        (
            "def g():\n    if fast: from trl.trainer import ORPOTrainer\n",
            "def g():\n    if fast: from orpo_compat import ORPOTrainer\n",
        ),
    ],
)
def test_a_statement_that_moves_whole_changes_one_token(before: str, after: str) -> None:
    done = check_rewrites(before, after)
    assert [(edit.old[:3], edit.new) for edit in done.edits] == [(b"trl", b"orpo_compat")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from trl import ORPOConfig, ModelConfig, ORPOTrainer, TrlParser\n",
            "from trl import ModelConfig, TrlParser\nfrom orpo_compat import ORPOConfig, ORPOTrainer\n",
        ),
        (
            "from trl import (ModelConfig, ORPOConfig as Args,)\n",
            "from trl import (ModelConfig,)\nfrom orpo_compat import ORPOConfig as Args\n",
        ),
        (
            "import a; from trl import TrlParser, ORPOConfig; import b\n",
            "import a; from trl import TrlParser; from orpo_compat import ORPOConfig; import b\n",
        ),
        (
            "with ctx: from trl import ORPOConfig, TrlParser\n",
            "with ctx: from trl import TrlParser; from orpo_compat import ORPOConfig\n",
        ),
        (
            "class Box:\n\tfrom trl import ORPOConfig, TrlParser\n\tx = 1\n",
            "class Box:\n\tfrom trl import TrlParser\n\tfrom orpo_compat import ORPOConfig\n\tx = 1\n",
        ),
        (
            "from trl import TrlParser, ORPOConfig;\n",
            "from trl import TrlParser; from orpo_compat import ORPOConfig;\n",
        ),
        (
            "from trl import TrlParser, \\\n    ORPOConfig\n",
            "from trl import TrlParser\nfrom orpo_compat import ORPOConfig\n",
        ),
        ("from trl import TrlParser, ORPOConfig", "from trl import TrlParser\nfrom orpo_compat import ORPOConfig"),
    ],
)
def test_a_split_keeps_the_rest_and_follows_it(before: str, after: str) -> None:
    check_rewrites(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from trl import (\n    ORPOConfig,\n    TrlParser,\n    ORPOTrainer,\n)\n",
            "from trl import (\n    TrlParser,\n)\nfrom orpo_compat import ORPOConfig, ORPOTrainer\n",
        ),
        (
            "from trl import (\n    TrlParser, ORPOConfig,\n    ModelConfig\n)\n",
            "from trl import (\n    TrlParser,\n    ModelConfig\n)\nfrom orpo_compat import ORPOConfig\n",
        ),
        (
            "from trl import (ORPOConfig,\n                 TrlParser)\n",
            "from trl import (TrlParser)\nfrom orpo_compat import ORPOConfig\n",
        ),
        (
            "from trl import (\n    ORPOConfig\n  , TrlParser\n)\n",
            "from trl import (\n    TrlParser\n)\nfrom orpo_compat import ORPOConfig\n",
        ),
        (
            "from trl import (TrlParser,  # cli\n                 ORPOConfig)\n",
            "from trl import (TrlParser,  # cli\n                 )\nfrom orpo_compat import ORPOConfig\n",
        ),
    ],
)
def test_blocks_keep_their_layout(before: str, after: str) -> None:
    check_rewrites(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from trl import (\n    TrlParser,  # cli\n    ORPOConfig,  # beta\n)\n",
            "from trl import (\n    TrlParser,  # cli\n)\nfrom orpo_compat import ORPOConfig  # beta\n",
        ),
        (
            "if x:\n    from trl import (\n        # the loss\n        ORPOConfig,\n        # cli\n"
            "        TrlParser,\n    )\n",
            "if x:\n    from trl import (\n        # cli\n        TrlParser,\n    )\n    # the loss\n"
            "    from orpo_compat import ORPOConfig\n",
        ),
        (
            "from trl import (\n  ORPOConfig,  # beta\n  # and\n  ORPOTrainer,\n  TrlParser,\n)\n",
            "from trl import (\n  TrlParser,\n)\nfrom orpo_compat import (\n  ORPOConfig,  # beta\n  # and\n"
            "  ORPOTrainer,\n)\n",
        ),
        (
            "if x: from trl import (ORPOConfig,  # beta\n    TrlParser)\n",
            "if x: from trl import (TrlParser); from orpo_compat import (\n    ORPOConfig,  # beta\n)\n",
        ),
    ],
)
def test_comments_travel_with_their_names(before: str, after: str) -> None:
    check_rewrites(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from trl import ORPOConfig, TrlParser  # noqa: E402 late\n",
            "from trl import TrlParser  # noqa: E402 late\nfrom orpo_compat import ORPOConfig  # noqa: E402 late\n",
        ),
        (
            "from trl import (  # isort: skip\n    ORPOConfig,\n    TrlParser,\n)  # pylint: disable=C0413\n",
            "from trl import (  # isort: skip\n    TrlParser,\n)  # pylint: disable=C0413\n"
            "from orpo_compat import ORPOConfig  # isort: skip  # pylint: disable=C0413\n",
        ),
        (
            "from trl import ORPOConfig, TrlParser  # for the CLI\n",
            "from trl import TrlParser  # for the CLI\nfrom orpo_compat import ORPOConfig\n",
        ),
        ("from trl import ORPOConfig  # type: ignore\n", "from orpo_compat import ORPOConfig  # type: ignore\n"),
    ],
)
def test_orders_to_linters_go_to_both_halves_and_prose_to_one(before: str, after: str) -> None:
    check_rewrites(before, after)


def test_lazy_imports_stay_lazy() -> None:
    check_rewrites(
        "lazy from trl import ORPOConfig, TrlParser\n",
        "lazy from trl import TrlParser\nlazy from orpo_compat import ORPOConfig\n",
    )


def test_names_bound_again_elsewhere_do_not_matter_to_the_import() -> None:
    check_rewrites(
        "from trl import ORPOConfig\n\n\ndef reset():\n    global ORPOConfig\n    ORPOConfig = dict\n",
        "from orpo_compat import ORPOConfig\n\n\ndef reset():\n    global ORPOConfig\n    ORPOConfig = dict\n",
    )


def test_an_import_under_a_patch_by_name_stays_and_one_before_it_moves() -> None:
    rest = "\n\n@patch('trl.ORPOTrainer')\ndef test(fake):\n    from trl import ORPOTrainer\n    assert ORPOTrainer\n"
    check_rewrites(f"from trl import ORPOConfig{rest}", f"from orpo_compat import ORPOConfig{rest}", "OC103")
