"""Paths as people should see them, without the name of the person's home directory; and where the CLI has its own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from claude_magic._text import well_formed


def shorten_home(text: str, home: str | None = None) -> str:
    """Write `~` for the home directory, by default this person's, wherever it begins a path in the text."""
    home, text = home or os.path.expanduser("~"), well_formed(text)
    if len(home) < 2:
        return text
    # A path also begins behind an option's letter (`-I/home/...`) and in a `file:` address; a full stop may end it.
    return re.sub(rf"(?:(?<![\w./~-])|(?<=-[A-Za-z])|(?<=://)){re.escape(home)}(?![\w-]|\.\w)", "~", text)


def expand_home(text: str) -> str:
    """Write the home directory for `~` wherever that begins a path in the text."""
    home = os.path.expanduser("~")
    return re.sub(r"(?<![\w./~-])~(?=[/\\])", lambda _: home, text)


def cli_home(variables: Mapping[str, str]) -> Path:
    """Return the directory in which a CLI that runs with these variables, over ours, keeps its settings and its sessions."""
    configured = variables.get("CLAUDE_CONFIG_DIR") or os.environ.get("CLAUDE_CONFIG_DIR")
    return Path(configured) if configured else Path(variables.get("HOME") or Path.home()) / ".claude"


def outside(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str | None:
    """Return where a path really leads when that is not in the folder, by whatever link; `None` when it stays inside.

    A folder of a git repository is as wide as that: annexes and caches of data are links inside it.
    """
    real, root = os.path.realpath(path), Path(os.path.realpath(folder))
    home = Path(os.path.realpath(os.path.expanduser("~")))
    repository = next((parent for parent in (root, *root.parents) if (parent / ".git").exists()), root)
    if not home.is_relative_to(repository):  # some keep their whole home in one
        root = repository
    return None if Path(real).is_relative_to(root) else real


def place_of(path: str, directory: str) -> str:
    """Return the folder that a path is meant to stay in: the working directory, or else the one that it stands in."""
    return directory if Path(os.path.normpath(path)).is_relative_to(directory) else os.path.dirname(os.path.normpath(path))


def private(path: str, flags: int) -> int:
    """Open a file as `open(opener=private)` wants it: one that is made so is readable by nobody else."""
    return os.open(path, flags, 0o600)
