"""Lists of packages in the files of tools that no manifest reader knows: cog, Ray, pre-commit, tox, bazel, nix.

Found by spelling and only ever reported. A list counts when the key above it speaks of packages, so that the tags of
a model card, or the rules of a bot that updates packages, do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from codemods.containers.mentions import Places, excerpt
from codemods.findings import Finding

_REST = rb"(?:\[[^\]\r\n]*\])?[ \t]*(?:[=<>!~@;^][^'\"\r\n#]*?)?"
_TRL, _OURS = rb"trl", rb"orpo[-_]compat"
_KEY = re.compile(rb"(?i)pip(?!e)|requir|depend|deps$|package|librar|install|wheel|conda")
_OTHER_KEY = re.compile(rb"(?i)^(?:match|ignore|exclude|allow|known|tag)")
_LINE_KEY = re.compile(rb"[ \t]*(?:-[ \t]+)?[\"']?([\w.-]+)[\"']?[ \t]*[:=]")
_BRACKET_KEY = re.compile(rb"([\w.-]+)[\"']?[ \t]*[:=][ \t\r\n]*$")
_BY_NAME = re.compile(
    rb"\b(?:\w*[Pp]ackages|ps|pp|pypkgs|python3\d*)\.trl\b(?!\.)|\brequirement\(\s*['\"]trl['\"]\s*\)|//3rdparty[\w/]*:trl\b"
)
_BRACKET = re.compile(rb"[\[\]]")
_FARTHEST = 8000


def package_offsets(text: bytes) -> list[int]:
    """The byte offsets of `trl` in lists of packages that do not name orpo-compat, in order."""
    found: dict[int, int] = {}
    served: set[int] = set()
    for items in (_lines, _bracketed):
        found.update(items(text, _TRL))
        served.update(key for _, key in items(text, _OURS))
    offsets = {at for at, key in found.items() if key not in served}
    if not _named(text, rb"orpo[-_]compat"):
        offsets.update(match.start() for match in _BY_NAME.finditer(text))
    return sorted(offsets)


def report_packages(path: str, places: Places, told: frozenset[int] = frozenset()) -> list[Finding]:
    """A finding for each of them, but for those on the lines that are ``told``."""
    findings = []
    for offset in package_offsets(places.text):
        line, column = places.at(offset)
        if line not in told:
            message = f"Lists trl and not orpo-compat: {excerpt(places.text, offset)}"
            findings.append(Finding("OC120", path, line, column, message, "Add orpo-compat to the list by hand."))
    return findings


def _named(text: bytes, name: bytes) -> bool:
    return re.search(rb"(?<![\w-])" + name + rb"(?![\w-])", text) is not None


def _lines(text: bytes, name: bytes) -> Iterator[tuple[int, int]]:
    """Packages on lines of their own, `- trl` or indented: the offset, and that of the key above."""
    shape = rb"(?m)^(?P<indent>[ \t]*)(?P<dash>-[ \t]+)?(?P<q>['\"]?)(?P<name>" + name + rb")" + _REST
    for match in re.finditer(shape + rb"(?P=q)[ \t]*(?:#[^\r\n]*)?\r?$", text):
        if match["dash"] or match["indent"]:
            key = _key_above(text, match.start(), len(match["indent"]), dashed=bool(match["dash"]))
            if key is not None:
                yield match.start("name"), key


def _key_above(text: bytes, start: int, indent: int, *, dashed: bool) -> int | None:
    """The offset of the line that opens the list, if its key, or one above that, speaks of packages."""
    first = max(start - _FARTHEST, 0)
    end, opened = start, None
    while end > first and indent >= 0:
        begin = text.rfind(b"\n", 0, end - 1) + 1
        line = text[begin:end].rstrip()
        bare, end = line.lstrip(), begin
        deep = len(line) - len(bare)
        if not bare or bare.startswith(b"#"):
            continue
        if deep < indent or (dashed and deep == indent and not bare.startswith(b"-")):
            match = _LINE_KEY.match(line)
            if match is None or _OTHER_KEY.search(match[1]):
                return None
            opened = begin if opened is None else opened
            if _speaks(match[1]):
                return opened
            indent, dashed = deep, False
    return None


def _bracketed(text: bytes, name: bytes) -> Iterator[tuple[int, int]]:
    """Packages in brackets, `["trl", "peft"]`: the offset, and that of the bracket."""
    shape = rb"(?<=[\[,\s])(?P<q>['\"]?)(?P<name>" + name + rb")" + _REST + rb"(?P=q)(?=\s*(?:#[^\r\n]*\s*)?[,\]])"
    for match in re.finditer(shape, text):
        bracket = _open_bracket(text, match.start())
        key = _BRACKET_KEY.search(text, max(bracket - 200, 0), bracket) if bracket >= 0 else None
        if key is not None and _speaks(key[1]):
            yield match.start("name"), bracket


def _open_bracket(text: bytes, offset: int) -> int:
    """The bracket that is open at ``offset``; -1 when there is none near."""
    depth = 0
    for match in reversed(list(_BRACKET.finditer(text, max(offset - _FARTHEST, 0), offset))):
        depth += 1 if match.group() == b"]" else -1
        if depth < 0:
            return match.start()
    return -1


def _speaks(key: bytes) -> bool:
    return _KEY.search(key) is not None and _OTHER_KEY.search(key.rpartition(b".")[2]) is None
