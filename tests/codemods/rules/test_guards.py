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


_FLAGS = [
    "OK = importlib.util.find_spec('trl') is not None\n",
    "OK: bool = bool(find_spec('trl'))\n",
    "SPEC = find_spec('trl')\nOK = SPEC is not None\n",
    "OK = 'trl' in sys.modules\n",
    "OK = is_trl_available()\n",
    "OK = _is_package_available('trl')\n",
    "OK, VERSION = _is_package_available('trl', return_version=True)\n",
    "try:\n    import trl as _\n    OK = True\nexcept ImportError:\n    OK = False\n",
    "try:\n    import trl as _\nexcept ImportError:\n    OK = False\nelse:\n    OK = True\n",
    "OK = False\ntry:\n    from trl import SFTTrainer\n    OK = True\nexcept Exception:\n    pass\n",
    "try:\n    importlib.import_module('trl')\n    OK = True\nexcept ImportError:\n    OK = False\n",
    "try:\n    metadata.version('trl')\n    OK = True\nexcept metadata.PackageNotFoundError:\n    OK = False\n",
]
_USES = [
    "if OK:\n    from trl import ORPOConfig\n",
    "if OK and not quiet:\n    from trl import ORPOConfig\n",
    "if not OK:\n    ORPOConfig = None\nelse:\n    from trl import ORPOConfig\n",
    "if OK:\n    def f():\n        from trl import ORPOConfig\n",
    "if not OK:\n    raise ImportError('pip install trl')\nfrom trl import ORPOConfig\n",
    "def f():\n    if not OK:\n        return None\n    from trl import ORPOConfig\n",
    "def f():\n    assert OK, 'pip install trl'\n    if deep:\n        from trl import ORPOConfig\n",
    "if not OK:\n    pytest.skip('no trl', allow_module_level=True)\nfrom trl import ORPOConfig\n",
    "@pytest.mark.skipif(not OK, reason='no trl')\ndef test():\n    from trl import ORPOConfig\n",
    "@unittest.skipUnless(OK, 'no trl')\nclass T:\n    def test(self):\n        from trl import ORPOConfig\n",
]


@pytest.mark.parametrize("flag", _FLAGS)
@pytest.mark.parametrize("use", _USES)
def test_a_flag_that_holds_the_answer_guards_like_the_question(flag: str, use: str) -> None:
    done = check_rewrites(flag + use, flag + use.replace("trl import ORPO", "orpo_compat import ORPO"), "OC107")
    (finding,) = done.findings
    assert finding.line > flag.count("\n")


@pytest.mark.parametrize(
    "source",
    [
        "def ok():\n    try:\n        import trl as t\n        return t\n    except ImportError:\n        return 0\n"
        "if ok():\n    from trl import ORPOConfig\n",
        "def ok():\n    return find_spec('trl') is not None\nif ok():\n    from trl import ORPOConfig\n",
        "from .imports import is_trl_available\nOK = is_trl_available()\nif OK:\n    from trl import ORPOConfig\n",
        "from .imports import TRL_INSTALLED\nif TRL_INSTALLED:\n    from trl import ORPOConfig\n",
        "pytest.importorskip('trl')\nfrom trl import ORPOConfig\n",
        "pytestmark = pytest.mark.skipif(not is_trl_available(), reason='')\nfrom trl import ORPOConfig\n",
        "while is_trl_available():\n    from trl import ORPOConfig\n    break\n",
        "match sys.modules.get('trl'):\n    case None: pass\n    case _: from trl import ORPOConfig\n",
        "@require_trl\ndef test():\n    from trl import ORPOConfig\n",
        "def f(self):\n    requires_backends(self, ['trl'])\n    from trl import ORPOConfig\n",
        "def f(self):\n    if not self.has_trl:\n        return\n    from trl import ORPOConfig\n",
    ],
)
def test_other_ways_to_ask_are_reported(source: str) -> None:
    check_rewrites(source, source.replace("trl import ORPO", "orpo_compat import ORPO"), "OC107")


@pytest.mark.parametrize(
    "source",
    [
        # Asked of another package, or of nothing at all; asked of TRL, and the import does not hang on it.
        "OK = find_spec('peft') is not None\nif OK:\n    from trl import ORPOConfig\n",
        "OK = True\nif OK:\n    from trl import ORPOConfig\n",
        "try:\n    import peft\n    OK = 1\nexcept ImportError:\n    OK = 0\nif OK:\n    from trl import ORPOConfig\n",
        "OK = find_spec('trl') is not None\nfrom trl import ORPOConfig\n",
        "OK = find_spec('trl') is not None\nif OK:\n    print('TRL')\nfrom trl import ORPOConfig\n",
        "from trl import ORPOConfig\nif not find_spec('trl'):\n    raise SystemExit\n",
        "OK = 'trl' in name\nif OK:\n    from trl import ORPOConfig\n",
        "if args.controls:\n    from trl import ORPOConfig\n",
        "if kind == 'trl':\n    from trl import ORPOConfig\n",
        "pytest.importorskip('peft')\nfrom trl import ORPOConfig\n",
        "def f(OK):\n    if OK:\n        from trl import ORPOConfig\nOK = is_trl_available()\n",
    ],
)
def test_a_condition_that_does_not_ask_for_trl_is_not_reported(source: str) -> None:
    check_rewrites(source, source.replace("trl import ORPO", "orpo_compat import ORPO"))
