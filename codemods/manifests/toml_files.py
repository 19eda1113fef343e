"""Dependency lists in TOML: pyproject.toml of every build tool, Pipfile, pixi.toml, PEP 723 headers.

Knows which tables of which tool list what is installed, which only narrow versions, and how each spells an
entry. The file is scanned for places, never printed back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from codemods.manifests.brackets import bracket_entry
from codemods.manifests.entry import Entry, Style, normalised
from codemods.manifests.toml_spans import Member, Value, read_toml

_ARRAYS = (
    "project.dependencies",
    "project.optional-dependencies.*",
    "dependency-groups.*",
    "tool.uv.dev-dependencies",
    "tool.pdm.dev-dependencies.*",
    "tool.rye.dev-dependencies",
    "tool.hatch.envs.*.dependencies",
    "tool.hatch.envs.*.extra-dependencies",
    "envs.*.dependencies",
    "envs.*.extra-dependencies",
    "tool.flit.metadata.requires",
    "tool.flit.metadata.requires-extra.*",
)
_CONSTRAINTS = (
    "tool.uv.constraint-dependencies",
    "tool.uv.override-dependencies",
    "tool.uv.build-constraint-dependencies",
    "tool.hatch.envs.*.constraint-dependencies",
)
_KEYED = (
    "tool.poetry.dependencies",
    "tool.poetry.dev-dependencies",
    "tool.poetry.group.*.dependencies",
    "tool.pixi.pypi-dependencies",
    "tool.pixi.feature.*.pypi-dependencies",
)
_KEYED_PIXI = ("pypi-dependencies", "feature.*.pypi-dependencies")
_KEYED_PIPFILE = ("packages", "dev-packages")
_CONDA = ("dependencies", "feature.*.dependencies", "tool.pixi.dependencies", "tool.pixi.feature.*.dependencies")
_NAMES = ("tool.poetry.extras.*",)
_SHARED_KEYS = ("optional", "python", "platform", "markers")
_LINE_END = re.compile(rb"[ \t]*(?:#[^\r\n]*)?(\r\n|\r|\n|$)")

_CONDA_ADVICE = "orpo-compat is on PyPI only: add it under [pypi-dependencies] by hand."


def pyproject_entries(source: bytes) -> list[Entry]:
    """Entries of a pyproject.toml, in file order.

    Raises:
        NotToml: the file could not be scanned.
    """
    return list(_entries(source, arrays=_ARRAYS, keyed=_KEYED, conda=_CONDA[2:]))


def pipfile_entries(source: bytes) -> list[Entry]:
    """Entries of a Pipfile. Raises NotToml."""
    return list(_entries(source, arrays=(), keyed=_KEYED_PIPFILE, conda=()))


def pixi_entries(source: bytes) -> list[Entry]:
    """Entries of a pixi.toml. Raises NotToml."""
    return list(_entries(source, arrays=(), keyed=_KEYED_PIXI, conda=_CONDA[:2]))


def script_entries(source: bytes) -> list[Entry]:
    """Entries of the TOML inside a PEP 723 header. Raises NotToml."""
    return list(_entries(source, arrays=("dependencies",), keyed=(), conda=()))


def _entries(
    source: bytes, *, arrays: tuple[str, ...], keyed: tuple[str, ...], conda: tuple[str, ...]
) -> Iterator[Entry]:
    for member in read_toml(source):
        path = ".".join(member.path)
        if member.value.kind == "array":
            for patterns, make in ((arrays, _listed), (_CONSTRAINTS, _constrained), (_NAMES, _named)):
                if _matches(path, patterns):
                    yield from make(source, member.value, _label(member.path))
        table, _, key = path.rpartition(".")
        if _matches(table, keyed):
            yield _keyed(source, member, key)
        elif _matches(table, conda) and normalised(key) == "trl":
            yield _fixed(member, "trl", _CONDA_ADVICE)
        elif len(member.path) > 1 and _matches(".".join(member.path[:-2]), keyed):
            yield _fixed(member, member.path[-2], "Add orpo-compat beside it by hand.")


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) and path.count(".") == pattern.count(".") for pattern in patterns)


def _label(path: tuple[str, ...]) -> str:
    return f"[{'.'.join(path[:-1])}] {path[-1]}" if len(path) > 1 else path[-1]


def _listed(source: bytes, array: Value, label: str) -> Iterator[Entry]:
    spans = [(item.start, item.end) for item in array.items]
    for index, item in enumerate(array.items):
        if item.kind == "string":
            yield bracket_entry(source, spans, index, label)


def _constrained(source: bytes, array: Value, label: str) -> Iterator[Entry]:
    spans = [(item.start, item.end) for item in array.items]
    for index, item in enumerate(array.items):
        if item.kind == "string":
            yield bracket_entry(source, spans, index, label, constraint=True)


def _named(source: bytes, array: Value, label: str) -> Iterator[Entry]:
    spans = [(item.start, item.end) for item in array.items]
    for index, item in enumerate(array.items):
        if item.kind == "string":
            yield bracket_entry(source, spans, index, label, names=True)


def _keyed(source: bytes, member: Member, key: str) -> Entry:
    """`trl = "^0.24"` or `trl = {version = ..., ...}` on a line of its own."""
    value = member.value
    line_start = max(source.rfind(b"\n", 0, member.start), source.rfind(b"\r", 0, member.start)) + 1
    line_end = _LINE_END.match(source, value.end)
    if line_end is None or value.kind not in ("string", "table"):
        return _fixed(member, key, "Add orpo-compat beside it by hand.")
    insert_at = line_end.start(1)
    return Entry(
        name=normalised(key),
        text=_version_of(value),
        label=f"[{'.'.join(member.path[:-1])}]",
        start=member.start,
        end=value.end,
        cut=(line_start, line_end.end()),
        insert_at=insert_at,
        before=(line_end[1] or b"\n") + source[line_start : member.start],
        style=Style.KEY,
        extra_keys=_shared_keys(source, value),
    )


def _version_of(value: Value) -> str:
    """The version constraint of a keyed entry; the source of the whole value where it has none."""
    if value.kind == "string":
        return value.text
    versions = [member.value.text for member in value.members if member.path == ("version",)]
    return versions[0] if versions else "*"


def _shared_keys(source: bytes, value: Value) -> str:
    """The members of an inline table that say when the dependency is needed, as written."""
    shared = [member for member in value.members if member.path[0] in _SHARED_KEYS]
    return ", ".join(source[member.start : member.value.end].decode("utf-8", "replace") for member in shared)


def _fixed(member: Member, name: str, advice: str) -> Entry:
    end = member.value.end
    return Entry(
        name=normalised(name),
        text=member.value.text,
        label=_label(member.path),
        start=member.start,
        end=end,
        cut=(member.start, end),
        insert_at=end,
        fixed=advice,
    )


Scan = Callable[[bytes], list[Entry]]
