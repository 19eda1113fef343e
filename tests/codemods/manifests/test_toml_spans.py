"""Where things lie in TOML: tomlkit is the oracle for what they say."""

from __future__ import annotations

from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from codemods.containers import rewrite_file
from codemods.manifests.toml_spans import Member, NotToml, Value, read_toml
from codemods.options import Options
from tests.codemods.containers.laws import rewritten

SAMPLE = '''\
# comment [not.a.table]
title = "a \\"quoted\\" ] string" # c
'quoted key'."dotted.part" = 1

[ table . "with space" ]
array = [ "x", # "no"
  'y]', """multi
line""",
  [1, 2.5, 0x1F], { k = "v", n = [true] },
]
date = 1979-05-27T07:32:00-08:00
empty = []
[[products]]
name = \'\'\'raw \\ "text"\'\'\'
[[products]]
'''


def plain(value: Value, source: bytes) -> Any:
    """A value with strings and structure; other scalars as they are written."""
    if value.kind == "array":
        return [plain(item, source) for item in value.items]
    if value.kind == "table":
        return {".".join(member.path): plain(member.value, source) for member in value.members}
    return tomlkit.parse("x = " + source[value.start : value.end].decode()).unwrap()["x"]


def found(members: list[Member], source: bytes) -> dict[tuple[str, ...], Any]:
    return {member.path: plain(member.value, source) for member in members}


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_every_value_is_found_where_it_stands(eol: str) -> None:
    source = SAMPLE.replace("\n", eol).encode()
    parsed: Any = tomlkit.parse(source.decode()).unwrap()
    table = parsed["table"]["with space"]
    assert found(read_toml(source), source) == {
        ("title",): parsed["title"],
        ("quoted key", "dotted.part"): 1,
        ("table", "with space", "array"): table["array"],
        ("table", "with space", "date"): table["date"],
        ("table", "with space", "empty"): [],
        ("products", "name"): parsed["products"][0]["name"],
    }


@pytest.mark.parametrize(
    "text", ["x", "x =", "[x", 'x = "', "x = [1 2]", "x = {a = 1 b = 2}", "= 1", "x = [1,", 'x = """']
)
def test_what_is_not_toml_is_refused(text: str) -> None:
    with pytest.raises(NotToml):
        read_toml(text.encode())


REQUIREMENTS = st.sampled_from(
    ["trl", "trl<0.26", "trl[peft]>=0.8 ; python_version < '3.12'", "torch", "trlx", "x-trl>=1"]
)
LISTS = st.lists(REQUIREMENTS, max_size=4, unique_by=lambda text: text.split("[")[0].split("<")[0])


@st.composite
def arrays(draw: st.DrawFn) -> tuple[list[str], str]:
    """A list of requirements and one of the ways to write it."""
    items = draw(LISTS)
    quote = draw(st.sampled_from(['"', "'"])) if not any("'" in item for item in items) else '"'
    written = [f"{quote}{item}{quote}" for item in items]
    shape = draw(st.sampled_from(["line", "lines", "lines, no last comma", "tight", "comments"]))
    if shape == "line":
        return items, f"[ {', '.join(written)} ]"
    if shape == "tight" or not written:
        return items, f"[{','.join(written)}]"
    if shape == "comments":
        return items, "[  # first\n" + "".join(f'    {one},  # c ] " x\n' for one in written) + "  # last\n]"
    last = "" if shape.endswith("no last comma") else ","
    return items, "[\n\t" + ",\n\t".join(written) + last + "\n]"


@settings(max_examples=120, deadline=None)
@given(arrays(), arrays(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_tomlkit_sees_the_intended_change_and_no_other(
    first: tuple[list[str], str], second: tuple[list[str], str], eol: str, drop: bool
) -> None:
    text = f"[project]\nname = 'x'\ndependencies = {first[1]}\n\n[dependency-groups]\ndev = {second[1]}\n"
    text += "[tool.x]\ny = [1]\n"
    source = text.replace("\n", eol).encode()
    done = rewritten("pyproject.toml", source, Options(deps=True, drop_trl=drop))
    after: Any = tomlkit.parse(done.result.decode()).unwrap()
    assert after["project"]["dependencies"] == expected(first[0], drop)
    assert after["dependency-groups"]["dev"] == expected(second[0], drop)
    assert (after["project"]["name"], after["tool"]) == ("x", {"x": {"y": [1]}})
    assert not rewrite_file("pyproject.toml", source, Options()).changed


def expected(items: list[str], drop: bool) -> list[str]:
    """The list after the swap, by the rule in words: beside trl or in its place, under its marker."""
    result: list[str] = []
    for item in items:
        ours = "orpo-compat>=0.1" + (" ; python_version < '3.12'" if ";" in item else "")
        is_trl = item.split("[")[0].split("<")[0] == "trl"
        result += [*([] if is_trl and drop else [item]), *([ours] if is_trl else [])]
    return result
