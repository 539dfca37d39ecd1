"""What the CLI would load of the folders below its own, when Claude works on a file there.

The CLI (2.1.332) then takes up the skills, rules and memories of the folders on the way to that file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from claude_magic._paths import outside

_MEMORIES = ("CLAUDE.md", "CLAUDE.local.md")


def loaded_below(paths: Iterable[str], directory: str) -> dict[str, str | None]:
    """Return what would be loaded with these files, each with where it leads if that is outside of its folder.

    That is each `.claude` of a folder below the directory, and a memory that is a link out: others are only text.
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
