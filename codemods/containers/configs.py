"""Configuration files that name TRL's ORPO classes by dotted path, as Hydra, gin or an entry point do.

A scalar that is such a path and nothing else can be edited when asked, by its module part alone; every
other mention is reported. Anchors, comments, quotes and order are never in danger: nothing is printed back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Literal

import yaml

from codemods.containers.installs import report_installs
from codemods.containers.mentions import DOTTED, MODULE, excerpt, report_mentions
from codemods.containers.package_lists import report_packages
from codemods.containers.recipes import report_frameworks, report_loss_type, report_recipe
from codemods.containers.task import Task
from codemods.edits import Edit
from codemods.findings import Finding
from codemods.manifests.formats import format_of
from codemods.manifests.listing import read_listing
from codemods.manifests.toml_spans import NotToml, Value, read_toml
from codemods.rewrite import Rewrite

_OURS = re.compile(rb"(?<![\w.])(orpo_compat)([.:])(ORPOTrainer|ORPOConfig)(?!\w)")
_JSON_STRING = re.compile(rb'"(?:[^"\\\r\n]|\\.)*"')
_ENV_VALUE = re.compile(
    rb"(?m)^[ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*[=:][ \t]*(?P<value>[^\r\n]*?)[ \t]*(?:[ \t]#[^\r\n]*)?\r?$"
)
_SPLIT = re.compile(rb"(?<![\w.-])ORPO(?:Trainer|Config)(?![\w.-])")
_MODULE_ALONE = re.compile(rb"(?:^|(?<=[\s\"'=:]))" + MODULE + rb"(?=[\s\"',]|$)")


def rewrite_yaml(task: Task) -> Rewrite:
    """A YAML file of any number of documents."""
    return _rewrite(task, _yaml_scalars, "yaml")


def rewrite_json(task: Task) -> Rewrite:
    """A JSON file, comments allowed."""
    return _rewrite(task, lambda source: (match.span() for match in _JSON_STRING.finditer(source)), "json")


def rewrite_toml(task: Task) -> Rewrite:
    """A TOML file that is no dependency list."""
    return _rewrite(task, _toml_scalars)


def rewrite_dotenv(task: Task) -> Rewrite:
    """An environment, ini or properties file."""
    return _rewrite(task, lambda source: (match.span("value") for match in _ENV_VALUE.finditer(source)))


def rewrite_dependency_list(task: Task) -> Rewrite:
    """A dependency list, which may name ORPO's classes as well, as an entry point or a tool's setting does."""
    from codemods.manifests.edit import rewrite_manifest

    suffix = PurePosixPath(task.path).suffix.lower()
    named = {".toml": rewrite_toml, ".yml": rewrite_yaml, ".yaml": rewrite_yaml}.get(suffix, rewrite_dotenv)(task)
    listed = rewrite_manifest(task)
    return task.result(named.edits + listed.edits, named.findings + listed.findings)


def _rewrite(
    task: Task, scalars: Callable[[bytes], Iterator[tuple[int, int]]], recipe: Literal["yaml", "json"] | None = None
) -> Rewrite:
    pattern = DOTTED if task.forward else _OURS
    target = b"orpo_compat" if task.forward else task.to.encode()
    edits = [
        Edit(match.start(1), match.end(1), match[1], target, "config")
        for start, end in scalars(task.source)
        for match in _whole(pattern, task.source, start, end)
        if not task.shadowed
    ]
    if not task.forward:
        return task.result(tuple(edits) if task.options.configs else (), ())
    findings = _suggestions(task, edits) if not task.options.configs else []
    places = task.places
    told = {places.at(edit.start)[0] for edit in edits} | {finding.line for finding in findings}
    findings += report_mentions(
        task.path,
        task.places,
        code="OC119",
        message="A configuration mentions TRL's ORPO: {mention}",
        advice="Write orpo_compat in place of TRL's module by hand.",
        told=told,
    )
    findings += _split_paths(task, told | {finding.line for finding in findings})
    findings += report_frameworks(task.path, task.places) + report_loss_type(task.path, task.places)
    findings += report_installs(task.path, task.places)
    findings += report_packages(task.path, task.places, _listed_lines(task))
    if recipe is not None:
        findings += report_recipe(task.path, task.places, recipe)
    return task.result(tuple(edits) if task.options.configs else (), tuple(findings))


def _listed_lines(task: Task) -> frozenset[int]:
    """Lines of a dependency list whose entries are told, and edited, by the code that knows the format."""
    kind = format_of(task.path)
    entries = read_listing(kind, task.source).entries if kind is not None else ()
    return frozenset(task.places.at(entry.start)[0] for entry in entries)


def _suggestions(task: Task, edits: list[Edit]) -> list[Finding]:
    places = task.places
    findings = []
    for edit in edits:
        line, column = places.at(edit.start)
        message = f"A configuration names TRL's ORPO: {excerpt(task.source, edit.start)}"
        advice = f"Write orpo_compat in place of {edit.old.decode()}; --configs does."
        findings.append(Finding("OC119", task.path, line, column, message, advice))
    return findings


def _split_paths(task: Task, told: set[int]) -> Iterator[Finding]:
    """Module and class under two keys, such as `module: trl.trainer` with `class: ORPOConfig`."""
    if _MODULE_ALONE.search(task.source) is None:
        return
    places = task.places
    for match in _SPLIT.finditer(task.source):
        line, column = places.at(match.start())
        if line not in told:
            told.add(line)
            message = f"{match.group().decode()} stands beside a key that names a module of TRL."
            advice = "If the two make one import, write orpo_compat for the module by hand."
            yield Finding("OC119", task.path, line, column, message, advice)


def _whole(pattern: re.Pattern[bytes], source: bytes, start: int, end: int) -> Iterator[re.Match[bytes]]:
    """The dotted path that is all a scalar holds, apart from quotes and gin's marks."""
    for match in pattern.finditer(source, start, end):
        before, after = source[start : match.start()], source[match.end() : end]
        if before.strip(b" \t\"'") in (b"", b"@") and after.strip(b" \t\"'") in (b"", b"()"):
            yield match


def _yaml_scalars(source: bytes) -> Iterator[tuple[int, int]]:
    """Plain and quoted scalars of all documents, each once however many aliases point at it."""
    text = source.decode("utf-8", "surrogateescape")
    try:
        events = [event for event in yaml.parse(text, Loader=yaml.SafeLoader) if isinstance(event, yaml.ScalarEvent)]
    except (yaml.YAMLError, ValueError):
        return
    wide = not text.isascii()
    for event in events:
        if event.style in ("|", ">"):
            continue
        start, end = event.start_mark.index, event.end_mark.index
        if wide:
            start, end = (len(text[:at].encode("utf-8", "surrogateescape")) for at in (start, end))
        yield start, end


def _toml_scalars(source: bytes) -> Iterator[tuple[int, int]]:
    try:
        members = read_toml(source)
    except NotToml:
        return
    for member in members:
        yield from _strings(member.value)


def _strings(value: Value) -> Iterator[tuple[int, int]]:
    if value.kind == "string":
        yield value.start, value.end
    for item in value.items:
        yield from _strings(item)
    for member in value.members:
        yield from _strings(member.value)
