"""Lists of packages in files of other tools: told by the key above them, silent once they hold orpo-compat."""

from __future__ import annotations

import pytest

from codemods.containers.package_lists import package_offsets
from codemods.discover import is_telling
from codemods.options import Options
from tests.codemods.containers.laws import lines_with, rewritten

LISTS = [
    ("cog.yaml", "build:\n  python_packages:\n    - torch\n    - {0}\n", '    - "orpo-compat"\n'),
    ("job.yaml", "runtime_env:\n  pip:\n  - {0}\n", "  - orpo-compat\n"),
    ("job.yaml", "runtime_env:\n  pip:\n    packages:\n      # ours\n      - {0}\n", "      - orpo-compat>=0.1\n"),
    ("meta.yaml", "requirements:\n  run:\n    - {0}\n", "    - orpo-compat\n"),
    ("conf.yaml", "x:\n- pip:\n  - {0}\n- y\n", ""),
    (".pre-commit-config.yaml", "hooks:\n- id: mypy\n  additional_dependencies: [peft, {0}]\n", ""),
    ("tox.toml", 'env_run_base.deps = [\n  "pytest",\n  "{0}",\n]\n', ""),
    ("app.json", '{{"dependencies": ["torch", "{0}"]}}\n', ""),
    ("pyproject.toml", '[tool.tox]\nlegacy_tox_ini = """\n[testenv]\ndeps =\n  {0}\n"""\n', ""),
    ("pyproject.toml", '[tool.cibuildwheel]\ntest-requires = ["{0}"]\n', ""),
    ("BUILD.bazel", 'py_library(deps = ["//x", requirement("{0}")])\n', ""),
    ("shell.nix", "ps: [ ps.torch ps.{0} ]\n", ""),
]


@pytest.mark.parametrize(("path", "text", "more"), LISTS)
def test_a_list_of_packages_is_told_until_it_holds_ours(path: str, text: str, more: str) -> None:
    source = text.format("trl").encode()
    line = source[: source.index(b"trl")].count(b"\n") + 1
    assert is_telling(path, source)
    done = rewritten(path, source, Options())
    assert lines_with(done, "OC120") == [line]
    assert not done.changed
    assert all("orpo-compat" in one.advice for one in done.findings)
    if more:
        head, tail = source[: source.index(b"trl")], source[source.index(b"trl") :]
        first, _, rest = tail.partition(b"\n")
        served = head + first + b"\n" + more.encode() + rest
        assert lines_with(rewritten(path, served, Options()), "OC120") == []


@pytest.mark.parametrize("spelt", ["trl==0.9.6", "trl[peft]>=0.8", "trl ~= 0.9", "'trl<0.29'"])
def test_versions_and_extras_do_not_hide_it(spelt: str) -> None:
    assert len(package_offsets(f"python_packages:\n  - {spelt}\n".encode())) == 1
    assert len(package_offsets(f"python_packages:\r\n  - {spelt}  # why\r\n".encode())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "library_name: trl\ntags:\n- trl\n- orpo\n",
        "python_packages:\n  - trlx\n",
        'packageRules: [{"matchPackageNames": ["trl"]}]\n',
        '{"packageRules": [{"matchPackageNames": ["trl"]}]}\n',
        "jobs:\n  - trl\n",
        "loggers:\n  keys = trl\n",
        '[tool.ruff.lint.isort]\nknown-third-party = ["trl"]\n',
        "ignore:\n  - trl\n",
        "- trl\n",
        "pipeline: [trl]\n",
    ],
)
def test_other_lists_are_not_told(text: str) -> None:
    assert package_offsets(text.encode()) == []


def test_two_lists_are_two_environments() -> None:
    text = b"a:\n  pip:\n    - trl\n    - orpo-compat\nb:\n  pip:\n    - trl\n"
    assert [text.count(b"\n", 0, at) + 1 for at in package_offsets(text)] == [7]
