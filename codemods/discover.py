"""Which files of a tree can matter: lists them, reads each once, and keeps those that hold a telling word.

The list comes from git (tracked, and untracked but not ignored) or from a walk that honours ``.gitignore``.
Links, nested repositories, generated, binary and huge files are not candidates; those that would have been are
reported. Never parses anything: a byte search decides, so that a tree without ORPO costs no libcst import.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from codemods import git
from codemods.errors import GitFailed
from codemods.findings import Finding, Severity
from codemods.ignored import NEVER, walk
from codemods.spelling import json_spelt_out, spelt_out
from codemods.writing import READ

MAX_BYTES = 1 << 20
MAX_NOTEBOOK_BYTES = 64 << 20
"""Saved plots make notebooks large; their code does not."""
_MAX_SEARCHED = 64 << 20
_CODE = (".py", ".pyi", ".ipynb")
_NAMES = (*_CODE, ".pyw", ".md", ".rst")
"""Kinds of files whose identifiers Python may read in another spelling."""
_BINARY_SUFFIXES = """
    .7z .arrow .avi .bin .bmp .bz2 .class .ckpt .db .dll .dylib .eot .exe .feather .gguf .gif .gz .h5 .ico .jar .jpeg
    .jpg .mo .mov .mp3 .mp4 .msgpack .npy .npz .o .onnx .otf .parquet .pdf .pickle .pkl .png .pt .pth .pyc .pyd .pyo
    .safetensors .so .sqlite .tar .tgz .tif .tiff .ttf .wav .webm .webp .whl .woff .woff2 .xz .zip .zst
"""
_BINARY = frozenset(_BINARY_SUFFIXES.split())
# Files that say which packages are installed: these matter when they name trl at all.
_INSTALLS = re.compile(
    r"(^|/)(.*requirements.*\.(txt|in|lock)|.*constraints.*\.txt|pyproject\.toml|setup\.(cfg|py)|Pipfile(\.lock)?"
    r"|(.*[-_.])?env(ironment)?([-_.].*)?\.ya?ml|(conda|uv|poetry|pdm|pixi)([-_.].*)?\.(lock|ya?ml|toml)"
    r"|.*Dockerfile.*|.*\.(dockerfile|sh|lock)|\.gitlab-ci\.yml|(^|.*/)\.(github|circleci)/.*\.ya?ml)$"
)
# Not inside a word, unless the letter before it belongs to an escape such as the \\n of a notebook's JSON.
_ORPO = re.compile(rb"(?:(?<![A-Za-z])|(?<=\\[nrt]))(?:ORPO|orpo)")
_GENERATED = re.compile(
    rb"(?m)^[ \t]*(#|//|--|;|<!--|\"\"\"|\*).*(@generated\b|\bDO NOT EDIT\b.*generat|generat.*\bDO NOT EDIT\b)"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may have to change: its path relative to the root, its permission bits and its bytes."""

    path: str
    mode: int
    source: bytes
    inode: tuple[int, int] | None = None
    """Device and inode of a file with several names; ``None`` for one with a single name."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What one look over a tree found; ``paths`` are all listed files, ``skipped`` says what was left out and why."""

    root: Path
    candidates: tuple[Candidate, ...]
    skipped: tuple[Finding, ...]
    paths: tuple[str, ...] = field(repr=False)
    listed_by: str = "git"


def _skip(path: str, message: str, advice: str, severity: Severity = Severity.INFO) -> Finding:
    return Finding("OC114", path, 1, 1, message, advice, severity)


def is_telling(path: str, content: bytes) -> bool:
    """Whether the bytes hold a word that any rule, config or manifest check could act on."""
    if _says_orpo(content):
        return True
    if path.endswith(_NAMES) or content.startswith(b"#!"):
        plain = json_spelt_out(content) if path.endswith(".ipynb") else spelt_out(content)
        if plain is not content and _says_orpo(plain):
            return True
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") and b"O\0R\0P\0O" in content:
        return True
    return b"trl" in content and (_INSTALLS.search(path) is not None or _concerns_trl(path, content))


def _concerns_trl(path: str, content: bytes) -> bool:
    from codemods.containers.telling import concerns_trl

    return concerns_trl(path, content)


def _says_orpo(content: bytes) -> bool:
    # Two plain searches first: they run at memory speed, and "corporation" is rare in code.
    return (b"ORPO" in content or b"orpo" in content) and _ORPO.search(content) is not None


def _search_huge(path: str, descriptor: int, size: int) -> bool:
    if size > _MAX_SEARCHED and not path.endswith(_CODE):
        return False
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as mapped:
        return mapped.find(b"ORPO") >= 0 or mapped.find(b"trl.experimental.orpo") >= 0


def _read(root: str, path: str) -> Candidate | Finding | None:
    descriptor = os.open(f"{root}/{path}", READ)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(path)  # git lists a submodule as if it were a file
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        if status.st_size > (MAX_NOTEBOOK_BYTES if path.endswith(".ipynb") else MAX_BYTES):
            if _search_huge(path, descriptor, status.st_size):
                advice = "look at it by hand; files over 1 MiB are data more often than code"
                return _skip(path, f"{status.st_size} bytes: too large to rewrite", advice, Severity.WARNING)
            return None
        content = os.read(descriptor, status.st_size + 1)
    finally:
        os.close(descriptor)
    if not is_telling(path, content):
        return None
    found = _judge(path, stat.S_IMODE(status.st_mode), content)
    if status.st_nlink > 1 and isinstance(found, Candidate):
        return replace(found, inode=(status.st_dev, status.st_ino))
    return found


def _judge(path: str, mode: int, content: bytes) -> Candidate | Finding | None:
    if content.startswith(b"version https://git-lfs.github.com/spec/"):
        return _skip(path, "a Git LFS pointer, not the file", "run `git lfs pull` and migrate again")
    if _GENERATED.search(content[:2000]):
        from codemods.containers.mentions import mention_spans

        severity = Severity.WARNING if mention_spans(content) else Severity.INFO
        return _skip(path, "marked as generated", "change its generator, then generate it again", severity)
    if b"\0" in content[:8000] and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return _with_zero_bytes(path, content)
    return Candidate(path, mode, content)


def _with_zero_bytes(path: str, content: bytes) -> Finding | None:
    """Binary files are nobody's code; a Python file with a zero byte is one that was damaged."""
    from codemods.containers.mentions import mention_spans

    if not path.endswith(_CODE) or not mention_spans(content):
        return None
    return _skip(path, "holds zero bytes, which Python refuses", "repair the file, then run again", Severity.WARNING)


def _resolve_link(root: Path, path: str) -> str | Finding | None:
    """Where a link leads: another path of the tree, a finding when it leaves the tree, nothing when it dangles."""
    try:
        target = (root / path).resolve(strict=True)
    except (OSError, RuntimeError):
        return _skip(path, "a link that leads nowhere or in a circle", "nothing to do unless it should lead to code")
    try:
        inner = target.relative_to(root.resolve())
    except ValueError:
        return _skip(path, "a link out of the tree, not followed", "migrate its target in the tree it belongs to")
    return inner.as_posix() if target.is_file() and not NEVER & set(inner.parts) else None


def _listing(root: Path) -> tuple[list[str], str]:
    try:
        if git.toplevel(root) is not None:
            listed = git.list_files(root)
            # Nothing listed: the folder itself is ignored, and yet it was asked for by name.
            if listed:
                return listed, "git"
    except GitFailed:
        pass  # the walk sees the same files; preflight, before any write, is where a broken git counts
    return list(walk(root)), "walk"


def _selector(include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    wanted = GitIgnoreSpec.from_lines(include) if include else None
    unwanted = GitIgnoreSpec.from_lines(exclude) if exclude else None

    def selected(path: str) -> bool:
        return (wanted is None or wanted.match_file(path)) and not (unwanted and unwanted.match_file(path))

    return selected


def _gather(root: Path, paths: Iterable[str]) -> Iterator[Candidate | Finding]:
    base, odd = str(root), []
    for path in paths:
        if path.endswith("/"):
            advice = "migrate it by itself: it has its own history"
            yield _skip(path.rstrip("/"), "a repository inside this one, not entered", advice)
            continue
        if PurePosixPath(path).suffix.lower() in _BINARY:
            continue
        try:
            found = _read(base, path)
        except OSError:
            odd.append(path)
            continue
        if found is not None:
            yield found
    yield from _through_odd_ones(root, odd)


def _through_odd_ones(root: Path, paths: list[str]) -> Iterator[Candidate | Finding]:
    for path in paths:
        place = root / path
        if not place.is_symlink():
            if place.is_dir() and (place / ".git").exists():
                yield _skip(path, "a submodule, not entered", "migrate it by itself: it has its own history")
            elif os.path.lexists(place) and not place.is_dir():
                yield _skip(path, "cannot be read", "check its permissions, then run again")
            continue
        target = _resolve_link(root, path)
        if isinstance(target, Finding):
            yield target
        elif target is not None:
            found = _read(str(root), target)
            if found is not None:
                yield found


def discover(
    root: Path, *, only: Sequence[str] = (), include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Discovery:
    """List and read the files of ``root`` (a folder) once.

    Args:
        only: paths relative to the root (files or folders) to stay within; empty means all of it.
        include, exclude: patterns in ``.gitignore`` syntax; an excluded path wins over an included one.
    """
    listed, listed_by = _listing(root)
    selected = _selector(include, exclude)
    within = tuple(f"{path.rstrip('/')}/" for path in only)
    scope = [path for path in listed if not within or path.startswith(within) or f"{path}/" in within]
    scope += [
        path for path in only if path not in scope and (root / path).is_file()
    ]  # named, so wanted even if ignored
    paths = [path for path in scope if not NEVER & set(path.split("/")[:-1]) and selected(path)]
    candidates: dict[str, Candidate] = {}
    skipped: dict[tuple[str, str], Finding] = {}
    for found in _gather(root, paths):
        if isinstance(found, Candidate):
            candidates.setdefault(found.path, found)
        else:
            skipped.setdefault((found.path, found.message), found)
    chosen, twins = _one_name_each(candidates[path] for path in sorted(candidates))
    findings = (*(skipped[key] for key in sorted(skipped)), *twins)
    return Discovery(root, tuple(chosen), findings, tuple(listed), listed_by)


def _one_name_each(candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Finding]]:
    """Leave one name of every hard-linked file, a code file's if it has one: a write reaches all of them."""
    kept: dict[object, Candidate] = {}
    twins: list[Finding] = []
    for item in sorted(candidates, key=lambda item: (not item.path.endswith(_CODE), item.path)):
        first = kept.setdefault(item.inode or item.path, item)
        if first is not item:
            message = f"a hard link to {first.path!r}, switched together with it"
            twins.append(_skip(item.path, message, "nothing to do"))
    return sorted(kept.values(), key=lambda item: item.path), twins


_IMPORTS_TRL = re.compile(rb"(?m)^[\s\"]*(?:from[ \t]+trl[ \t.]|import[ \t]+(?:[\w. \t]+,[ \t]*)*trl\b)")


def first_user_of_trl(found: Discovery, results: Mapping[str, bytes]) -> str | None:
    """The first Python file or notebook that imports TRL once ``results`` stand in for what changes."""
    for path in found.paths:
        if path.endswith((".py", ".pyi", ".ipynb")):
            try:
                content = results[path] if path in results else (found.root / path).read_bytes()
            except OSError:
                continue
            if _IMPORTS_TRL.search(content):
                return path
    return None
