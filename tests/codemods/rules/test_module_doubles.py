"""Doubles of TRL in sys.modules."""

from __future__ import annotations

import pytest

from codemods.options import Options
from tests.codemods.checks import check_refuses, check_rewrites


@pytest.mark.parametrize(
    "double",
    [
        "sys.modules['trl'] = fake",
        "sys.modules['trl.trainer'] = fake",
        "modules['trl'] = fake",
        "del sys.modules['trl']",
        "sys.modules.setdefault('trl', fake)",
        "sys.modules.update({'trl': fake})",
        "monkeypatch.setitem(sys.modules, 'trl.experimental.orpo', fake)",
        "mock.patch.dict('sys.modules', {'trl': fake})",
        "mock.patch.dict(sys.modules, trl=fake)",
        "fake = types.ModuleType('trl.trainer')",
        "fakes = {'os': 1, 'trl': fake}\npatch.dict(sys.modules, fakes)",
    ],
)
def test_a_double_stops_the_file(double: str) -> None:
    check_refuses(f"import sys\n{double}\nfrom trl import ORPOConfig\n", "OC104")


@pytest.mark.parametrize(
    "harmless",
    ["sys.modules['rl'] = 1", "x = 'trl' in sys.modules", "d['trl'] = 1", "d = {'trl': 1}", "ModuleType('rl')"],
)
def test_other_entries_do_not(harmless: str) -> None:
    check_rewrites(
        f"import sys\n{harmless}\nfrom trl import ORPOConfig\n",
        f"import sys\n{harmless}\nfrom orpo_compat import ORPOConfig\n",
    )


STRINGS = Options(strings=True)


@pytest.mark.parametrize(
    "double",
    ["sys.modules['{}'] = fake", 'patch.dict(sys.modules, {{"{}": fake}})', "setitem(sys.modules, '{}', fake)"],
)
def test_a_single_double_moves_with_its_imports_when_strings_may(double: str) -> None:
    source = double + "\nimport torch\nfrom {} import ORPOConfig\n"
    check_rewrites(source.format("trl", "trl.trainer"), source.format("orpo_compat", "orpo_compat"), options=STRINGS)


@pytest.mark.parametrize(
    "rest",
    [
        "from trl import ORPOConfig, SFTConfig\n",
        "import trl\ntrl.ORPOConfig\n",
        "from trl import *\nORPOConfig\n",
        "sys.modules['trl.trainer'] = fake\nfrom trl import ORPOConfig\n",
        "x = version('trl')\nfrom trl import ORPOConfig\n",
    ],
)
def test_a_double_that_others_need_stays_even_then(rest: str) -> None:
    check_refuses(f"sys.modules['trl'] = fake\n{rest}", "OC104", options=STRINGS)
