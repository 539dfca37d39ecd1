"""Paths and commands as people should see them, without the name of their home directory; the CLI's and our directories.

The module also reads files that anybody may have put into a folder: only regular files, never a pipe or a device.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import platformdirs

from claude_magic._text import json_object, well_formed

NO_HOME: Final = Path(os.sep, "nonexistent")
"""The home directory of a user who has none, by convention."""


def shorten_home(text: str, home: str | None = None) -> str:
    """Replace the home directory, by default this person's, by `~` wherever a path in the text starts with it."""
    home, text = home or os.path.expanduser("~"), well_formed(text)
    if len(home) < 2:
        return text
    # A path can also start after an option's letter (`-I/home/...`) and in a `file:` address. A full stop may end it.
    return re.sub(rf"(?:(?<![\w./~-])|(?<=-[A-Za-z])|(?<=://)){_spellings(home)}(?![\w-]|\.\w)", "~", text)


def _spellings(home: str) -> str:
    r"""Return a pattern for a home directory. On Windows it matches `\`, `\\` (in JSON) or `/`, and ignores case.

    The shells that Claude uses there call the drive `/c` or `/mnt/c`.
    """
    drive, colon, rest = home.partition(":")
    if not colon or len(drive) != 1:
        return re.escape(home)
    names = (re.escape(name) for name in re.split(r"[\\/]+", rest) if name)
    return "".join((rf"(?i:(?:{drive}:|(?:/mnt)?/{drive})", *(rf"(?:\\{{1,2}}|/){name}" for name in names), ")"))


def home_directory() -> str:
    """Return the person's home directory; without one, a path that nobody can write to."""
    home = os.path.expanduser("~")
    return home if os.path.isabs(home) else str(NO_HOME)


def for_terminal(path: str) -> str:
    """Return a path as it is typed in a terminal: quoted if needed, and with `~` if that still works."""
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


def with_home(path: str) -> str:
    """Replace a leading `~` or `~user`. A path that no system allows, such as one with a null character, stays as it is."""
    try:
        return os.path.expanduser(path)
    except ValueError:
        return path


def expand_home(text: str) -> str:
    """Replace `~` by the home directory wherever a path in the text starts with it."""
    home = os.path.expanduser("~")
    return re.sub(r"(?<![\w./~-])~(?=[/\\])", lambda _: home, text)


def our_config() -> Path:
    """Return the directory of our own settings, such as which directories the person trusts."""
    return _below_home(platformdirs.user_config_path)


def our_data() -> Path:
    """Return the directory of data that we keep for the person, such as workspaces."""
    return _below_home(platformdirs.user_data_path)


def _below_home(place: Callable[[str], Path]) -> Path:
    try:
        return place("claude_magic")
    except RuntimeError:  # a user ID without a name, as in containers, and no HOME either
        return NO_HOME / "claude_magic"


def cli_home(variables: Mapping[str, str]) -> Path:
    """Return the directory of a CLI's settings and sessions; `variables` are what the CLI gets besides our environment."""
    configured = variables.get("CLAUDE_CONFIG_DIR") or os.environ.get("CLAUDE_CONFIG_DIR")
    home = None if os.name == "nt" else variables.get("HOME")  # on Windows only Unix shells set it
    return Path(configured) if configured else Path(home or home_directory(), ".claude")


def cli_file(variables: Mapping[str, str]) -> Path:
    """Return the file of a CLI's state, beside `~/.claude` or in `CLAUDE_CONFIG_DIR`. The CLI writes to it at a login."""
    home = cli_home(variables)
    is_configured = variables.get("CLAUDE_CONFIG_DIR") or os.environ.get("CLAUDE_CONFIG_DIR")
    return (home if is_configured else home.parent) / ".claude.json"


def outside(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str | None:
    """Return where a path really leads if that is outside the folder, through any link; `None` if it stays inside.

    A git repository around the folder counts as inside, too: git-annex and data caches are links to files in it.
    """
    real, root = os.path.realpath(path), Path(os.path.realpath(folder))
    home = Path(os.path.realpath(os.path.expanduser("~")))
    repository = next((parent for parent in (root, *root.parents) if os.path.exists(parent / ".git")), root)
    if not home.is_relative_to(repository):  # some people keep their whole home directory in one
        root = repository
    return None if Path(real).is_relative_to(root) else real


def place_of(path: str, directory: str) -> str:
    """Return the folder that a path must stay in: `directory` if the path is in there, else the folder that the path is in.

    If the way there leads through a link, it is the folder that holds the (outermost) link. Links in the root, such as macOS's
    `/tmp`, in the home directory, and on the way to that do not count: the machine or the person made them.
    """
    named, home = Path(os.path.normpath(path)), Path(os.path.expanduser("~"))
    if named.is_relative_to(directory) or Path(os.path.realpath(named)).is_relative_to(os.path.realpath(directory)):
        return directory
    links = (folder for folder in named.parents if folder.is_symlink() and not home.is_relative_to(folder))
    foreign = [folder.parent for folder in links if folder.parent not in (Path(folder.anchor), home)]
    return str(foreign[-1] if foreign else named.parent)


def leads_out(path: str | os.PathLike[str]) -> str | None:
    """Return where a file to be written really is, if a link on the way leads out of the folder that it must stay in."""
    absolute = os.path.abspath(path)
    return outside(absolute, place_of(absolute, os.getcwd()))


def private(path: str, flags: int) -> int:
    """Opener for `open(opener=private)`: a new file is readable only by its owner."""
    return os.open(path, flags, 0o600)


def regular(path: str | os.PathLike[str], flags: int) -> int:
    """Opener for `open(opener=regular)`: opens regular files only, raises `OSError` for all else, and never waits."""
    file = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(file).st_mode
    if stat.S_ISREG(mode):
        return file
    os.close(file)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", path)


def file_bytes(path: str | os.PathLike[str], limit_bytes: int = -1) -> bytes:
    """Return the content of a regular file, or its start; raise `OSError` if it cannot be read, or is no regular file."""
    with open(path, "rb", opener=regular) as file:
        # Some files below /proc may never have data. Opened without blocking, `read` then returns `None`.
        return file.read(limit_bytes) or b""


def object_in(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; empty if it holds something else or cannot be read."""
    try:
        return json_object(file_bytes(path))
    except OSError:
        return {}
