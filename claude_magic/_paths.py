"""Paths as people should see them: without the name of the person's home directory."""

from __future__ import annotations

import os
import re


def shorten_home(text: str, home: str | None = None) -> str:
    """Write `~` for the home directory, by default this person's, wherever it begins a path in the text."""
    home = home or os.path.expanduser("~")
    if len(home) < 2:
        return text
    # A path also begins behind an option's letter (`-I/home/...`) and in a `file:` address; a full stop may end it.
    return re.sub(rf"(?:(?<![\w./~-])|(?<=-[A-Za-z])|(?<=://)){re.escape(home)}(?![\w-]|\.\w)", "~", text)


def expand_home(text: str) -> str:
    """Write the home directory for `~` wherever that begins a path in the text."""
    home = os.path.expanduser("~")
    return re.sub(r"(?<![\w./~-])~(?=[/\\])", lambda _: home, text)


def outside(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str | None:
    """Return where a path really leads when that is not in the folder, by whatever link; `None` when it stays inside."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    try:
        return None if os.path.commonpath((real, root)) == root else real
    except ValueError:  # another drive
        return real
