"""Patches of TRL's module by any other road stop the file, as those by its name do."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_refuses, check_rewrites


@pytest.mark.parametrize(
    "patch",
    [
        "lib = trl\nlib.ORPOTrainer = Mine",
        "lib = trl.trainer\nsetattr(lib, 'ORPOTrainer', Mine)",
        "def patch(lib):\n    lib.ORPOTrainer = Mine\npatch(trl)",
        "vars(trl)['ORPOTrainer'] = Mine",
        "trl.__dict__['ORPOTrainer'] = Mine",
        "trl.__dict__.update(ORPOTrainer=Mine)",
        "mock.patch.multiple(trl, ORPOTrainer=Mine)",
        "mock.patch.multiple('trl', ORPOTrainer=Mine)",
        "importlib.import_module('trl').ORPOTrainer = Mine",
        "sys.modules['trl'].ORPOTrainer = Mine",
        "for lib in (trl, other):\n    lib.ORPOConfig = Mine",
    ],
)
def test_a_patch_by_another_road_stops_the_file(patch: str) -> None:
    done = check_refuses(f"import trl\n{patch}\ntrl.ORPOTrainer()\n", "OC123")
    assert done.findings[-1].line == len(done.source.splitlines())


@pytest.mark.parametrize(
    "store",
    [
        "names = SimpleNamespace()\nnames.ORPOTrainer = trl.ORPOTrainer",
        "names = SimpleNamespace(ORPOTrainer=trl.ORPOTrainer)",
        "class Names: ...\nNames.ORPOTrainer = trl.ORPOTrainer",
        "class A:\n    def f(self): self.ORPOTrainer = trl.ORPOTrainer",
        "def f(names): names.ORPOTrainer = trl.ORPOTrainer",
        "names['ORPOTrainer'] = trl.ORPOTrainer",
    ],
)
def test_a_place_of_the_program_s_own_is_no_patch(store: str) -> None:
    moved = store.replace("trl.ORPO", "orpo_compat.ORPO")
    check_rewrites(f"import trl\n{store}\n", f"import orpo_compat\n{moved}\n")
