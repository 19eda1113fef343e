"""Names as Python reads them: full-width letters, ligatures and their like spell the same identifiers.

Python compares identifiers in Unicode's form NFKC, where a full-width O is an O. ``spelt_out`` gives a text that a
search for a name can trust; it is for searching only, as its offsets are not the source's.
"""

from __future__ import annotations

import re
import unicodedata

#: UTF-8 of every character that stands for letters of the names searched for; a few others match too.
_STAND_INS = re.compile(
    rb"\xef(?:\xbc[\xa1-\xba\xbf]|\xbd[\x81-\x9a]|\xac[\x80-\x86]|\xb8[\xb3\xb4]|\xb9[\x8d-\x8f])|\xf0\x9d[\x90-\x9f]|\xf0\x90\x9e"
    rb"|\xe2(?:\x81[\xb1\xbf]|\x82[\x90-\x9c]|[\x84\x85\xb1])|\xe1(?:\xb4[\xac-\xbf]|[\xb5\xb6])"
    rb"|\xea\x9f[\xb2-\xb4]|\xc2[\xaa\xba]|\xca[\xb0-\xb8]|\xcb[\xa0-\xa4]|\xc5\xbf|\xc7[\x87-\x8c\xb1-\xb3]"
)
_ASCII = bytes(range(128))
_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")


def identifier(name: str) -> str:
    """The name that Python takes the identifier for."""
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def spelt_out(text: bytes) -> bytes:
    """The UTF-8 text with every stand-in written as the letters it stands for; ``text`` itself where there is none."""
    # Most text is ASCII: what is left without it is searched ten times faster.
    if text.isascii() or not _STAND_INS.search(text.translate(None, _ASCII)):
        return text
    plain = unicodedata.normalize("NFKC", text.decode("utf-8", "surrogateescape"))
    return plain.encode("utf-8", "surrogateescape")


def json_spelt_out(text: bytes) -> bytes:
    """Like ``spelt_out`` for JSON, where ASCII escapes can hide the characters."""
    if b"\\u" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)).encode("utf-8", "surrogatepass"), text)
    return spelt_out(text)
