"""Configuration files: only a scalar that is a dotted path and nothing else is ever edited, and only when asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tomlkit
import yaml

from codemods.containers import rewrite_file
from codemods.options import Direction, Options
from tests.codemods.containers.laws import codes, lines_with, rewritten

CONFIGS = Options(configs=True)
MODULES = [
    "trl",
    "trl.trainer",
    "trl.trainer.orpo_config",
    "trl.trainer.orpo_trainer",
    "trl.experimental.orpo",
    "trl.experimental.orpo.orpo_config",
]


def check_rewrites(path: str, before: str, after: str) -> None:
    """`after` with --configs; without it the same bytes and a finding on every line that would change."""
    assert rewritten(path, before.encode(), CONFIGS).result.decode() == after
    kept = rewritten(path, before.encode())
    assert not kept.changed
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    assert lines_with(kept, "OC119") == [number for number, (old, new) in enumerate(pairs, 1) if old != new]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("conf/orpo.yaml", "args:\n  _target_: {}.ORPOConfig  # config\n  beta: 0.1\n"),
        ("conf/orpo.yml", "a: '{}.ORPOTrainer'\nb: \"x\"\n"),
        ("conf/orpo.yaml", "- {{cls: {}.ORPOTrainer, n: 1}}\r\n- &a x\r\n- *a\r\n"),
        ("conf/orpo.yaml", "\u00fc: \u4f60\n_target_: {}:ORPOTrainer"),
        ("conf.json", '{{"trainer": "{}.ORPOTrainer", "n": [1, 2]}}'),
        ("conf.json", '[\n\t"{}:ORPOConfig"\n]\n'),
        ("conf.toml", "[a]\ncls = '{}.ORPOTrainer' # c\nd = 1979-05-27\n"),
        ("conf.toml", 'a = [{{b = "{}.ORPOConfig"}}]\n'),
        (".env", "TRAINER={}.ORPOTrainer\nX=1\n"),
        (".env.local", 'export TRAINER="{}.ORPOTrainer"  # c\n'),
        ("run.ini", "[a]\ntrainer = {}.ORPOTrainer\n"),
    ],
)
def test_a_scalar_that_is_a_path_is_edited_by_its_module_alone(path: str, text: str, module: str) -> None:
    check_rewrites(path, text.format(module), text.format("orpo_compat"))


def test_the_way_back_needs_a_module() -> None:
    text = b"_target_: orpo_compat.ORPOConfig\n"
    back = rewrite_file("a.yaml", text, CONFIGS, Direction.REVERSE, to="trl.experimental.orpo")
    assert back.result == b"_target_: trl.experimental.orpo.ORPOConfig\n"


def test_parsers_see_only_the_new_path() -> None:
    text = (
        "# c\nbase: &base\n  _target_: trl.ORPOTrainer\n  list: [1, 'two', null]\nuse:\n  <<: *base\n  beta: 1.0e-1\n"
    )
    before: Any = yaml.safe_load(text)
    after: Any = yaml.safe_load(rewritten("a.yaml", text.encode(), CONFIGS).result)
    before["base"]["_target_"] = before["use"]["_target_"] = "orpo_compat.ORPOTrainer"
    assert after == before
    plain = {"x": {"cls": "trl.ORPOConfig"}, "y": "trl.ORPOConfig is gone", "z": "\u00e9\n"}
    result = rewritten("a.json", json.dumps(plain, indent=3).encode(), CONFIGS).result
    assert json.loads(result) == {**plain, "x": {"cls": "orpo_compat.ORPOConfig"}}
    toml = 'a = "trl.ORPOConfig"\nb = """trl.ORPOConfig\n"""\n'
    parsed = tomlkit.parse(rewritten("a.toml", toml.encode(), CONFIGS).result.decode()).unwrap()
    assert parsed == {"a": "orpo_compat.ORPOConfig", "b": "trl.ORPOConfig\n"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.yaml", "run: |\n  x = trl.ORPOTrainer\n"),
        ("a.yaml", "run: >\n  trl.ORPOTrainer\n"),
        ("a.yaml", "note: see trl.ORPOTrainer for more\n"),
        ("a.yaml", "# trl.ORPOTrainer\na: 1\n"),
        ("a.yaml", "cls: !!python/name:trl.ORPOTrainer\n"),
        ("a.yaml", "a: {{ x }}\nb: [trl.ORPOTrainer\n"),
        ("a.json", '{"cmd": "python -c \\"from trl import ORPOTrainer\\""}'),
        ("a.toml", "x = 'use trl.ORPOTrainer'\n"),
        (".env", "# trl.ORPOTrainer\n"),
    ],
)
def test_every_other_mention_is_reported_and_kept(path: str, text: str) -> None:
    done = rewritten(path, text.encode(), CONFIGS)
    assert not done.changed
    assert codes(done) == ["OC119"]


def test_a_path_split_over_two_keys_is_reported() -> None:
    done = rewritten("a.yaml", b"module: trl.trainer\ncls: ORPOConfig\n", CONFIGS)
    assert not done.changed
    assert lines_with(done, "OC119") == [2]


@pytest.mark.parametrize(
    "text", ["_target_: mytrl.ORPOTrainer\n", "a: trl.ORPOTrainerX\n", "a: trl.SFTTrainer\n", "ORPOTrainer: 1\n"]
)
def test_homonyms_are_left_in_peace(text: str) -> None:
    done = rewritten("a.yaml", text.encode(), CONFIGS)
    assert not done.changed
    assert codes(done) == []


def test_a_local_package_called_trl_is_not_moved() -> None:
    text = b"_target_: trl.ORPOTrainer\n"
    assert not rewritten("a.yaml", text, Options(configs=True, first_party=frozenset({"trl"}))).changed
