"""A form feed in front of a line: Python counts the indentation after it, libcst's parser trips over it.

``without_form_feeds`` gives the text as Python reads it, for the parser alone; what it leaves out are blanks, so spans
can be carried back to the real text. Form feeds inside strings are content and stay.
"""

from __future__ import annotations

import io
import re
import tokenize

_INDENTED = re.compile(r"(?m)(?:^|(?<=\r))[ \t\f]*\f(?=[ \t]*[^\s#])")
_LINE_END = re.compile(r"\r\n|\r|\n")
_OPENS = frozenset({"FSTRING_START", "TSTRING_START"})
_CLOSES = frozenset({"FSTRING_END", "TSTRING_END"})


def without_form_feeds(text: str) -> str:
    """The text without form feeds in indentation, and without the blanks before them, which count for nothing.

    Text that Python's tokenizer refuses comes back as it is.
    """
    if "\f" not in text or not _INDENTED.search(text):
        return text
    try:
        quoted = _lines_in_strings(_LINE_END.sub("\n", text))
    except (tokenize.TokenError, SyntaxError):
        return text

    def shortened(match: re.Match[str]) -> str:
        line = len(_LINE_END.findall(text, 0, match.start())) + 1
        return match.group() if line in quoted else ""

    return _INDENTED.sub(shortened, text)


def _lines_in_strings(text: str) -> set[int]:
    """Numbers of the lines that begin inside a string."""
    lines: set[int] = set()
    open_since: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind in _OPENS:
            open_since.append(token.start[0])
        elif kind in _CLOSES:
            lines.update(range(open_since.pop() + 1, token.end[0] + 1))
        elif kind == "STRING":
            lines.update(range(token.start[0] + 1, token.end[0] + 1))
    return lines
