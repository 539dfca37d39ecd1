"""The `CLAUDE.md` texts of a directory, which are read in any case: by us, where the CLI may load nothing of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_MEMORIES = ("CLAUDE.md", ".claude/CLAUDE.md", "CLAUDE.local.md")

MAX_MEMORY_BYTES = 80_000
"""Of all CLAUDE.md texts together: they travel in one argument, and Linux allows 128 KiB for that."""


def memories(directory: str) -> str:
    """Return the text of the `CLAUDE.md` files that hold for a directory, each with its name; empty when there are none."""
    own = cli_home()
    texts = []
    for parent in reversed(list(upwards(directory))):
        for name in _MEMORIES:
            path = parent / name
            if path.parent == own or not os.path.isfile(path):
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            texts.append(f"Instructions of the project, from {path}:\n\n{text.strip()}")
    return "\n\n".join(texts).encode()[:MAX_MEMORY_BYTES].decode(errors="ignore")


def upwards(directory: str) -> Iterator[Path]:
    """Yield a directory and all above it."""
    path = Path(directory).absolute()
    yield path
    yield from path.parents


def cli_home() -> Path:
    """Return the directory of the person's own settings, which are no folder's."""
    configured = os.environ.get("CLAUDE_CONFIG_DIR")
    return Path(configured) if configured else Path.home() / ".claude"
