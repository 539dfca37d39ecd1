"""Why nothing can be written where the CLI keeps its sessions, as far as the system tells, and what to do about it."""

from __future__ import annotations

import os
from pathlib import Path

from claude_magic._paths import shorten_home
from claude_magic.errors import ClaudeError

_FULL_BYTES = 1 << 16


def not_written(directory: Path, error: OSError) -> ClaudeError:
    """Return the error to raise when our own write below a directory has failed."""
    why, next_step = why_not_written(directory)
    said = f" ({error.strerror})" if error.strerror else ""
    return ClaudeError(
        f"Nothing was changed: {shorten_home(str(directory))} {why}{said}.", next_step=f"{next_step[0].upper()}{next_step[1:]}."
    )


def why_not_written(directory: Path) -> tuple[str, str]:
    """Return why nothing can be written below a directory, and a remedy, each as the rest of a sentence."""
    there = next((path for path in (directory, *directory.parents) if os.path.exists(path)), Path(os.sep))
    if not there.is_dir():
        return f"cannot be written: {there.name} is not a directory", "move that file away"
    if hasattr(os, "statvfs"):
        disk = os.statvfs(there)
        if disk.f_flag & os.ST_RDONLY:
            return "is on a read-only disk", "make the disk writable, or set CLAUDE_CONFIG_DIR to another place"
        if disk.f_bavail * disk.f_frsize < _FULL_BYTES or (disk.f_files and not disk.f_favail):
            return "is on a full disk", "make room there"
    if not os.access(there, os.W_OK | os.X_OK):
        return "is not writable for you", "change its permissions, or set CLAUDE_CONFIG_DIR to another place"
    return "was not written to", "check that the disk has room and that you may write there"
