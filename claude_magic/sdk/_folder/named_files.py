"""The files of a folder that commands name, as far as their words tell.

A word may be a path from the folder, the end of one, as after a variable, or a name in a folder that another word names, as
after `cd`. What a word gets from a wildcard is not found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Final

_WORD: Final = re.compile(r"[^\s\"'`;|&<>(),=:$!{}]+")
_ESCAPES: Final = re.compile(r"[\"'\\]")

_STARTED: Final = frozenset({"__main__.py", "index.js", "package.json"})
"""The files that Python and Node.js run or read if they get the name of a folder."""

_MOST_PARTS: Final = 30

_MOST_FOLDERS: Final = 100


def words_of(command: str) -> set[str]:
    """Return what could be a path in a command, with and without the quotes and backslashes in it."""
    ways = (_ESCAPES.sub("", command), command.replace("\\", " "), command)
    return {os.path.normpath(word) for way in ways for word in _WORD.findall(way) if "\0" not in word}


def named_files(words: Iterable[str], bases: Iterable[str], root: str) -> set[str]:
    """Return the files below `root` that words name, as paths from one of the folders in `bases`."""
    below = os.path.join(root, "")
    ends = {end for word in words for end in _ends(word)}
    paths = {os.path.normpath(os.path.join(base, end)) for base in bases for end in ends}
    paths = {path for path in paths if path.startswith(below)}
    names = {os.path.basename(end) for end in ends} | _STARTED
    folders = sorted(filter(os.path.isdir, paths))[:_MOST_FOLDERS]
    return {*filter(os.path.isfile, paths | {os.path.join(folder, name) for folder in folders for name in names if name})}


def _ends(word: str) -> Iterator[str]:
    parts = word.split("/")[-_MOST_PARTS:]
    ends = ("/".join(parts[at:]) for at in range(len(parts)) if parts[at])
    return (each for end in (word, *ends) for each in (end, f"{end}.js"))  # Node.js adds the ending
