"""Packages of the repository that answer to the names."""

from __future__ import annotations

import pytest

from codemods.options import Options
from tests.codemods.checks import check_noop, check_refuses, check_rewrites


@pytest.mark.parametrize("package", ["trl", "orpo_compat"])
@pytest.mark.parametrize("source", ["from trl.trainer import ORPOConfig\n", "import trl as t\nt.ORPOTrainer\n"])
def test_a_local_package_stops_the_file(package: str, source: str) -> None:
    check_refuses(source, "OC113", options=Options(first_party=frozenset({package, "app"})))


def test_other_local_packages_do_not() -> None:
    options = Options(first_party=frozenset({"trainers"}))
    check_rewrites("from trl import ORPOConfig\n", "from orpo_compat import ORPOConfig\n", options=options)


def test_a_file_that_does_not_import_it_is_not_concerned() -> None:
    check_noop("from .trl import ORPOConfig\n", options=Options(first_party=frozenset({"trl"})))
