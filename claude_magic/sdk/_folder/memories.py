"""The `CLAUDE.md` texts of a directory. They are always read: by the CLI, or by us if the CLI may load nothing there.

They may only be text of the folder. A link that leads out of it is not followed, as its target may be private. In a trusted
folder, the CLI (2.1.332) also reads `AGENTS.md`, if there is no `CLAUDE.md`, and the memory of agents.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from claude_magic._paths import cli_home, file_bytes, outside

_MEMORIES = ("CLAUDE.md", ".claude/CLAUDE.md", "CLAUDE.local.md")

MEMORIES_IF_TRUSTED = (*_MEMORIES, "AGENTS.md", ".claude/AGENTS.md")

MAX_MEMORY_BYTES = 80_000
"""The limit of all CLAUDE.md texts together. They are sent with every prompt, and no model follows longer instructions."""


@dataclass(frozen=True, slots=True)
class Memories:
    """The texts of the files, each with its name. `cut` names files that could not be read, or not to their end."""

    text: str = ""
    cut: tuple[Path, ...] = ()


def memories(directory: str) -> Memories:
    """Return the text of the `CLAUDE.md` files for a directory. The nearest one comes last, and is cut last."""
    texts: list[str] = []
    cut: list[Path] = []
    left_bytes = MAX_MEMORY_BYTES
    for path, target in _files(directory):
        if target is not None:
            continue
        try:
            content = file_bytes(path, left_bytes + 1)
        except OSError:
            cut.append(path)
            continue
        if len(content) > left_bytes:
            cut.append(path)
            content = content[:left_bytes]
        left_bytes -= len(content)
        if text := content.decode(errors="ignore" if path in cut else "replace").strip():
            texts.append(f"Instructions of the project, from {path}:\n\n{text}")
    return Memories("\n\n".join(reversed(texts)), tuple(cut))


def memories_outside(directory: str) -> dict[Path, str]:
    """Return the texts for Claude that lead out of a directory, each with the file that the CLI would read instead."""
    files = dict(_files(directory, MEMORIES_IF_TRUSTED))
    read = {os.path.realpath(path) for path, target in files.items() if target is None}
    files |= {Path(path): outside(path, directory) for path in memories_of_agents(directory)}
    return {path: target for path, target in files.items() if target is not None and target not in read}


def memories_of_agents(directory: str) -> list[str]:
    """Return the files that the CLI loads for agents with a memory; unlike pathlib, this passes over closed folders."""
    return glob.glob(os.path.join(glob.escape(directory), ".claude/agent-memory*/*/MEMORY.md"))


def upwards(directory: str) -> Iterator[Path]:
    """Yield a directory and its parents."""
    path = Path(directory).absolute()
    yield path
    yield from path.parents


def _files(directory: str, names: Sequence[str] = _MEMORIES) -> Iterator[tuple[Path, str | None]]:
    """Yield the files for a directory, the nearest first, each with its target if that lies outside its folder."""
    own = cli_home({})
    for parent in upwards(directory):
        for name in reversed(names):
            path = parent / name
            if path.parent != own and os.path.isfile(path):
                yield path, outside(path, parent)
