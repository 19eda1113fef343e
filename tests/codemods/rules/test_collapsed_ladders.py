"""Twin rungs become one import under --modernize, and only then."""

from __future__ import annotations

import pytest

from codemods.options import Options
from tests.codemods.checks import check_noop, check_rewrites

MODERN = Options(modernize=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "a = 1\ntry:\n    from trl import ORPOConfig\n    from trl import ORPOTrainer as T\nexcept ImportError:\n"
            "    from trl.experimental.orpo import ORPOConfig, ORPOTrainer as T\n\nb = 2\n",
            "a = 1\nfrom orpo_compat import ORPOConfig\nfrom orpo_compat import ORPOTrainer as T\n\nb = 2\n",
        ),
        (
            "def f():\r\n    try:\r\n        from trl import ORPOConfig\r\n    except:\r\n"
            "        from trl.trainer import ORPOConfig\r\n    return ORPOConfig\r\n",
            "def f():\r\n    from orpo_compat import ORPOConfig\r\n    return ORPOConfig\r\n",
        ),
        (
            "try:\n    from orpo_compat import ORPOConfig\nexcept ImportError:\n    from trl import ORPOConfig\n",
            "from orpo_compat import ORPOConfig\n",
        ),
        (
            "try:\n    from trl import ORPOConfig\nexcept ImportError:\n    try:\n"
            "        from trl.trainer import ORPOConfig\n    except ImportError:\n"
            "        from trl.experimental.orpo import ORPOConfig\n",
            "from orpo_compat import ORPOConfig\n",
        ),
    ],
)
def test_a_ladder_of_nothing_but_orpo_collapses(before: str, after: str) -> None:
    check_rewrites(before, after, options=MODERN)


@pytest.mark.parametrize(
    "rung",
    [
        "    from trl.experimental.orpo import ORPOConfig  # the new home\n",
        "    ORPOConfig = None\n",
        "    from trl.experimental.orpo import ORPOConfig\nelse:\n    ready = True\n",
        "    from trl.experimental.orpo import ORPOConfig\n    ready = True\n",
    ],
)
def test_anything_more_keeps_the_ladder(rung: str) -> None:
    start = "try:\n    from orpo_compat import ORPOConfig\nexcept ImportError:\n"
    check_noop(start + rung, options=MODERN)
