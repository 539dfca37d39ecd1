"""Files that commands name in a folder, as far as their words tell.

A word, or its end (as after a variable), may be a path from the folder, or (as after `cd`) from a folder that another
word names. Files behind a wildcard are not found.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Final

_WORDS: Final = (re.compile(r"[^\s\"'`;|&<>(),=:$!{}]+"), re.compile(r"[^ \t\n\"'`]+"))
"""What may be a path: text between shell signs, or text that may hold such signs, as `check(1).sh`."""
_ESCAPES: Final = re.compile(r"[\"'\\]")

_STARTED: Final = frozenset({"__main__.py", "index.js", "package.json"})
"""The files that Python and Node.js run or read if they get the name of a folder."""

_FIRST_PARTS: Final = 3
_LAST_PARTS: Final = 30
"""A path may begin at any of so many first parts of a word (after variables), or of its last parts."""

_MOST_FOLDERS: Final = 100
_MOST_UPWARDS: Final = 20


def words_of(command: str) -> set[str]:
    """Return what could be a path in a command, with and without the quotes and backslashes in it."""
    ways = (_ESCAPES.sub("", command), command.replace("\\", " "), command)
    return {
        word.strip(";|&)").lstrip("-") for way in ways for words in _WORDS for word in words.findall(way) if "\0" not in word
    }


def named_files(words: Iterable[str], bases: Iterable[str], root: str) -> set[str]:
    """Return the files below `root` that words name, if read as paths from a folder in `bases`."""
    below = os.path.join(root, ""), os.path.join(os.path.realpath(root), "")
    words = set(words)
    paths = {path for base in bases for path in _paths(words, base) if path.startswith(below)}
    names = {name for word in words for name in _with_ending(os.path.basename(word))} | _STARTED
    folders = sorted(filter(os.path.isdir, paths))[:_MOST_FOLDERS]
    inside = {os.path.join(folder, name) for folder in folders for name in names.intersection(_listed(folder))}
    # After `cd`, a path that goes up begins in a folder that another word names, which may be a link.
    upwards = sorted(word for word in words if word.startswith(".."))[:_MOST_UPWARDS]
    inside |= {
        path for folder in folders for word in upwards if (path := os.path.realpath(f"{folder}/{word}")).startswith(below)
    }
    return {*filter(os.path.isfile, paths | inside)}


def _paths(words: Iterable[str], base: str) -> Iterator[str]:
    """Yield the paths from a folder that words may mean: a word or its end whose first part is in the folder."""
    real = functools.cache(os.path.realpath)
    there = {".", "..", *(name.casefold() for name in _listed(base))}
    for word in words:
        parts = word.split("/")
        for at in range(len(parts)):
            is_last = at == len(parts) - 1
            if (at < _FIRST_PARTS or len(parts) - at <= _LAST_PARTS) and not there.isdisjoint(
                name.casefold() for name in (_with_ending(parts[at]) if is_last else parts[at : at + 1])
            ):
                for path in _with_ending(os.path.join(base, *parts[at:])):
                    yield os.path.normpath(path)
                    before, dots, rest = path.rpartition("/..")
                    if dots:  # a folder before it may be a link
                        yield os.path.normpath(f"{real(before + dots)}{rest}")


def _with_ending(name: str) -> tuple[str, str]:
    return name, f"{name}.js"  # Node.js adds the ending


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
