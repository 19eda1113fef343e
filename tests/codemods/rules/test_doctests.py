"""Examples in docstrings, with --docs."""

from __future__ import annotations

from codemods.options import Options
from tests.codemods.checks import check_refuses, check_rewrites

DOCS = Options(docs=True)


def test_a_session_is_rewritten_behind_its_prompts() -> None:
    check_rewrites(
        'def f():\n    """\n    >>> from trl import ORPOConfig, SFTConfig\n    >>> import trl\n    >>> def g():\n'
        '    ...     return trl.ORPOTrainer\n    42\n    """\n',
        'def f():\n    """\n    >>> from trl import SFTConfig\n    >>> from orpo_compat import ORPOConfig\n'
        '    >>> import orpo_compat\n    >>> def g():\n    ...     return orpo_compat.ORPOTrainer\n    42\n    """\n',
        options=DOCS,
    )


def test_line_ends_of_the_docstring_are_kept() -> None:
    check_rewrites(
        '"""\r\n>>> from trl import ORPOConfig, X\r\n"""\r\n',
        '"""\r\n>>> from trl import X\r\n>>> from orpo_compat import ORPOConfig\r\n"""\r\n',
        options=DOCS,
    )


def test_prose_and_escapes_stay() -> None:
    check_refuses('"""\n>>> from trl import ORPOConfig; x = "\\\\n"\n"""\n', "OC118", options=DOCS)
    check_refuses('"""From trl.ORPOConfig.\n\n>>> 1\n1\n"""\n', "OC118", options=DOCS)


def test_statements_over_several_lines_keep_their_prompts() -> None:
    check_rewrites(
        'def f():\n    """\n    >>> from trl import (\n    ...     ORPOConfig,\n    ...     X)\n    """\n',
        'def f():\n    """\n    >>> from trl import (\n    ...     X)\n    >>> from orpo_compat import ORPOConfig\n'
        '    """\n',
        options=DOCS,
    )
    check_rewrites(
        '"""\n>>> from trl import (\n...     X,\n...     ORPOConfig,  # a\n...     ORPOTrainer,\n... )\n"""\n',
        '"""\n>>> from trl import (\n...     X,\n... )\n>>> from orpo_compat import (\n...     ORPOConfig,  # a\n'
        '...     ORPOTrainer,\n... )\n"""\n',
        options=DOCS,
    )


def test_a_statement_in_a_block_stays_behind_dots() -> None:
    check_rewrites(
        '"""\n>>> if x:\n...     from trl import ORPOTrainer, X\n"""\n',
        '"""\n>>> if x:\n...     from trl import X\n...     from orpo_compat import ORPOTrainer\n"""\n',
        options=DOCS,
    )
