"""``disable_dropout`` as an argument: true, false, or ``base``, in Python, YAML and on a command line.

transformers' parser knows booleans and it knows choices, but no argument that is either. ``Dropout`` is the type it
converts text with, ``DropoutAction`` keeps the two flags that a boolean would have had. What dropout is switched off is
the trainer's business.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    Dropout: TypeAlias = bool | Literal["base"]
else:

    class Dropout:
        """A boolean or ``base``; calling it converts text."""

        def __new__(cls, value):
            return as_dropout(value)


_WORDS: dict[str, bool | Literal["base"]] = {
    **dict.fromkeys(("true", "yes", "on", "1", "t", "y"), True),
    **dict.fromkeys(("false", "no", "off", "0", "f", "n"), False),
    "base": "base",
}


def as_dropout(value: object) -> bool | Literal["base"]:
    """Read one value of ``disable_dropout``.

    Raises:
        ValueError: neither a boolean nor ``base``.
    """
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise ValueError(f"disable_dropout={value!r} is none of True, False, 'base'")
    return _WORDS[word]


class DropoutAction(argparse.Action):
    """``--disable_dropout [VALUE]`` sets the value, or true; ``--no_disable_dropout`` sets false."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, False if (option_string or "").startswith("--no") else values)
