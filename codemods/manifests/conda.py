"""Conda environment files: `environment.yml` and its kin, with pip's list inside.

orpo-compat is on PyPI only, so it goes to pip's list, beside trl when trl is there. PyYAML says where every
node stands; the file is never printed back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import yaml

from codemods.manifests.entry import Entry, requirement_name

_ITEM = re.compile(rb"[ \t]*-[ \t]+")
_REST = re.compile(rb"[ \t]*(?:#[^\r\n]*)?(\r\n|\r|\n|$)")
_NO_PIP = "orpo-compat is on PyPI only: add a pip list to the environment with orpo-compat in it."
_ODD = "The list is not one item a line: add orpo-compat by hand."


class NotYaml(ValueError):
    """PyYAML could not read the file; says where."""


def conda_entries(source: bytes) -> list[Entry]:
    """Entries of a conda environment file: pip's first, then conda's own.

    Raises:
        NotYaml: the file does not parse.
    """
    text = source.decode("utf-8", "surrogateescape")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError) as trouble:
        raise NotYaml(str(trouble).replace("\n", " ")) from trouble
    offsets = _ByteOffsets(text)
    listed = _member(root, "dependencies")
    if not isinstance(listed, yaml.SequenceNode):
        return []
    pip = [entry for node in listed.value for entry in _pip_entries(source, offsets, node)]
    return pip + list(_conda_entries(source, offsets, listed, pip))


class _ByteOffsets:
    """PyYAML counts characters; edits count bytes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ascii = text.isascii()

    def span(self, node: yaml.Node) -> tuple[int, int]:
        return self._byte(node.start_mark.index), self._byte(node.end_mark.index)

    def _byte(self, index: int) -> int:
        return index if self._ascii else len(self._text[:index].encode("utf-8", "surrogateescape"))


def _member(node: object, key: str) -> object:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if getattr(name, "value", None) == key), None)


def _pip_entries(source: bytes, offsets: _ByteOffsets, node: object) -> Iterator[Entry]:
    pip = _member(node, "pip")
    if not isinstance(pip, yaml.SequenceNode):
        return
    for item in pip.value:
        if isinstance(item, yaml.ScalarNode):
            yield _item_entry(source, offsets, item, "the pip list")


def _conda_entries(
    source: bytes, offsets: _ByteOffsets, listed: yaml.SequenceNode, pip: list[Entry]
) -> Iterator[Entry]:
    """Conda's own items; a neighbour for one of them goes to the end of pip's list."""
    last = next((entry for entry in reversed(pip) if not entry.fixed), None)
    for item in listed.value:
        if not isinstance(item, yaml.ScalarNode):
            continue
        entry = _item_entry(source, offsets, item, "the conda list")
        entry = replace(entry, name=entry.name or re.split(r"[=<>!\s\[]", entry.text)[0].rpartition("::")[2].lower())
        if last is None:
            yield replace(entry, fixed=_NO_PIP)
        else:
            yield replace(
                entry,
                insert_at=last.insert_at,
                before=last.before,
                after=last.after,
                in_place=False,
                label="the pip list",
            )


def _item_entry(source: bytes, offsets: _ByteOffsets, item: yaml.ScalarNode, label: str) -> Entry:
    """One `- requirement` item on a line of its own."""
    start, end = offsets.span(item)
    line_start = max(source.rfind(b"\n", 0, start), source.rfind(b"\r", 0, start)) + 1
    lead = source[line_start:start]
    rest = _REST.match(source, end)
    quote = source[start : start + 1] if item.style in ("'", '"') else b""
    shaped = _ITEM.fullmatch(lead) is not None and rest is not None and item.style in (None, "'", '"')
    eol = rest[1] if rest else b""
    return Entry(
        name=requirement_name(item.value),
        text=item.value,
        label=label,
        start=start + len(quote),
        end=end - len(quote),
        cut=(line_start, rest.end() if rest else end),
        insert_at=rest.start(1) if rest else end,
        before=(eol or b"\n") + lead + quote,
        after=quote,
        fixed="" if shaped else _ODD,
    )
