"""Builds and caches an environment that holds a given TRL with versions of transformers it works with.

The pairs come from running each release of TRL against several of transformers. A marker file is written last, so that
an interrupted build leaves nothing that looks finished.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from parity.errors import ReferenceUnavailable, SpecError
from parity.reference import Reference, find_reference


@dataclass(frozen=True, slots=True)
class Pairing:
    """What a range of TRL releases trains with; bounds inclusive."""

    first: str
    last: str
    packages: tuple[str, ...]


_ALWAYS = ("torch==2.13.0", "rich", "safetensors", "sentencepiece")
PAIRINGS = (
    Pairing(
        "0.8.2",
        "0.11.4",
        ("transformers==4.45.2", "accelerate==0.34.2", "datasets<3", "peft<0.14", "numpy<2", "pyarrow<20"),
    ),
    Pairing(
        "0.12.0",
        "0.12.2",
        ("transformers==4.46.3", "accelerate<1.2", "datasets<3.3", "peft<0.15", "numpy<2", "pyarrow<20"),
    ),
    Pairing("0.13.0", "0.19.1", ("transformers==4.57.6", "accelerate<1.12", "datasets<4", "peft<0.18")),
    Pairing("0.20.0", "0.27.1", ("transformers==4.57.6", "accelerate<1.13", "datasets<5", "peft<0.19")),
    Pairing("0.27.2", "0.29.1", ("transformers==5.0.0", "accelerate", "datasets", "peft")),
    Pairing("1.0.0", "99", ("transformers==5.23.0", "accelerate", "datasets", "peft")),
)


def cache_folder() -> Path:
    """Return the folder for what may be deleted at any time: environments and raw traces."""
    base = os.environ.get("ORPO_COMPAT_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orpo-compat"


def pinned_release(requirement: str) -> str:
    """Return the version of ``trl==VERSION``.

    Raises:
        SpecError: it pins no single release of TRL, or one without an ORPO trainer.
    """
    try:
        parsed = Requirement(requirement)
        specifiers = list(parsed.specifier)
        version = Version(specifiers[0].version)
    except (InvalidRequirement, InvalidVersion, IndexError) as error:
        raise SpecError(f"--reference takes one release such as trl==0.24.0, got {requirement!r}") from error
    if parsed.name.lower() != "trl" or len(specifiers) != 1 or specifiers[0].operator != "==":
        raise SpecError(f"--reference takes one release such as trl==0.24.0, got {requirement!r}")
    if version < Version("0.8.2"):
        raise SpecError(f"TRL {version} has no ORPO trainer; the first that has one is 0.8.2")
    return str(version)


def packages_for(release: str) -> tuple[str, ...]:
    """Return what to install for a release of TRL."""
    version = Version(release)
    for pairing in PAIRINGS:
        if Version(pairing.first) <= version <= Version(pairing.last):
            return (f"trl=={release}", *pairing.packages, *_ALWAYS)
    raise SpecError(f"no set of versions is known to work with TRL {release}; use --reference-python with your own")


def build_reference(requirement: str, *, report: Callable[[str], None]) -> Reference:
    """Return the cached environment of ``trl==VERSION``, building it if it is not there yet.

    Raises:
        SpecError: the requirement pins no release that can be built.
        ReferenceUnavailable: it could not be built; the message ends with what pip said.
    """
    release = pinned_release(requirement)
    home = cache_folder() / "references" / f"trl-{release}-py{sys.version_info[0]}{sys.version_info[1]}"
    ensure_environment(home, packages_for(release), report=report)
    found = find_reference(python=home)
    return Reference(found.python, found.versions, f"built for {requirement}")


def ensure_environment(home: Path, packages: tuple[str, ...], *, report: Callable[[str], None]) -> Path:
    """Build a virtual environment of exactly these packages unless it is there already; return its interpreter.

    Raises:
        ReferenceUnavailable: it could not be built; the message ends with what pip said.
    """
    marker = home / "complete"
    if not marker.is_file() or marker.read_text(encoding="utf-8").split() != list(packages):
        _build(home, packages, report)
    return _python_of(home)


def _python_of(home: Path) -> Path:
    return home / "bin" / "python" if os.name != "nt" else home / "Scripts" / "python.exe"


def _build(home: Path, packages: tuple[str, ...], report: Callable[[str], None]) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(home, ignore_errors=True)
    report(f"building {home.name} once: {' '.join(packages)}")
    try:
        # Built in place, because scripts and pyvenv.cfg hold absolute paths; the marker makes it whole.
        _call([sys.executable, "-m", "venv", str(home)])
        _call([str(_python_of(home)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    except ReferenceUnavailable:
        shutil.rmtree(home, ignore_errors=True)
        raise
    (home / "complete").write_text("\n".join(packages) + "\n", encoding="utf-8")


def _call(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    with tempfile.TemporaryFile() as said:
        status = subprocess.run(command, stdout=said, stderr=said, env=environment, check=False).returncode
        if status:
            said.seek(0)
            tail = said.read().decode("utf-8", "replace").strip().splitlines()[-8:]
            raise ReferenceUnavailable(f"`{' '.join(command[1:4])} ...` failed:\n" + "\n".join(tail))
