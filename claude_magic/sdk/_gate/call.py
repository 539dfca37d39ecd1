"""A tool call as the CLI announces it, before it runs; the paths in it, and where they lead."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from claude_magic.sdk._gate.commands import MOST_LETTERS, parts_of, words_of
from claude_magic.sdk._gate.tool_list import COMMANDS, EDITING, READING

_WORD: Final = re.compile(r"""[^\s"'`;|&<>()$=*?\[{]+""")
_FILE_ADDRESS: Final = re.compile(r"^file://[^/]*")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. `mode` is the permission mode that it runs in: a helper's may differ from the process's.

    `own_files` is the directory in which the CLI keeps files of this session. `by_helper` is true if a helper calls.
    """

    tool: str
    arguments: Mapping[str, Any]
    mode: str
    cwd: str
    session_id: str
    own_files: str = ""
    by_helper: bool = False

    @property
    def command(self) -> str:
        """The argument `command`, or an empty text."""
        return str(self.arguments.get("command", ""))

    @property
    def paths(self) -> list[str]:
        """The paths of a reading or editing call, absolute and with links resolved; none for other tools."""
        return [resolved(path, self.cwd) for path in paths_of(self.tool, self.arguments)]


def paths_of(tool: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths in a call of a reading or editing tool, as written."""
    if tool in EDITING or tool == "Read":
        yield from (str(arguments[name]) for name in ("file_path", "notebook_path") if name in arguments)
        return
    where = str(arguments.get("path") or ".")
    yield where
    for name in ("pattern", "glob") if tool == "Glob" else ("glob",):
        if pattern := str(arguments.get(name) or ""):
            # A pattern may begin at the root, or go up.
            yield os.path.join(where, re.split(r"[*?\[{]", pattern)[0] if ".." not in pattern else os.sep)


def places_of(tool: str, arguments: Mapping[str, Any], cwd: str) -> list[str]:
    """Return the paths of a call: as written, and with links resolved. Of a command, all words that could be paths.

    The CLI (2.1.332) loads what the folders of these files hold for it, also after a command such as `cat`.
    """
    # A directory stands for the files in it.
    absolute = [os.path.join(path, "x") if os.path.isdir(path) else path for path in named_in(tool, arguments, cwd)]
    return [*map(os.path.normpath, absolute), *map(os.path.realpath, absolute)]


def named_in(tool: str, arguments: Mapping[str, Any], cwd: str) -> list[str]:
    """Return the absolute paths that a call names; of a command, all words that could be paths."""
    if tool in COMMANDS:
        named = [*dict.fromkeys(_words(str(arguments.get("command", ""))))]
    else:
        named = [*paths_of(tool, arguments)] if tool in READING | EDITING else []
    paths = [_FILE_ADDRESS.sub("", path) for path in named if "\0" not in path]
    # In quotes, "~" is only a name.
    return [os.path.join(cwd, way) for path in paths for way in {path, os.path.expanduser(path)}]


def _words(command: str) -> Iterator[str]:
    """Yield what may be a path in a command: its words as a shell reads them, and what stands between operators and quotes."""
    command = command.replace("\\\n", "")
    yield from _WORD.findall(command)
    for part in parts_of(command):
        yield from (words := words_of(part))
        yield from (word.partition("=")[2] for word in words if "=" in word)
        options = (word for word in words if word.startswith("-"))
        yield from (word[at:] for word in options for at in range(2, min(len(word), MOST_LETTERS)))


def resolved(path: str, cwd: str) -> str:
    """Return the absolute path, with links resolved."""
    return os.path.realpath(os.path.join(cwd, os.path.expanduser(path)))


def within(path: str, root: str) -> bool:
    """Whether a resolved path is this root or below it."""
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
