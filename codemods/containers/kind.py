"""What a file is, as far as the codemod cares: told by its name, and by its first bytes where the name says nothing."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePosixPath

from codemods.manifests.formats import Format, format_of, lock_command


class Kind(Enum):
    """The ways to treat a file."""

    PYTHON = "python"
    """Modules, stubs, scripts, marimo apps, percent scripts."""
    NOTEBOOK = "notebook"
    MARKDOWN = "markdown"
    RST = "rst"
    MANIFEST = "manifest"
    """A dependency list that can be edited (setup.py is Python as well)."""
    LOCK = "lock"
    YAML = "yaml"
    JSON = "json"
    TOML = "toml"
    DOTENV = "dotenv"
    NEAR_PYTHON = "near-python"
    """Looks like Python and is not: templates, Cython, IPython scripts. Reported, never parsed."""
    TEXT = "text"
    """Anything else a person may have written. Reported."""


_SUFFIXES = {
    ".py": Kind.PYTHON,
    ".pyi": Kind.PYTHON,
    ".pyw": Kind.PYTHON,
    ".ipynb": Kind.NOTEBOOK,
    ".md": Kind.MARKDOWN,
    ".mdx": Kind.MARKDOWN,
    ".markdown": Kind.MARKDOWN,
    ".qmd": Kind.MARKDOWN,
    ".rmd": Kind.MARKDOWN,
    ".rst": Kind.RST,
    ".rest": Kind.RST,
    ".yaml": Kind.YAML,
    ".yml": Kind.YAML,
    ".json": Kind.JSON,
    ".jsonc": Kind.JSON,
    ".json5": Kind.JSON,
    ".toml": Kind.TOML,
    ".env": Kind.DOTENV,
    ".ini": Kind.DOTENV,
    ".cfg": Kind.DOTENV,
    ".properties": Kind.DOTENV,
}
_NEAR_PYTHON = re.compile(
    r"(?i)\.(pyx|pxd|pxi|ipy|xsh|sage)$|\.py[-._](tpl|template|j2|jinja2?|in|tmpl|mako|cookiecutter)$|\.(j2|jinja2?)$"
)
_SHEBANG = re.compile(rb"#![^\r\n]*\b(?:python[\d.]*|pypy[\d.]*|uv[ \t]+run|pipx[ \t]+run)\b")


def kind_of(path: str, head: bytes) -> Kind:
    """The kind of the file at `path`, whose first bytes (a few hundred will do) are `head`."""
    place = PurePosixPath(path)
    if lock_command(path) is not None:
        return Kind.LOCK
    listing = format_of(path)
    if listing is not None and listing is not Format.SETUP_PY:
        return Kind.MANIFEST
    if _NEAR_PYTHON.search(place.name):
        return Kind.NEAR_PYTHON
    if place.name.startswith(".env"):
        return Kind.DOTENV
    kind = _SUFFIXES.get(place.suffix.lower())
    if kind is not None:
        return kind
    return Kind.PYTHON if _SHEBANG.match(head.removeprefix(b"\xef\xbb\xbf")) else Kind.TEXT
