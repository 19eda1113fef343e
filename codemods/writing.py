"""Puts bytes into one file so that a crash leaves the old bytes or the new ones, and nothing in between.

A file is replaced by a copy with the same mode, owner and extended attributes, flushed before the rename. A file
with several hard links, or whose owner we may not give to a copy, is written in place instead: the caller's journal
holds both versions, and ``is_torn`` recognises a half-written one. Knows nothing about plans or runs.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from codemods.errors import StaleInput

# Windows knows none of these, and has O_BINARY: reading and planning work there, writing is refused (see locks).
_EXTRA = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in _EXTRA)
_IGNORED_XATTR_ERRORS = frozenset({errno.ENOTSUP, errno.EPERM, errno.EINVAL, errno.ENODATA})


def digest(content: bytes) -> str:
    """The SHA-256 of ``content`` in hexadecimal: how every file and object is named here."""
    return hashlib.sha256(content).hexdigest()


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file; a link in the last component is refused, not followed.

    Raises:
        OSError: missing, unreadable, or a link (``ELOOP``).
    """
    descriptor = os.open(path, READ)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read()


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def write_new(path: Path, content: bytes) -> None:
    """Create ``path``, which must not exist, and flush it; the folder is the caller's to flush."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        _write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put(path: Path, content: bytes) -> None:
    """Create or replace one of our own files atomically and durably."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    scratch.unlink(missing_ok=True)
    write_new(scratch, content)
    scratch.replace(path)
    sync_folder(path.parent)


def _copy_xattrs(source: Path, descriptor: int) -> None:
    if not hasattr(os, "listxattr"):
        return
    for name in os.listxattr(source, follow_symlinks=False):
        try:
            os.setxattr(descriptor, name, os.getxattr(source, name, follow_symlinks=False))
        except OSError as error:
            # Security labels are the kernel's to give; user attributes and ACLs must not be lost.
            if not name.startswith(("security.", "trusted.")) or error.errno not in _IGNORED_XATTR_ERRORS:
                raise


def _write_twin(scratch: Path, content: bytes, original: Path, status: os.stat_result) -> bool:
    """Write the replacement with the original's attributes; ``False`` when its owner cannot be kept."""
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        made = os.fstat(descriptor)
        if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
            try:
                os.fchown(descriptor, status.st_uid, status.st_gid)
            except PermissionError:
                return False
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        _copy_xattrs(original, descriptor)
        _write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _check(path: Path, expected: str) -> None:
    try:
        found = digest(read_regular(path))
    except OSError as error:
        raise StaleInput(f"{path} cannot be read any more ({error.strerror}); nothing is switched (OC130)") from None
    if found != expected:
        raise StaleInput(f"{path} changed while we worked; nothing is switched, run again (OC130)")


def overwrite(path: Path, content: bytes, *, expected: str) -> None:
    """Write ``content`` into the file itself, keeping its inode; a crash here leaves a torn file."""
    _check(path, expected)
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # Longer first, shorter last: the blocks of the old text stay ours until the new text is all there.
        _write_all(descriptor, content)
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes, *, expected: str, scratch: str) -> None:
    """Replace the bytes of ``path``, which must still hash to ``expected``.

    Args:
        scratch: name of the temporary file beside it; the caller knows it, so a crash leaves no stranger.

    Raises:
        StaleInput: the file is no longer a regular file with the expected bytes.
        OSError: the operating system refused; the file is as it was.
    """
    _check(path, expected)
    status = os.lstat(path)
    twin = path.with_name(scratch)
    twin.unlink(missing_ok=True)
    if status.st_nlink > 1:
        return overwrite(path, content, expected=expected)
    try:
        owner_kept = _write_twin(twin, content, path, status)
        if owner_kept:
            _check(path, expected)
            twin.replace(path)
            return sync_folder(path.parent)
    finally:
        twin.unlink(missing_ok=True)
    return overwrite(path, content, expected=expected)


def is_torn(current: bytes, before: bytes, after: bytes) -> bool:
    """Whether ``current`` is what an interrupted in-place write of ``after`` over ``before`` leaves."""
    written = common_prefix(current, after)
    return current[written:] == before[written:]


def common_prefix(left: bytes, right: bytes) -> int:
    """Length of the longest common start, found by halving: slices compare at memory speed."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
