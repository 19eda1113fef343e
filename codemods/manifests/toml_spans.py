"""Where the keys and values of a TOML file lie, byte for byte.

tomlkit prints a document back well but does not say where anything stands, and an edit here is a span. This
scanner says where; whether an edited file is still the TOML it should be is asked of tomlkit afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANK = re.compile(rb"[ \t]*")
_FILLER = re.compile(rb"(?:[ \t\r\n]|#[^\r\n]*)*")
_BARE_KEY = re.compile(rb"[A-Za-z0-9_-]+")
_STRINGS = (
    re.compile(rb'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.DOTALL),
    re.compile(rb"'''.*?'''(?:'{0,2})", re.DOTALL),
    re.compile(rb'"(?:[^"\\\r\n]|\\.)*"'),
    re.compile(rb"'[^'\r\n]*'"),
)
_SCALAR = re.compile(rb"[^,\]}#\s]+(?:(?<=\d{4}-\d\d-\d\d) [0-9][^,\]}#\s]*)?")


class NotToml(ValueError):
    """The scanner lost its way; says at which byte."""


@dataclass(frozen=True)
class Value:
    """A value at `[start, end)`. Arrays hold `items`, inline tables hold `members`; strings hold `text`."""

    start: int
    end: int
    kind: str
    text: str = ""
    items: tuple[Value, ...] = ()
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Member:
    """A key and its value; `path` is the full path for a file's members, the key alone in inline tables."""

    path: tuple[str, ...]
    start: int
    value: Value


def read_toml(source: bytes) -> list[Member]:
    """Every `key = value` of the file with its full path, in file order.

    Raises:
        NotToml: at the first thing that is neither a table header, nor a key with a value, nor a comment.
    """
    scanner = _Scanner(source)
    members: list[Member] = []
    table: tuple[str, ...] = ()
    while not scanner.done():
        if scanner.peek() == b"[":
            table = scanner.header()
        else:
            member = scanner.member()
            members.append(Member(table + member.path, member.start, member.value))
    return members


class _Scanner:
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.at = 3 if source.startswith(b"\xef\xbb\xbf") else 0

    def done(self) -> bool:
        self._skip(_FILLER)
        return self.at >= len(self.source)

    def peek(self) -> bytes:
        return self.source[self.at : self.at + 1]

    def header(self) -> tuple[str, ...]:
        brackets = 2 if self.source.startswith(b"[[", self.at) else 1
        self.at += brackets
        path = self._key()
        for _ in range(brackets):
            self._take(b"]")
        return path

    def member(self) -> Member:
        self._skip(_BLANK)
        start = self.at
        path = self._key()
        self._take(b"=")
        return Member(path, start, self._value())

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            parts.append(self._key_part())
            self._skip(_BLANK)
            if self.peek() != b".":
                return tuple(parts)
            self.at += 1

    def _key_part(self) -> str:
        match = _BARE_KEY.match(self.source, self.at)
        if match:
            self.at = match.end()
            return match.group().decode()
        return self._string().text

    def _value(self) -> Value:
        self._skip(_BLANK)
        mark = self.peek()
        if mark == b"[":
            return self._array()
        if mark == b"{":
            return self._inline_table()
        if mark in (b'"', b"'"):
            return self._string()
        match = _SCALAR.match(self.source, self.at)
        if match is None or not match.group().strip():
            raise NotToml(f"no value at byte {self.at}")
        start, self.at = self.at, match.end()
        return Value(
            start, start + len(match.group().rstrip()), "scalar", match.group().strip().decode("utf-8", "replace")
        )

    def _array(self) -> Value:
        start = self.at
        self.at += 1
        items: list[Value] = []
        while True:
            self._skip(_FILLER)
            if self.peek() == b"]":
                self.at += 1
                return Value(start, self.at, "array", items=tuple(items))
            items.append(self._value())
            self._skip(_FILLER)
            if self.peek() == b",":
                self.at += 1
            elif self.peek() != b"]":
                raise NotToml(f"no comma in the array at byte {self.at}")

    def _inline_table(self) -> Value:
        start = self.at
        self.at += 1
        members: list[Member] = []
        while True:
            self._skip(_FILLER)
            if self.peek() == b"}":
                self.at += 1
                return Value(start, self.at, "table", members=tuple(members))
            members.append(self.member())
            self._skip(_FILLER)
            if self.peek() == b",":
                self.at += 1
            elif self.peek() != b"}":
                raise NotToml(f"no comma in the inline table at byte {self.at}")

    def _string(self) -> Value:
        for pattern in _STRINGS:
            match = pattern.match(self.source, self.at)
            if match:
                start, self.at = self.at, match.end()
                quotes = 3 if match.group()[:3] in (b'"""', b"'''") else 1
                inner = match.group()[quotes:-quotes].decode("utf-8", "replace")
                return Value(start, self.at, "string", inner)
        raise NotToml(f"no string at byte {self.at}")

    def _take(self, mark: bytes) -> None:
        self._skip(_BLANK)
        if self.peek() != mark:
            raise NotToml(f"expected {mark.decode()!r} at byte {self.at}")
        self.at += 1

    def _skip(self, pattern: re.Pattern[bytes]) -> None:
        match = pattern.match(self.source, self.at)
        self.at = match.end() if match else self.at
