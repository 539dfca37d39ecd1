"""Paths and commands as people should see them, without the name of their home directory; and where the CLI has its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import platformdirs

from claude_magic._text import well_formed

NO_HOME: Final = Path(os.sep, "nonexistent")
"""The home directory of those that have none, by custom."""


def shorten_home(text: str, home: str | None = None) -> str:
    """Write `~` for the home directory, by default this person's, wherever it begins a path in the text."""
    home, text = home or os.path.expanduser("~"), well_formed(text)
    if len(home) < 2:
        return text
    # A path also begins behind an option's letter (`-I/home/...`) and in a `file:` address; a full stop may end it.
    return re.sub(rf"(?:(?<![\w./~-])|(?<=-[A-Za-z])|(?<=://)){_spellings(home)}(?![\w-]|\.\w)", "~", text)


def _spellings(home: str) -> str:
    r"""Return a pattern for a home directory: one of Windows has `\` or `/` in it, doubled in JSON, and no case.

    The shells that Claude uses there call the drive `/c` or `/mnt/c`.
    """
    drive, colon, rest = home.partition(":")
    if not colon or len(drive) != 1:
        return re.escape(home)
    names = (re.escape(name) for name in re.split(r"[\\/]+", rest) if name)
    return "".join((rf"(?i:(?:{drive}:|(?:/mnt)?/{drive})", *(rf"(?:\\{{1,2}}|/){name}" for name in names), ")"))


def home_directory() -> str:
    """Return the person's home directory; where there is none, a path that nobody can write to."""
    home = os.path.expanduser("~")
    return home if os.path.isabs(home) else str(NO_HOME)


def for_terminal(path: str) -> str:
    """Return a path as one types it in a terminal: quoted where it must be, and with `~` where that still means something."""
    if os.name == "nt":
        return f'"{path}"' if " " in path else path
    short = shorten_home(path)
    return short if short.startswith("~/") and shlex.quote(short[2:]) == short[2:] else shlex.quote(path)


def own_command(word: str) -> str:
    """Return what to type in a terminal for a command of ours, with this very Python: `python -m claude_magic login`."""
    python, found = sys.executable or "python", shutil.which("python")
    if found and os.path.dirname(os.path.abspath(found)) == os.path.dirname(os.path.abspath(python)):
        python = "python"
    return f"{for_terminal(python)} -m claude_magic {word}"


def expand_home(text: str) -> str:
    """Write the home directory for `~` wherever that begins a path in the text."""
    home = os.path.expanduser("~")
    return re.sub(r"(?<![\w./~-])~(?=[/\\])", lambda _: home, text)


def our_config() -> Path:
    """Return the directory of our own settings: what the person has said of directories."""
    return _below_home(platformdirs.user_config_path)


def our_data() -> Path:
    """Return the directory of what we keep for the person, such as workspaces."""
    return _below_home(platformdirs.user_data_path)


def _below_home(place: Callable[[str], Path]) -> Path:
    try:
        return place("claude_magic")
    except RuntimeError:  # a number without a name, as containers have it, and no HOME either
        return NO_HOME / "claude_magic"


def cli_home(variables: Mapping[str, str]) -> Path:
    """Return the directory in which a CLI that runs with these variables, over ours, keeps its settings and its sessions."""
    configured = variables.get("CLAUDE_CONFIG_DIR") or os.environ.get("CLAUDE_CONFIG_DIR")
    home = None if os.name == "nt" else variables.get("HOME")  # which only shells of Unix set there
    return Path(configured) if configured else Path(home or home_directory(), ".claude")


def outside(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str | None:
    """Return where a path really leads when that is not in the folder, by whatever link; `None` when it stays inside.

    A folder of a git repository is as wide as that: annexes and caches of data are links inside it.
    """
    real, root = os.path.realpath(path), Path(os.path.realpath(folder))
    home = Path(os.path.realpath(os.path.expanduser("~")))
    repository = next((parent for parent in (root, *root.parents) if os.path.exists(parent / ".git")), root)
    if not home.is_relative_to(repository):  # some keep their whole home in one
        root = repository
    return None if Path(real).is_relative_to(root) else real


def place_of(path: str, directory: str) -> str:
    """Return the folder that a path is meant to stay in: the working directory, or else the one that it stands in."""
    return directory if Path(os.path.normpath(path)).is_relative_to(directory) else os.path.dirname(os.path.normpath(path))


def private(path: str, flags: int) -> int:
    """Open a file as `open(opener=private)` wants it: one that is made so is readable by nobody else."""
    return os.open(path, flags, 0o600)
