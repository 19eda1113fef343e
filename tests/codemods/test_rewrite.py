"""Laws that hold for any module: run it, rewrite it, run it again; there, back, and twice.

``--hypothesis-profile=thorough`` (see ``conftest.py``) makes up 5,000 modules for each law instead of 100.
"""

from __future__ import annotations

import codecs
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orpo_compat
from codemods.edits import splice
from codemods.mentions import mentions
from codemods.options import Direction, Options
from codemods.rewrite import invert, rewrite
from tests.codemods.checks import check_noop, check_refuses, check_rewrites, parses
from tests.codemods.generated import modules, outcome, world

many = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(modules())
def test_a_rewritten_module_does_what_it_did(source: bytes) -> None:
    done = rewrite(source)
    with world():
        assert outcome(done.result) == outcome(source)


@many
@given(modules())
def test_rewriting_is_idempotent_and_has_an_exact_inverse(source: bytes) -> None:
    done = rewrite(source)
    again = rewrite(done.result)
    assert again.result is again.source
    assert splice(done.result, invert(done)) == source
    assert parses(done.result)


@many
@given(modules())
def test_no_comment_and_no_line_end_is_lost_or_invented(source: bytes) -> None:
    result = rewrite(source).result
    before, after = _comments(source), _comments(result)
    assert not before - after
    assert set(after) == set(before)
    ends = set(re.findall(rb"\r\n|\r|\n", result))
    assert len(ends) <= 1
    assert result.startswith(codecs.BOM_UTF8) == source.startswith(codecs.BOM_UTF8)


@many
@given(modules())
def test_what_still_mentions_trls_orpo_is_in_the_report(source: bytes) -> None:
    done = rewrite(source)
    reported = {finding.line for finding in done.findings}
    for mention in mentions(source, "trl"):
        if mention.exact and not any(edit.start < mention.end and mention.start < edit.end for edit in done.edits):
            assert len(re.findall(rb"\r\n|\r|\n", source[: mention.start])) + 1 in reported


@many
@given(modules(), st.sampled_from(["trl", "trl.experimental.orpo", "auto"]))
def test_the_way_back_by_rule_means_the_same(source: bytes, to: str) -> None:
    done = rewrite(source)
    back = rewrite(done.result, direction=Direction.REVERSE, to=to)
    with world():
        assert outcome(back.result) == outcome(source)
    assert done.result is source or b"orpo_compat" not in back.result


@many
@given(modules(), st.sampled_from([Options(strings=True), Options(modernize=True), Options(docs=True)]))
def test_wider_options_mean_the_same_too(source: bytes, options: Options) -> None:
    done = rewrite(source, options=options)
    with world():
        assert outcome(done.result) == outcome(source)
    assert rewrite(done.result, options=options).changed is False


def test_a_swap_reverses_to_the_very_bytes() -> None:
    for source in (b"from trl import ORPOTrainer as T  # x\n", b"import trl as t\r\nt.ORPOConfig()\r\n"):
        assert rewrite(rewrite(source).result, direction=Direction.REVERSE, to="trl").result == source


def test_the_way_back_is_not_open_to_a_name_that_becomes_a_class() -> None:
    source = b"from orpo_compat import ORPOConfig as trl\nimport orpo_compat\nx = orpo_compat.ORPOTrainer\n"
    once = rewrite(source, direction=Direction.REVERSE, to="trl")
    assert once.result == source.replace(b"from orpo_compat", b"from trl")
    assert "OC110" in {finding.code for finding in once.findings}
    assert not rewrite(once.result, direction=Direction.REVERSE, to="trl").changed


def test_a_result_that_parses_and_would_not_compile_is_not_written() -> None:
    source = b"import orpo_compat\nprint(orpo_compat.ORPOTrainer)\nglobal trl\n"
    done = rewrite(source, direction=Direction.REVERSE, to="trl")
    assert done.result is source
    assert [finding.code for finding in done.findings] == ["OC115"]


def test_the_way_back_goes_where_the_release_has_the_classes() -> None:
    def back(release: str | None) -> bytes:
        options = Options(trl_version=release)
        source = b"from orpo_compat import ORPOConfig, PreferenceCollator\n"
        return rewrite(source, options=options, direction=Direction.REVERSE, to="auto").result

    kept = b"from orpo_compat import PreferenceCollator\n"
    assert back("0.24.0") == kept + b"from trl import ORPOConfig\n"
    assert back("1.16.0") == back(None) == back("main") == kept + b"from trl.experimental.orpo import ORPOConfig\n"
    with pytest.raises(ValueError, match="TRL has had both classes in trl, "):
        rewrite(b"import orpo_compat", direction=Direction.REVERSE, to="trl.experimental")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            codecs.BOM_UTF8 + b"from trl import ORPOConfig, X\r\n",
            codecs.BOM_UTF8 + b"from trl import X\r\nfrom orpo_compat import ORPOConfig\r\n",
        ),
        (
            "# coding: shift_jis\nx='\u65e5'; from trl import ORPOConfig, X  # \u672c\n".encode("shift_jis"),
            "# coding: shift_jis\nx='\u65e5'; from trl import X; from orpo_compat import ORPOConfig  # \u672c\n".encode(
                "shift_jis"
            ),
        ),
        (b"from trl import ORPOConfig, X\r", b"from trl import X\rfrom orpo_compat import ORPOConfig\r"),
        (
            b"a\nfrom trl import X, ORPOConfig\r\nb\n",
            b"a\nfrom trl import X\r\nfrom orpo_compat import ORPOConfig\r\nb\n",
        ),
        (b"from trl import ORPOConfig\n\n \t\n", b"from orpo_compat import ORPOConfig\n\n \t\n"),
        (b"\x0cfrom trl import ORPOConfig, X\n", b"\x0cfrom trl import X\nfrom orpo_compat import ORPOConfig\n"),
        (
            b"if a:\n\x0c  from trl import ORPOConfig, X",
            b"if a:\n\x0c  from trl import X\n  from orpo_compat import ORPOConfig",
        ),
        (
            "s = '\U0001f600'; import trl; trl.ORPOConfig\n".encode(),
            "s = '\U0001f600'; import orpo_compat; orpo_compat.ORPOConfig\n".encode(),
        ),
    ],
)
def test_bytes_that_are_not_edited_stay_whatever_they_are(before: bytes, after: bytes) -> None:
    check_rewrites(before, after)


@pytest.mark.parametrize(
    "source",
    [
        "from trl import ORPOTrainer\n".encode("utf-16"),
        "from trl import ORPOTrainer\n".encode("utf-32-be"),
        b"x = '\xff'\nfrom trl import ORPOTrainer\n",
        b"# coding: klingon\nfrom trl import ORPOTrainer\n",
        codecs.BOM_UTF8 + b"# coding: latin-1\nfrom trl import ORPOTrainer\n",
        b"print 'x'\nfrom trl import ORPOTrainer\n",
        b"from trl import ORPOTrainer\n" + b"(" * 3000 + b"\n",
        b"# coding: utf-7\nfrom trl import ORPOTrainer # +AGE-\n",
    ],
)
def test_what_cannot_be_read_is_left_alone_and_reported(source: bytes) -> None:
    check_refuses(source, "OC115")


@pytest.mark.parametrize("source", [b"", b"\n", b"\0", b"import trl\n", b"ORPOTrainer\n", "x = 1\n".encode("utf-16")])
def test_a_file_that_says_not_both_words_is_the_same_object(source: bytes) -> None:
    check_noop(source)


def test_a_broken_line_is_named() -> None:
    done = rewrite(b"import os\n\nfrom trl import ORPOTrainer\nx = = 1\n")
    assert [(finding.code, finding.line) for finding in done.findings] == [("OC115", 4)]


def test_libcst_is_loaded_by_the_first_file_that_matters_and_no_earlier() -> None:
    program = (
        "import sys\nfrom codemods.rewrite import rewrite\nfrom codemods.options import Options\n"
        "rewrite(b'import os')\nrewrite(b'from trl import SFTTrainer\\nclass ORPOTrainer: ...')\n"
        "assert 'libcst' not in sys.modules\n"
        "rewrite(b'from trl import ORPOTrainer')\nassert 'libcst' in sys.modules\n"
    )
    root = Path(orpo_compat.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)


@pytest.mark.slow
def test_nothing_in_the_installed_packages_is_edited() -> None:
    site = Path(pytest.__file__).parents[1]
    edited = []
    for path in sorted(site.rglob("*.py")):
        if path.is_relative_to(Path(orpo_compat.__file__).parent):
            continue
        source = path.read_bytes()
        done = rewrite(source, path=str(path))
        if done.changed:
            edited.append(path)
        else:
            assert done.result is source
    assert edited == []


def _comments(source: bytes) -> Counter[str]:
    """Comments as Python's own tokenizer sees them, in files it can read."""
    text = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    tokens = tokenize.tokenize(io.BytesIO(text).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)
