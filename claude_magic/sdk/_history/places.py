"""Where the CLI keeps the transcripts of sessions, which directory a session belongs to, and why a write to disk failed.

The CLI names the folder of transcripts after the directory, but several directories can share one name: `week_1` and `week-1`
do, and so do any two Chinese names of the same length. Only the directory written inside a transcript tells them apart.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import unicodedata
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from claude_magic._paths import cli_home, regular, shorten_home
from claude_magic._text import parse_json
from claude_magic.errors import ClaudeError

LONGEST_NAME = 200
"""The most characters in a folder's name. The CLI cuts a longer name and appends a hash of its own."""

_FULL_BYTES = 1 << 16

_IDS = ("uuid", "parentUuid", "logicalParentUuid")


def projects_of(env: Mapping[str, str]) -> Path | None:
    """Return where a CLI with `env` over our environment keeps its sessions; `None` if `env` does not change that."""
    projects = all_projects(env)
    return None if projects == all_projects() else projects


def found_below(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the paths that match a pattern; none if the folder cannot be read (`Path.glob` raises then, Python 3.11)."""
    return (folder / name for name in glob.iglob(pattern, root_dir=folder))


def all_projects(env: Mapping[str, str] | None = None) -> Path:
    """Return where a CLI with `env` over our environment, or with ours alone, keeps its sessions."""
    return cli_home(env or {}) / "projects"


def folder_name(directory: str) -> str:
    """Return the name that the CLI gives the folder of a directory, before it cuts a long name and appends a hash.

    It replaces each UTF-16 unit other than an ASCII letter or digit by a dash, so an emoji becomes two dashes.
    """
    doubled = re.sub("[\U00010000-\U0010ffff]", "--", canonical(directory))
    return re.sub("[^a-zA-Z0-9]", "-", doubled)


def folders(directory: str, projects: Path) -> list[Path]:
    """Return the folders that can hold transcripts of a directory, perhaps among those of other directories."""
    name = folder_name(directory)
    if len(name) <= LONGEST_NAME:
        return [projects / name] if os.path.isdir(projects / name) else []
    return sorted(path for path in found_below(projects, f"{name[:LONGEST_NAME]}-*") if os.path.isdir(path))


def transcript_of(session_id: str, projects: Path | None = None, directory: str | None = None) -> Path | None:
    """Return the path of a session's transcript, `None` if there is none.

    :param directory: the directory that the session must have been started in; `None`: any.
    """
    if not is_id(session_id):
        return None
    found = sorted(found_below(projects or all_projects(), f"*/{session_id.lower()}.jsonl"))
    if directory is not None:
        found = [path for path in found if belongs(path, directory)]
    return found[0] if found else None


def belongs(path: Path, directory: str) -> bool:
    """Whether a session was started in this directory, by its transcript; by the transcript's folder if it does not say."""
    told = told_directory(path)
    return path.parent in folders(directory, path.parent.parent) if told is None else is_same_directory(told, directory)


def told_directory(path: Path) -> str | None:
    """Return the directory that a transcript names, `None` if it names none."""
    told = (entry.get("cwd") for entry in readable_entries(path))
    return next((directory for directory in told if isinstance(directory, str)), None)


def is_same_directory(one: str, other: str) -> bool:
    """Whether two paths name one directory."""
    if canonical(one) == canonical(other):
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def canonical(directory: str) -> str:
    """Return a path as the CLI spells it: links resolved, characters composed (NFC)."""
    return unicodedata.normalize("NFC", os.path.realpath(directory))


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a transcript in the order of the file; skip lines that are not JSON objects with texts as IDs."""
    with open(path, encoding="utf-8", errors="replace", newline="\n", opener=regular) as lines:
        for line in lines:
            entry = parsed(line)
            if isinstance(entry, dict) and all(isinstance(entry.get(name, ""), str | None) for name in _IDS):
                yield entry


def readable_entries(path: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the entries of a transcript as far as it can be read; none without a path."""
    with contextlib.suppress(OSError):
        yield from read_entries(path) if path else ()


def parsed(line: str | bytes) -> Any:
    """Return the entry on a line, `None` if it is not JSON: a killed CLI leaves half a line."""
    try:
        return parse_json(line)
    except (ValueError, RecursionError):
        return None


def is_id(text: str) -> bool:
    """Whether this is the ID of a session, and not a name."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


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
