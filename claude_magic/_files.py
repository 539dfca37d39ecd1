"""Reads files that anybody may have put into a folder: never what only looks like a file, such as a pipe without a writer."""

from __future__ import annotations

import errno
import os
import stat


def regular(path: str | os.PathLike[str], flags: int) -> int:
    """Opener for `open(opener=regular)`: opens regular files only, and never waits.

    :raises OSError: for everything else.
    """
    file = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode):
        return file
    os.close(file)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", path)


def file_bytes(path: str | os.PathLike[str], limit_bytes: int = -1) -> bytes:
    """Return the content of a regular file, or its start.

    :raises OSError: if it cannot be read, or is no regular file.
    """
    with open(path, "rb", opener=regular) as file:
        return file.read(limit_bytes)
