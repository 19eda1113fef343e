"""Starts the driver in an interpreter that knows nothing of this project: ``python parity/arm JOB.json``.

What is run by path comes first on the module search path, where our files would shadow modules of the same name that
the trainer imports. So this takes the folder off the path, before it imports what is not loaded yet, and loads it as
a package of a name that nobody else has.
"""

# No pathlib before the search path is clean:
# ruff: noqa: E402, PTH118, PTH120

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
NAME = "orpo_compat_parity_arm"

sys.path[:] = [entry for entry in sys.path if entry not in ("", ".") and os.path.realpath(entry) != HERE]

import importlib
import importlib.util
from types import ModuleType


def load_driver() -> ModuleType:
    """Load this folder as a package and return its module ``driver``."""
    where = os.path.join(HERE, "__init__.py")
    found = importlib.util.spec_from_file_location(NAME, where, submodule_search_locations=[HERE])
    assert found is not None
    assert found.loader is not None
    package = importlib.util.module_from_spec(found)
    sys.modules[NAME] = package
    found.loader.exec_module(package)
    return importlib.import_module(NAME + ".driver")


if __name__ == "__main__":
    code = load_driver().main(sys.argv)
    importlib.import_module(NAME + ".launch").end(code)
