"""Doubles of TRL in sys.modules."""

from __future__ import annotations

import pytest

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
