"""The paths in a tool call, and where they lead."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from claude_magic.sdk._gate.tool_list import EDITING


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
            yield os.path.join(where, re.split(r"[*?\[{]", pattern)[0] if ".." not in pattern else "..")


def resolved(path: str, cwd: str) -> str:
    """Return the absolute path, with links resolved."""
    return os.path.realpath(os.path.join(cwd, os.path.expanduser(path)))


def within(path: str, root: str) -> bool:
    """Whether a resolved path is a directory or below it."""
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
