"""Holds back the log lines of libraries, and of ours, whose content a command says in words of its own."""

from __future__ import annotations

import logging

_LOGGERS = (
    "orpo_compat.trainer", "orpo_compat.config", "orpo_compat.health_callback", "transformers.tokenization_utils_base",
)  # fmt: skip


class ToldInWords(logging.Filter):
    """A filter for lines that begin with one of the given texts.

    Args:
        beginnings: of the lines to hold back.
    """

    def __init__(self, beginnings: tuple[str, ...]) -> None:
        super().__init__()
        self.beginnings = beginnings

    def filter(self, record: logging.LogRecord) -> bool:
        """False for those lines."""
        return not str(record.msg).startswith(self.beginnings)

    def __enter__(self) -> None:
        """Hold them back within this block."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self)

    def __exit__(self, *exception: object) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self)
