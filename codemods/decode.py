"""Bytes on disk to text, and offsets back again.

The parser works on UTF-8 without a byte order mark; edits are made on the bytes as they lie on disk. ``Decoded``
holds both and translates. A file whose bytes do not survive decode and encode is refused, whatever it says its
encoding is.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import cached_property

from codemods.errors import UnreadableSource

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"^[ \t\f]*(?:#.*)?$")
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Decoded:
    """One file, as text and as bytes. Offsets into ``utf8`` are what the rest of the package speaks."""

    raw: bytes
    text: str
    encoding: str
    bom: bytes

    @cached_property
    def utf8(self) -> bytes:
        """The text in UTF-8, without a byte order mark."""
        return self.text.encode("utf-8")

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offset of the first byte of each line; CR, LF and CRLF end a line, nothing else does."""
        return (0, *(match.end() for match in _LINE_END.finditer(self.utf8)))

    @cached_property
    def eol(self) -> str:
        """The line end to use where there is none to copy: the first one of the file, or a line feed."""
        match = _LINE_END.search(self.utf8)
        return match.group().decode() if match else "\n"

    def to_raw(self, offset: int) -> int:
        """Offset in the file's bytes of an offset in ``utf8``."""
        if self.encoding == "utf-8":
            return offset + len(self.bom)
        return len(self.bom) + len(self.utf8[:offset].decode("utf-8").encode(self.encoding))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column (1-based, columns in characters) of an offset in ``utf8``."""
        low, high = 0, len(self.line_starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.line_starts[middle] <= offset else (low, middle)
        start = self.line_starts[low]
        return low + 1, len(self.utf8[start:offset].decode("utf-8", "replace")) + 1

    def line_end(self, offset: int) -> int:
        """Offset of the line end (or of the end of the text) at or after ``offset``."""
        match = _LINE_END.search(self.utf8, offset)
        return match.start() if match else len(self.utf8)

    def eol_at(self, offset: int) -> str:
        """The line end of the line that holds ``offset``."""
        match = _LINE_END.search(self.utf8, offset)
        return match.group().decode() if match else self.eol


def declared_encoding(raw: bytes) -> str:
    """Name of the encoding by byte order mark or PEP 263 cookie, as Python reads it; UTF-8 otherwise."""
    lines = _LINE_END.split(raw.removeprefix(codecs.BOM_UTF8), maxsplit=2)[:2]
    for line in lines:
        if match := _COOKIE.match(line):
            return match.group(1).decode("ascii", "replace")
        if not _BLANK.match(line):
            break
    return "utf-8"


def decoded(raw: bytes) -> Decoded:
    """Decode a Python file.

    Raises:
        UnreadableSource: unknown encoding, undecodable bytes, or bytes that would not come back the same.
    """
    bom = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    name = declared_encoding(raw)
    try:
        encoding = codecs.lookup(name).name
        text = raw[len(bom) :].decode(encoding)
        if bom + text.encode(encoding) != raw:
            raise UnreadableSource(f"its bytes do not survive a round trip through {name}")
    except LookupError:
        raise UnreadableSource(f"it declares the unknown encoding {name!r}") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UnreadableSource(f"it is not {name}: byte {raw[error.start]:#04x}", line) from None
    except UnicodeError as error:
        raise UnreadableSource(f"it is not {name}: {error}") from None
    if bom and encoding != "utf-8":
        raise UnreadableSource(f"it has a UTF-8 byte order mark and declares {name}")
    return Decoded(raw, text, encoding, bom)
