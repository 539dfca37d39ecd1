"""What a request to write a file would replace: the file as it is now, and how the new text differs from it."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Final

from claude_magic._characters import spelled_out
from claude_magic.sdk.host import PermissionRequest

READ_BYTES: Final = 500_000
_COMPARED: Final = 2_000
"""The most lines of each text; in the worst case, comparing takes the product of their numbers."""


def replaced_lines(request: PermissionRequest) -> list[str] | None:
    """Return the lines of the file that would be replaced; `None` if it does not exist or cannot be read as text."""
    match request.input:
        case {"file_path": str(name), "content": str()} if request.tool == "Write":
            try:
                path = Path(request.directory, name)
                if not path.is_file() or os.path.getsize(path) > READ_BYTES:
                    return None
                return path.read_text("utf-8").splitlines()
            except (OSError, ValueError):  # an invalid name, or a file that is no text
                return None
    return None


def difference(before: list[str], content: str) -> str | None:
    """Return a unified diff from the old to the new text, empty if they are equal; `None` if it would take too long."""
    after = content.splitlines()
    if len(before) > _COMPARED or len(after) > _COMPARED:
        return None
    lines = list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
    return "\n".join(map(spelled_out, lines))
