"""Guards around imports that move are told, not touched."""

from __future__ import annotations

import pytest

from tests.codemods.checks import check_rewrites


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    from trl import ORPOConfig\nexcept (ImportError, OSError):\n    ORPOConfig = dict\n",
        "try:\n    import trl\n    C = trl.ORPOConfig\nexcept Exception:\n    C = None\n",
        "try:\n    import json\nexcept ModuleNotFoundError:\n    pass\nelse:\n    from trl import ORPOConfig\n",
        "from contextlib import suppress\nwith suppress(ModuleNotFoundError):\n    from trl import ORPOConfig\n",
        "if is_trl_available():\n    from trl import ORPOConfig\n",
        "if HAS_TRL:\n    from trl import ORPOConfig\n",
        "import importlib\nif importlib.util.find_spec('trl') is not None:\n    from trl import ORPOConfig\n",
    ],
)
def test_a_guarded_import_moves_and_the_guard_is_reported(source: str) -> None:
    check_rewrites(
        source,
        source.replace("trl import", "orpo_compat import")
        .replace("import trl\n", "import orpo_compat\n")
        .replace("trl.ORPO", "orpo_compat.ORPO"),
        "OC107",
    )


def test_a_use_that_expects_an_attribute_error_is_reported() -> None:
    source = "import {0}\ntry:\n    C = {0}.ORPOConfig\nexcept AttributeError:\n    C = None\n"
    check_rewrites(source.format("trl"), source.format("orpo_compat"), "OC107")
    plain = source.replace("AttributeError", "Exception")
    check_rewrites(plain.format("trl"), plain.format("orpo_compat"))


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    from trl import ORPOConfig\nfinally:\n    done()\n",
        "try:\n    work()\nexcept ValueError:\n    from trl import ORPOConfig\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from trl import ORPOConfig\n",
        "if fast:\n    from trl import ORPOConfig as C\nelse:\n    from trl import SFTConfig as C\n",
        "with open('x'):\n    from trl import ORPOConfig\n",
        "try:\n    def f():\n        from trl import ORPOConfig\nexcept ImportError:\n    pass\n",
    ],
)
def test_what_is_no_guard_is_not_reported(source: str) -> None:
    check_rewrites(source, source.replace("from trl import ORPO", "from orpo_compat import ORPO"))
