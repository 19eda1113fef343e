"""Finds the interpreter that holds the reference TRL: the one given, the repository's own, or the current one.

Every candidate is asked what it has, in isolation and with a time limit; nothing is assumed from its path, and what it
prints besides the answer is ignored. ``environments`` builds one for a given release.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from parity.errors import ReferenceUnavailable

_MARK = "ORPO-COMPAT-PROBE"
_PROBE = f"""
import importlib.util, json, platform
from importlib import metadata
found = {{"python": platform.python_version()}}
for name in ("trl", "transformers", "torch", "datasets", "accelerate", "peft"):
    try:
        found[name] = metadata.version(name)
    except Exception:
        found[name] = None
found["has_trl"] = importlib.util.find_spec("trl") is not None
print("{_MARK} " + json.dumps(found), flush=True)
"""
_VENV_NAMES = (".venv", "venv", "env", ".env")
_NEEDED = ("transformers", "torch", "datasets")

HOW_TO_GET_TRL = (
    "There is no TRL to compare with. Get it in one of these ways:\n"
    "  pip install 'orpo-compat[parity]'             TRL beside orpo-compat (Python 3.11 or newer)\n"
    "  orpo-compat parity --reference trl==1.16.0    a cached environment of its own\n"
    "  orpo-compat parity --reference-python PATH    an interpreter that has TRL already"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """An interpreter that has TRL, and what it said it has."""

    python: Path
    versions: dict[str, str | None]
    found_as: str
    """How it was found, for the report."""

    @property
    def trl(self) -> str:
        """The release of TRL in it."""
        return self.versions.get("trl") or "unknown"


def probe(python: Path, *, timeout: float = 60.0) -> dict[str, str | None]:
    """Ask an interpreter which packages it has.

    Raises:
        ReferenceUnavailable: it does not start, does not answer in time, or answers something else.
    """
    try:
        answer = subprocess.run(
            [str(python), "-I", "-c", _PROBE],
            capture_output=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise ReferenceUnavailable(
            f"{python} cannot be started ({error.strerror}); give a Python interpreter"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ReferenceUnavailable(
            f"{python} did not answer within {timeout:.0f} seconds which packages it has"
        ) from error
    for line in reversed(answer.stdout.decode("utf-8", "replace").splitlines()):
        if line.startswith(_MARK):
            try:
                found = json.loads(line[len(_MARK) :])
            except ValueError:
                break
            return {str(name): value if isinstance(value, str) else None for name, value in found.items()} | {
                "has_trl": "yes" if found.get("has_trl") else None
            }
    said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
    raise ReferenceUnavailable(
        f"{python} did not say which packages it has (exit code {answer.returncode}"
        + (f"; it said: {said[-1]}" if said else "")
        + "); give a Python interpreter"
    )


def _accept(python: Path, found_as: str) -> Reference:
    versions = probe(python)
    if not versions.pop("has_trl", None):
        raise ReferenceUnavailable(
            f"{python} has no TRL.\nInstall it there:  {python} -m pip install trl\n{HOW_TO_GET_TRL}"
        )
    lacking = [name for name in _NEEDED if not versions.get(name)]
    if lacking:
        raise ReferenceUnavailable(
            f"{python} has TRL but lacks {', '.join(lacking)}; install: pip install {' '.join(lacking)}"
        )
    return Reference(python, versions, found_as)


def _interpreters(root: Path) -> list[tuple[Path, str]]:
    names = ["bin/python", "Scripts/python.exe"]
    places = [(root / venv, f"{venv} of the repository") for venv in _VENV_NAMES]
    if active := os.environ.get("VIRTUAL_ENV"):
        places.append((Path(active), "the active virtual environment"))
    return [(folder / name, said) for folder, said in places for name in names if (folder / name).exists()]


def find_reference(*, python: Path | None = None, root: Path | None = None) -> Reference:
    """Find an interpreter with TRL: ``python`` if given, else the repository's environment, else this one.

    Args:
        python: Use this interpreter and no other; a folder means the environment in it.
        root: The repository whose environment is looked for; the working directory if not given.

    Raises:
        ReferenceUnavailable: none has TRL, or the one given has not. The message says how to get it.
    """
    if python is not None:
        if python.is_dir():
            inside = [python / name for name in ("bin/python", "Scripts/python.exe") if (python / name).exists()]
            python = inside[0] if inside else python / "bin/python"
        # Not resolved: the link inside a virtual environment is what makes it one.
        return _accept(Path(os.path.abspath(python)), "given")  # noqa: PTH100
    refused = []
    for candidate, found_as in _interpreters((root or Path.cwd()).absolute()):
        try:
            return _accept(candidate, found_as)
        except ReferenceUnavailable as error:
            refused.append(str(error).splitlines()[0])
    try:
        return _accept(Path(sys.executable), "this interpreter")
    except ReferenceUnavailable:
        looked = "".join(f"\n  looked at: {line}" for line in refused)
        raise ReferenceUnavailable(HOW_TO_GET_TRL + looked) from None
