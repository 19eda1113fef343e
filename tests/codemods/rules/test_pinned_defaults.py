"""Defaults that moved since the pinned release, and the two tables that say so."""

from __future__ import annotations

import ast

import pytest

from codemods.keywords import CONFIG_INERT, CONFIG_KEYWORDS, CONFIG_RENAMES, drifted
from codemods.options import Options
from tests.codemods.checks import check_noop, check_refuses, check_rewrites

PIN = Options(pin_defaults=True, trl_version="0.24.0")
OURS = "from orpo_compat import ORPOConfig\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ORPOConfig()", 'ORPOConfig(max_prompt_length=512, truncation_mode="keep_end")'),
        ("ORPOConfig('o', beta=(1))", "ORPOConfig('o', beta=(1), max_prompt_length=512, truncation_mode=\"keep_end\")"),
        ("ORPOConfig('o',)", "ORPOConfig('o', max_prompt_length=512, truncation_mode=\"keep_end\",)"),
        (
            "ORPOConfig(\n    'o',  # out\n)",
            "ORPOConfig(\n    'o',  # out\n    max_prompt_length=512,\n    truncation_mode=\"keep_end\",\n)",
        ),
        (
            "ORPOConfig(\n    'o',\n    max_prompt_length=3  # short\n)",
            "ORPOConfig(\n    'o',\n    max_prompt_length=3, truncation_mode=\"keep_end\"  # short\n)",
        ),
    ],
)
def test_old_defaults_are_written_in_the_layout_of_the_call(before: str, after: str) -> None:
    check_rewrites(f"{OURS}x = {before}\n", f"{OURS}x = {after}\n", options=PIN)


def test_without_the_option_both_values_are_told() -> None:
    done = check_refuses(f"import trl\n{OURS}x = ORPOConfig('o')\n", "OC124", options=Options(trl_version="0.9.6"))
    assert "learning_rate 5e-5 (now 1e-6)" in done.findings[0].message


def test_arguments_that_cannot_be_seen_are_not_overruled() -> None:
    done = check_refuses(f"{OURS}x = ORPOConfig(**more)\n", "OC124", options=PIN)
    assert "unpacks" in done.findings[0].message


def test_nothing_to_say_when_every_field_is_given_or_nothing_moved() -> None:
    check_noop(f"{OURS}x = ORPOConfig(max_prompt_length=1, truncation_mode='keep_start')\n", options=PIN)
    check_noop(f"{OURS}x = ORPOConfig()\n", options=Options(pin_defaults=True, trl_version="1.2.0"))
    check_noop(f"{OURS}x = ORPOConfig()\n", options=Options(pin_defaults=True, trl_version="git"))


def test_fp16_stands_for_a_choice_of_bf16() -> None:
    full = "learning_rate=1, logging_steps=1, gradient_checkpointing=True, max_length=1, max_prompt_length=1"
    source = f"{OURS}x = ORPOConfig({full}, truncation_mode='keep_end', fp16=True)\n"
    check_noop(source, options=Options(pin_defaults=True, trl_version="0.9.6"))


@pytest.mark.parametrize(
    "release", ["0.8.2", "0.11.4", "0.12.0", "0.14.0", "0.18.2", "0.19.1", "0.22.0", "0.27.2", "0.28.0"]
)
def test_the_defaults_are_those_the_trainer_package_knows(release: str) -> None:
    from orpo_compat.defaults import defaults_of

    theirs, ours = defaults_of(release), defaults_of("1.16.0")
    expected = {name: (value, ours[name]) for name, value in theirs.items() if value != ours[name]}
    found = drifted(release)
    assert {name: tuple(map(ast.literal_eval, pair)) for name, pair in found.items()} == expected


@pytest.mark.slow
def test_the_known_keywords_are_the_fields_of_the_trainer_packages_config() -> None:
    import dataclasses

    from orpo_compat.config import ORPOConfig
    from orpo_compat.spellings import SPELLINGS

    fields = {entry.name for entry in dataclasses.fields(ORPOConfig) if entry.init}
    assert fields - CONFIG_KEYWORDS == set()
    renames = {row.name: row.modern for row in SPELLINGS if row.modern in fields}
    assert dict(CONFIG_RENAMES) == renames
    assert {row.name for row in SPELLINGS if not row.modern} == CONFIG_INERT
