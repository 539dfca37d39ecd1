"""Paths as people should see them, without the name of the person's home directory; and files that nobody else should."""

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


def private(path: str, flags: int) -> int:
    """Open a file as `open(opener=private)` wants it: one that is made so is readable by nobody else."""
    return os.open(path, flags, 0o600)
