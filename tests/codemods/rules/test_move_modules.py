"""Module objects and what is read from them, under Python's scopes."""

from __future__ import annotations

import pytest

from codemods.options import Options
from tests.codemods.checks import check_noop, check_refuses, check_rewrites


@pytest.mark.parametrize(
    "source",
    [
        "import trl\n\n\ndef build(trl):\n    return trl.ORPOConfig\n",
        "import trl\n\npick = lambda trl: trl.ORPOTrainer\n",
        "import trl\n\nall_of = {trl.ORPOConfig for trl in zoo}\n",
        "import trl\n\nself.trl.ORPOTrainer()\n",
        "from . import trl\n\ntrl.ORPOConfig()\n",
        "import trl\n\n\ndef f():\n    for trl in zoo:\n        trl.ORPOConfig()\n",
        "import trl\n\n\ndef f(x):\n    match x:\n        case {'t': trl}:\n            return trl.ORPOConfig\n",
        "import trl\n\n\ndef f():\n    with zoo() as trl:\n        trl.ORPOConfig()\n",
        "import trl\n\n\ndef f():\n    (trl := zoo())\n    return [trl.ORPOConfig]\n",
    ],
)
def test_a_shadowed_module_is_another_module(source: str) -> None:
    check_noop(source)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import trl\nc = trl.ORPOConfig()\n", "import orpo_compat\nc = orpo_compat.ORPOConfig()\n"),
        ("import os, trl\nc = trl.ORPOConfig()\n", "import os, orpo_compat\nc = orpo_compat.ORPOConfig()\n"),
        ("import trl as rl\nc = rl.ORPOConfig()\n", "import orpo_compat as rl\nc = rl.ORPOConfig()\n"),
        (
            "import trl as rl\nc = rl.trainer.orpo_config.ORPOConfig()\n",
            "import orpo_compat as rl\nc = rl.ORPOConfig()\n",
        ),
        (
            "import trl.trainer.orpo_config\nc = trl.trainer.orpo_config.ORPOConfig()\n",
            "import orpo_compat\nc = orpo_compat.ORPOConfig()\n",
        ),
        (
            "import trl.experimental.orpo as eo, trl\neo.ORPOConfig(); trl.ModelConfig\n",
            "import orpo_compat as eo, trl\neo.ORPOConfig(); trl.ModelConfig\n",
        ),
        ("from trl.experimental import orpo\norpo.ORPOConfig()\n", "import orpo_compat\norpo_compat.ORPOConfig()\n"),
        (
            "from trl.trainer import orpo_trainer as ot, ppo_trainer\not.ORPOTrainer\n",
            "from trl.trainer import ppo_trainer\nimport orpo_compat as ot\not.ORPOTrainer\n",
        ),
        (
            "from trl import trainer, ORPOConfig\ntrainer.ORPOTrainer(ORPOConfig())\n",
            "from orpo_compat import ORPOConfig\nimport orpo_compat\norpo_compat.ORPOTrainer(ORPOConfig())\n",
        ),
        ("lazy import trl\ntrl.ORPOConfig()\n", "lazy import orpo_compat\norpo_compat.ORPOConfig()\n"),
        (
            "def f(): import trl; return trl.ORPOConfig\n",
            "def f(): import orpo_compat; return orpo_compat.ORPOConfig\n",
        ),
    ],
)
def test_an_import_that_only_orpo_needs_is_swapped(before: str, after: str) -> None:
    check_rewrites(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "import trl\nc = trl.ORPOConfig(trl.__version__)\n",
            "import trl\nimport orpo_compat\nc = orpo_compat.ORPOConfig(trl.__version__)\n",
        ),
        (
            "import trl as rl, os  # noqa: E401\nc = rl.ORPOConfig(rl.X)\n",
            "import trl as rl, os  # noqa: E401\nimport orpo_compat  # noqa: E401\nc = orpo_compat.ORPOConfig(rl.X)\n",
        ),
        (
            "def f(): import trl; return trl.ORPOConfig, trl.X\n",
            "def f(): import trl; import orpo_compat; return orpo_compat.ORPOConfig, trl.X\n",
        ),
        (
            "from trl import trainer\nx = trainer.ORPOConfig, trainer.DPOConfig\n",
            "from trl import trainer\nimport orpo_compat\nx = orpo_compat.ORPOConfig, trainer.DPOConfig\n",
        ),
        (
            "import trl\nimport trl.experimental.orpo\nx = trl.experimental.orpo.ORPOConfig(), trl.X\n",
            "import trl\nimport orpo_compat\nx = orpo_compat.ORPOConfig(), trl.X\n",
        ),
    ],
)
def test_an_import_that_something_else_needs_stays_with_ours_beside_it(before: str, after: str) -> None:
    check_rewrites(before, after)


def test_an_import_in_one_branch_does_not_serve_the_other() -> None:
    check_rewrites(
        "import trl\nif trl.v():\n    import trl.experimental.orpo\n    C = trl.experimental.orpo.ORPOConfig\nelse:\n"
        "    C = trl.ORPOConfig\n",
        "import trl\nimport orpo_compat\nif trl.v():\n    import orpo_compat\n    C = orpo_compat.ORPOConfig\nelse:\n"
        "    C = orpo_compat.ORPOConfig\n",
    )


def test_ours_is_imported_once_where_once_is_enough() -> None:
    check_rewrites(
        "import trl.trainer\nimport trl.models\nx = trl.trainer.ORPOConfig, trl.models.y\n",
        "import trl.trainer\nimport orpo_compat\nimport trl.models\nx = orpo_compat.ORPOConfig, trl.models.y\n",
    )
    branches = "if a:\n    import trl\nelse:\n    import trl.trainer\nx = trl.ORPOConfig, trl.y\n"
    check_rewrites(
        branches,
        "if a:\n    import trl\n    import orpo_compat\nelse:\n    import trl.trainer\n    import orpo_compat\n"
        "x = orpo_compat.ORPOConfig, trl.y\n",
    )


def test_uses_stay_where_a_patch_or_a_lookup_by_name_stays() -> None:
    check_refuses("import trl\nwith mock.patch('trl.ORPOConfig'):\n    trl.ORPOConfig()\n", "OC103")
    check_refuses("import trl\nif getattr(trl, 'ORPOConfig', None):\n    trl.ORPOConfig()\n", "OC105")


def test_a_class_body_does_not_shadow_for_its_methods() -> None:
    check_rewrites(
        "import trl\n\n\nclass Run:\n    trl = 'x'\n\n    def go(self):\n        return trl.ORPOTrainer()\n",
        "import orpo_compat\n\n\nclass Run:\n    trl = 'x'\n\n    def go(self):\n"
        "        return orpo_compat.ORPOTrainer()\n",
    )


def test_each_scope_has_its_own_import() -> None:
    check_rewrites(
        "import trl\n\n\ndef f():\n    import trl\n    return trl.ORPOConfig\n\n\n"
        "x = trl.ModelConfig, trl.ORPOConfig\n",
        "import trl\nimport orpo_compat\n\n\ndef f():\n    import orpo_compat\n    return orpo_compat.ORPOConfig\n\n\n"
        "x = trl.ModelConfig, orpo_compat.ORPOConfig\n",
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('import trl\nf"{trl.ORPOConfig!r:{w}}"\n', 'import orpo_compat\nf"{orpo_compat.ORPOConfig!r:{w}}"\n'),
        (
            "import trl\nmatch m:\n    case trl.ORPOConfig(beta=b): ...\n",
            "import orpo_compat\nmatch m:\n    case orpo_compat.ORPOConfig(beta=b): ...\n",
        ),
        ("import trl\ntype A[T: trl.ORPOConfig] = T\n", "import orpo_compat\ntype A[T: orpo_compat.ORPOConfig] = T\n"),
        (
            "import trl\n@trl.ORPOTrainer\ndef f(): ...\n",
            "import orpo_compat\n@orpo_compat.ORPOTrainer\ndef f(): ...\n",
        ),
        (
            "import trl\nx = (trl  # here\n     .ORPOConfig)\n",
            "import orpo_compat\nx = (orpo_compat  # here\n     .ORPOConfig)\n",
        ),
        (
            "import trl\nx = (trl\n     .trainer  # old\n     .ORPOConfig)\n",
            "import orpo_compat\nx = (orpo_compat\n       # old\n     .ORPOConfig)\n",
        ),
    ],
)
def test_uses_are_found_in_every_corner_of_the_syntax(before: str, after: str) -> None:
    check_rewrites(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "import trl\ndef f(a: 'trl.ORPOConfig') -> 'list[trl.ORPOTrainer]': ...\n",
            "import orpo_compat\ndef f(a: 'orpo_compat.ORPOConfig') -> 'list[orpo_compat.ORPOTrainer]': ...\n",
        ),
        (
            "import trl\nfrom typing import cast\nx = cast('trl.ORPOConfig', y)\n",
            "import orpo_compat\nfrom typing import cast\nx = cast('orpo_compat.ORPOConfig', y)\n",
        ),
        (
            "import trl\nx: dict[str, 'trl.trainer.ORPOConfig'] = {}\n",
            "import orpo_compat\nx: dict[str, 'orpo_compat.ORPOConfig'] = {}\n",
        ),
    ],
)
def test_types_written_as_strings_are_uses(before: str, after: str) -> None:
    check_rewrites(before, after)


@pytest.mark.parametrize("kept", ["def f(a: \"Opt['trl.ORPOConfig']\"): ...", "T = Union['trl.ORPOConfig', None]"])
def test_a_type_that_is_not_rewritten_keeps_its_import(kept: str) -> None:
    check_rewrites(
        f"import trl\n{kept}\nx = trl.ORPOConfig\n",
        f"import trl\nimport orpo_compat\n{kept}\nx = orpo_compat.ORPOConfig\n",
        "OC103",
    )


def test_a_literal_type_is_text_and_reported() -> None:
    check_refuses("import trl\nfrom typing import Literal\nx: Literal['trl.ORPOConfig']\n", "OC103")


@pytest.mark.parametrize(
    "source",
    [
        "import trl\ntrl = patched(trl)\nx = trl.ORPOConfig\n",
        "import trl\nx = trl.ORPOConfig\ndel trl\n",
        "import trl\nfor trl in zoo:\n    trl.ORPOConfig\n",
        "import trl\n\n\ndef f():\n    global trl\n    trl = 1\n\n\nx = trl.ORPOConfig\n",
        "def f():\n    global trl\n    import trl\n    return trl.ORPOConfig\n",
        "import trl\nimport mytrl as trl\nx = trl.ORPOConfig\n",
    ],
)
def test_a_name_with_two_meanings_is_left_alone(source: str) -> None:
    check_refuses(source, "OC106")


def test_a_module_that_may_be_none_is_left_alone_as_a_guard() -> None:
    check_refuses("try:\n    import trl\nexcept ImportError:\n    trl = None\nx = trl and trl.ORPOConfig\n", "OC107")


def test_what_hangs_on_hasattr_is_left_alone() -> None:
    check_refuses("import trl\nC = trl.ORPOConfig if hasattr(trl, 'ORPOConfig') else None\n", "OC107")


@pytest.mark.parametrize(
    "source",
    [
        "import trl\norpo_compat = object()\nx = trl.ORPOConfig\n",
        "import trl\n\n\ndef f(orpo_compat):\n    return trl.ORPOConfig\n",
    ],
)
def test_a_taken_target_name_is_reported(source: str) -> None:
    check_refuses(source, "OC110")


def test_a_taken_target_name_does_not_matter_to_an_alias() -> None:
    check_rewrites(
        "import trl as rl\norpo_compat = 1\nx = rl.ORPOConfig\n",
        "import orpo_compat as rl\norpo_compat = 1\nx = rl.ORPOConfig\n",
    )


def test_a_module_handed_on_keeps_its_import() -> None:
    check_rewrites(
        "import trl\nshow(trl)\nx = trl.ORPOConfig\n",
        "import trl\nimport orpo_compat\nshow(trl)\nx = orpo_compat.ORPOConfig\n",
        "OC106",
    )


def test_a_module_under_a_second_name_is_reported_with_its_uses() -> None:
    done = check_refuses("import trl\nrl = trl\nx = rl.ORPOConfig\n", "OC106")
    assert [finding.line for finding in done.findings] == [2, 3]


@pytest.mark.parametrize("read", ["vars(trl)[name]", "trl.__dict__['ORPOConfig']", "lookup(trl, 'ORPO' 'Config')[1]"])
def test_a_class_looked_up_in_the_module_by_a_string_is_reported(read: str) -> None:
    check_refuses(f"import trl\nname = 'ORPOConfig'\nx = {read}\n", "OC106")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import trl\nx = trl.ORPOConfig()  # type: trl.ORPOConfig\n", "OC103"),
        ("import trl\nx = trl.ORPOConfig()\neval('trl.ORPOConfig')\n", "OC103"),
        ('import trl\n\n\ndef f():\n    """>>> trl.ORPOConfig()"""\n    return trl.ORPOConfig\n', "OC118"),
    ],
)
def test_text_that_reads_the_name_keeps_its_import(before: str, after: str) -> None:
    expected = before.replace("import trl\n", "import trl\nimport orpo_compat\n").replace(
        "x = trl.", "x = orpo_compat."
    )
    check_rewrites(before, expected.replace("return trl.", "return orpo_compat."), after)


def test_a_package_keeps_the_name_that_others_may_import_from_it() -> None:
    source = "import trl\nx = trl.ORPOConfig\n"
    check_rewrites(source, "import trl\nimport orpo_compat\nx = orpo_compat.ORPOConfig\n", path="pkg/__init__.py")
    check_rewrites(source, "import orpo_compat\nx = orpo_compat.ORPOConfig\n", path="pkg/init.py")


@pytest.mark.parametrize(
    "source",
    [
        "import trl.experimental.orpo\n",
        "from trl.trainer import orpo_config\n",
        "import trl.trainer.orpo_trainer as t\n",
    ],
)
def test_an_orpo_module_imported_for_nothing_is_reported(source: str) -> None:
    check_refuses(source, "OC121")


def test_a_helper_read_from_an_orpo_module_is_reported() -> None:
    check_rewrites(
        "import trl.trainer.orpo_trainer as t\nx = t.ORPOTrainer(t.pad_to_length)\n",
        "import trl.trainer.orpo_trainer as t\nimport orpo_compat\nx = orpo_compat.ORPOTrainer(t.pad_to_length)\n",
        "OC121",
    )


def test_a_plain_getattr_moves_only_when_strings_may() -> None:
    source = "import trl\nC = getattr(trl, 'ORPOConfig')\n"
    check_refuses(source, "OC105")
    check_rewrites(
        source, "import orpo_compat\nC = getattr(orpo_compat, 'ORPOConfig')\n", options=Options(strings=True)
    )


@pytest.mark.parametrize("statement", ["__all__ = ['trl']", "x = globals()['trl']"])
def test_a_name_that_is_looked_up_as_a_string_keeps_its_import(statement: str) -> None:
    check_rewrites(
        f"import trl\n{statement}\ny = trl.ORPOConfig\n",
        f"import trl\nimport orpo_compat\n{statement}\ny = orpo_compat.ORPOConfig\n",
    )


def test_a_string_that_is_no_name_of_this_module_keeps_nothing() -> None:
    rest = "x = version('trl')\n"
    check_rewrites(f"import trl\n{rest}trl.ORPOConfig\n", f"import orpo_compat\n{rest}orpo_compat.ORPOConfig\n")


@pytest.mark.parametrize(
    "source",
    [
        "import trl\n\n\ndef f():\n    c = trl.ORPOConfig\n    import orpo_compat\n    return c\n",
        "import trl\n\n\ndef f():\n    if a:\n        import orpo_compat\n    return trl.ORPOConfig\n",
    ],
)
def test_a_use_stays_whose_function_imports_the_target_later(source: str) -> None:
    check_refuses(source, "OC110")


def test_a_use_stays_whose_function_gets_the_target_later() -> None:
    head = "import trl\n\n\ndef f():\n    c = trl.ORPOConfig\n"
    check_rewrites(
        f"{head}    from trl.experimental import orpo\n    return orpo.ORPOTrainer\n",
        f"{head}    import orpo_compat\n    return orpo_compat.ORPOTrainer\n",
        "OC110",
    )


@pytest.mark.parametrize(
    "source",
    [
        "import {0}\n\n\ndef f():\n    import orpo_compat\n    return [lambda: {0}.ORPOConfig]\n",
        "import {0}\n\n\ndef f():\n    c = {0}.ORPOConfig\n\n    def g():\n        import orpo_compat\n",
        "import {0} as t\n\n\ndef f():\n    c = t.ORPOConfig\n    import {0}\n    return {0}.ORPOTrainer\n",
    ],
)
def test_a_function_that_has_the_target_in_time_is_no_obstacle(source: str) -> None:
    check_rewrites(source.format("trl"), source.format("orpo_compat"))


def test_a_use_stays_whose_import_would_hide_the_target_from_an_earlier_read() -> None:
    head = "import orpo_compat\n\n\ndef f():\n"
    check_refuses(f"{head}    orpo_compat.x\n    import trl\n    return trl.ORPOConfig\n", "OC110")
    check_rewrites(
        f"{head}    import trl\n    return trl.ORPOConfig, lambda: orpo_compat.x\n",
        f"{head}    import orpo_compat\n    return orpo_compat.ORPOConfig, lambda: orpo_compat.x\n",
    )


def test_a_module_that_is_read_as_an_attribute_of_a_class_keeps_its_import() -> None:
    source = "class A:\n    import trl\n{0}\n    def f(self):\n        return self.trl.ORPOTrainer\n"
    check_refuses(source.format(""), "OC126")
    check_rewrites(
        source.format("    c = trl.ORPOConfig\n"),
        source.format("    import orpo_compat\n    c = orpo_compat.ORPOConfig\n"),
        "OC126",
    )
    plain = "class A:\n    import {0}\n    c = {0}.ORPOConfig\n"
    check_rewrites(plain.format("trl"), plain.format("orpo_compat"))
