"""Paths as people should see them, without the name of the person's home directory; and where the CLI has its own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path


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


def cli_home(variables: Mapping[str, str]) -> Path:
    """Return the directory in which a CLI that runs with these variables, over ours, keeps its settings and its sessions."""
    configured = variables.get("CLAUDE_CONFIG_DIR") or os.environ.get("CLAUDE_CONFIG_DIR")
    return Path(configured) if configured else Path(variables.get("HOME") or Path.home()) / ".claude"
