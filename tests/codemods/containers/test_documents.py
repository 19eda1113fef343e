"""Pages that show code: `docs` changes statements inside examples; without it each of them is reported."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codemods.containers import rewrite_file
from codemods.containers.fences import is_python
from codemods.findings import Severity
from codemods.options import Options
from codemods.rewrite import rewrite
from tests.codemods.containers.laws import codes, lines_with, rewritten

DOCS = Options(docs=True)
LINE = "from trl import ORPOConfig, ORPOTrainer"
MOVED = "from orpo_compat import ORPOConfig, ORPOTrainer"


def check_rewrites(path: str, before: str, after: str) -> None:
    """`after` with --docs; without it the same bytes and a report."""
    assert rewritten(path, before.encode(), DOCS).result.decode() == after
    kept = rewritten(path, before.encode())
    assert not kept.changed
    assert "OC118" in codes(kept)


@pytest.mark.parametrize(
    "page",
    [
        "```python\n{}\n```\n",
        "```py\n{}\n```\n",
        "~~~python\n{}\n~~~\n",
        "````python\n{}\n````\n",
        "``` python\n{}\n```",
        "```Python\n{}\n```\n",
        '```python title="train.py" linenums="1" hl_lines="1 2"\n{}\n```\n',
        "```python:train.py\n{}\n```\n",
        "```{{python}}\n{}\n```\n",
        "```{{python, echo=FALSE}}\n{}\n```\n",
        "```{{.python .numberLines}}\n{}\n```\n",
        "```{{code-cell}} ipython3\n:tags: [hide]\n{}\n```\n",
        "```{{code-block}} python\n{}\n```\n",
        "- item\n\n  ```python\n  {}\n  ```\n",
        "1. item\n   ```python\n   {}\n   ```\n",
        "\t```python\n\t{}\n\t```\n",
        "> quoted\n> ```python\n> {}\n> ```\n",
        "<details>\n\n```python\n{}\n```\n\n</details>\n",
        "```python\n{}",
        "```\n{}\n```\n",
        "```python\r\n{}\r\n```\r\n",
        "```ipython\n!ls\n{}\n```\n",
        "---\ntitle: x\n---\n\n```python\n#| echo: false\n{}\n```\n",
    ],
)
def test_fences_of_every_make_keep_their_frame(page: str) -> None:
    check_rewrites("README.md", page.format(LINE), page.format(MOVED))


@pytest.mark.parametrize("suffix", ["md", "mdx", "qmd", "Rmd", "markdown"])
def test_all_markdown_dialects_are_read(suffix: str) -> None:
    check_rewrites(f"docs/page.{suffix}", f"```python\n{LINE}\n```\n", f"```python\n{MOVED}\n```\n")


@pytest.mark.parametrize(
    "page",
    [
        ".. code-block:: python\n\n   {}\n",
        ".. code-block:: python\n   :linenos:\n   :caption: x\n\n   {}\n\nText.\n",
        ".. code:: python3\n\n    {}\n",
        ".. sourcecode:: python\n\n  {}\n",
        ".. testcode::\n\n   {}\n",
        ".. code-block:: pycon\n\n   >>> {}\n   1\n",
        "Text.\n\n>>> {}\n>>> 1\n1\n",
        "- item\n\n  .. code-block:: python\n\n     {}\n",
        ".. code-block:: python\r\n\r\n   {}\r\n",
    ],
)
def test_restructured_text_keeps_its_frame(page: str) -> None:
    check_rewrites("docs/index.rst", page.format(LINE), page.format(MOVED))


def test_a_new_line_takes_the_frame_of_its_neighbour() -> None:
    page = "- a\n  ```python\n  {}\n  x = 1\n  ```\n> ```py\n> {}\n> ```\n"
    mixed = "from trl import ORPOTrainer, SFTTrainer"
    listed, quoted = (
        "from trl import SFTTrainer\n" + mark + "from orpo_compat import ORPOTrainer" for mark in ("  ", "> ")
    )
    check_rewrites("a.md", page.format(mixed, mixed), page.format(listed, quoted))


def test_a_new_statement_in_a_session_gets_its_own_prompt() -> None:
    before = ">>> from trl import (\n...     ORPOTrainer,\n...     SFTTrainer,\n... )\n>>> SFTTrainer\nSFTTrainer\n"
    after = (
        ">>> from trl import (\n...     SFTTrainer,\n... )\n>>> from orpo_compat import ORPOTrainer\n"
        ">>> SFTTrainer\nSFTTrainer\n"
    )
    check_rewrites("a.rst", before, after)
    check_rewrites("a.md", f"```pycon\n{before}```\n", f"```pycon\n{after}```\n")


def test_a_local_import_in_a_session_keeps_its_dots() -> None:
    before = ">>> def f():\n...     from trl import ORPOTrainer, SFTTrainer\n...     return ORPOTrainer\n"
    after = before.replace(
        "from trl import ORPOTrainer, SFTTrainer",
        "from trl import SFTTrainer\n...     from orpo_compat import ORPOTrainer",
    )
    check_rewrites("a.rst", before, after)


def test_output_of_a_session_is_not_code() -> None:
    page = b">>> print(text)\nfrom trl import ORPOTrainer\n"
    done = rewritten("a.rst", page, DOCS)
    assert not done.changed
    assert lines_with(done, "OC118") == [2]


def test_a_block_lives_on_the_imports_above_it() -> None:
    before = "```python\nimport trl\n```\nthen\n```python\nt = trl.ORPOTrainer()\n```\n"
    check_rewrites("a.md", before, before.replace("trl", "orpo_compat"))


def test_blocks_with_imports_of_their_own_do_not_mix() -> None:
    keeps = "```python\nimport trl\ntrl.SFTTrainer()\n```\n"
    moves = "```python\nimport trl\ntrl.ORPOTrainer()\n```\n"
    check_rewrites("a.md", keeps + moves, keeps + moves.replace("trl", "orpo_compat"))


@pytest.mark.parametrize("language", ["bash", "yaml", "json", "text", "console", "toml", "diff", "r"])
def test_other_languages_are_reported_only(language: str) -> None:
    page = f"```{language}\nfrom trl import ORPOTrainer\n```\n".encode()
    done = rewritten("a.md", page, DOCS)
    assert not done.changed
    assert lines_with(done, "OC118") == [2]


@pytest.mark.parametrize(
    "prose",
    [
        "Use :class:`trl.ORPOTrainer`.",
        "See [`trl.ORPOConfig`].",
        "[[autodoc]] experimental.orpo.ORPOTrainer",
        "`from trl import ORPOTrainer` is gone.",
        "    from trl import ORPOTrainer",
        "<pre>from trl import ORPOTrainer</pre>",
    ],
)
@pytest.mark.parametrize("path", ["a.md", "a.rst"])
def test_prose_is_reported_as_good_to_know(prose: str, path: str) -> None:
    done = rewritten(path, f"Title\n\n{prose}\n".encode(), DOCS)
    assert not done.changed
    assert [(finding.code, finding.line, finding.severity) for finding in done.findings] == [
        ("OC118", 3, Severity.INFO)
    ]


def test_a_fence_that_is_not_python_after_all_is_reported() -> None:
    page = b"```python\nfrom trl import ORPOTrainer\ntrainer = ORPOTrainer(model, ..., <args>)\n```\n"
    done = rewritten("a.md", page, DOCS)
    assert not done.changed
    assert lines_with(done, "OC118") == [2]


def test_every_edited_line_is_named_when_docs_are_left_alone() -> None:
    page = b"```python\nimport trl\nx = 1\nt = trl.ORPOTrainer()\n```\n"
    kept = rewritten("a.md", page)
    assert lines_with(kept, "OC118") == [2, 4]
    assert all("--docs" in finding.advice for finding in kept.findings)


def test_pip_lines_are_reported() -> None:
    done = rewritten("a.md", b"```bash\npip install 'trl<0.29' peft\n```\n\nORPO\n", DOCS)
    assert lines_with(done, "OC120") == [2]


def test_a_page_in_another_encoding_is_reported() -> None:
    done = rewritten("a.md", "Gr\u00f6\u00dfe: trl.ORPOTrainer\n".encode("latin-1"), DOCS)
    assert not done.changed
    assert codes(done) == ["OC115"]


@pytest.mark.parametrize("path", ["a.md", "a.rst"])
def test_a_page_without_orpo_is_not_spoken_of(path: str) -> None:
    page = b"```python\nfrom trl import SFTTrainer\n```\n\n.. code:: python\n\n   import trl\n\n>>> import trl\n"
    done = rewritten(path, page, DOCS)
    assert not done.changed
    assert codes(done) == []


@pytest.mark.parametrize(
    ("info", "python"),
    [("python", True), ("{python}", True), ("", None), ("bash", False), ("{code-cell}", False), ("pytb", False)],
)
def test_info_strings(info: str, python: bool | None) -> None:
    assert is_python(info) is python


STATEMENTS = [
    "from trl import ORPOTrainer, SFTTrainer",
    "import trl\n\nt = trl.ORPOTrainer()",
    "x = '\u00e9'",
    "import trl as t\nt.ORPOConfig()",
]
FRAMES = ["", "  ", "> ", "\t", "    "]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=3).map("\n".join), st.sampled_from(FRAMES)
        ),
        max_size=4,
    ),
    st.sampled_from(["\n", "\r\n"]),
)
def test_each_fence_becomes_what_the_rules_make_of_it(blocks: list[tuple[str, str]], eol: str) -> None:
    """Every block imports what it uses, or nothing of TRL's, so each stands for itself."""

    def page(moved: bool) -> bytes:
        parts = []
        for text, frame in blocks:
            code = rewrite(text.encode()).result.decode() if moved else text
            framed = "".join(f"{frame}{line}\n" for line in code.split("\n"))
            parts.append(f"{frame}```python\n{framed}{frame}```\n\nText \u00fc.\n\n")
        return "".join(parts).replace("\n", eol).encode()

    assert rewritten("a.md", page(moved=False), DOCS).result == page(moved=True)


def test_sentences_about_trls_orpo_are_told_and_others_are_not() -> None:
    page = b"TRL has an `ORPOTrainer`.\nOur ORPOTrainer is not it.\nUse the ORPO trainer of\nTRL.\nORPOConfig (trl)\n"
    done = rewrite_file("a.md", page, Options())
    assert [(one.code, one.line, one.severity) for one in done.findings] == [
        ("OC118", 1, Severity.INFO),
        ("OC118", 5, Severity.INFO),
    ]
