"""What the CLI would load from subfolders when Claude works on a file there.

The CLI (2.1.332) then loads the skills, rules and memories of each folder on the way to that file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from claude_magic._paths import outside

_MEMORIES = ("CLAUDE.md", "CLAUDE.local.md")


def loaded_below(paths: Iterable[str], directory: str) -> dict[str, str | None]:
    """Return the paths that the CLI would load with these files, each with its target if that lies outside its folder.

    These are each `.claude` below the directory, and each memory that links out of its folder; other memories are only text.
    """
    found: dict[str, str | None] = {}
    for path in paths:
        folder = os.path.dirname(path)
        while folder.startswith(os.path.join(directory, "")):
            settings = os.path.join(folder, ".claude")
            if os.path.isdir(settings):
                found[settings] = outside(settings, folder)
            for memory in (os.path.join(folder, name) for name in _MEMORIES):
                if os.path.isfile(memory) and (target := outside(memory, folder)):
                    found[memory] = target
            folder = os.path.dirname(folder)
    return found
