"""Files that name MCP servers, in the CLI's format. They are checked here before the CLI reads them.

The CLI knows what a server needs to start. We refuse a file that is certain to fail, or whose server could be mistaken for
ours.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from claude_magic._paths import shorten_home
from claude_magic._redaction import MIN_LENGTH
from claude_magic._text import name_line
from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import MAX_TEXT_BYTES, file_data
from claude_magic.sdk.host import SERVER

_FORM: Final = 'It must look like {"mcpServers": {"NAME": {"command": "PROGRAM", "args": []}}}; nothing was sent.'
_NOT_IN_A_TOOL: Final = re.compile(r"[^a-zA-Z0-9_-]")
"""Characters that the CLI (2.1.332) replaces by `_` when a server's name becomes part of its tools' names."""
_VARIABLE: Final = re.compile(r"\$\{(\w+)")


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Checked files: their absolute paths, and a hash that changes with their contents.

    `secrets` are the values that a file gives only to its servers, each with its name, the longest first.
    """

    paths: tuple[str, ...] = ()
    digest: str = ""
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def without_secrets(self, text: str) -> str:
        """Return the text with each secret value replaced by its name."""
        for value, name in self.secrets:
            text = text.replace(value, f"[{name}]")
        return text


NO_FILES: Final = ServerFiles()


def server_files(paths: Iterable[str | os.PathLike[str]]) -> ServerFiles:
    """Check files that name servers. Relative paths start at the working directory.

    :raises ConfigError: if a file cannot be read or names no server, if a link leads out of its folder, or if a name is ours or
        that of two servers.
    """
    if not paths:
        return NO_FILES
    directory, digest = working_directory(), hashlib.sha256()
    taken: dict[str, str] = {}
    secrets: dict[str, str] = {}
    absolute = dict.fromkeys(os.path.normpath(os.path.join(directory, os.path.expanduser(path))) for path in paths)
    for path in absolute:
        shown, text = shorten_home(path), _text(path, directory)
        for name, server in _servers(shown, text).items():
            _check(shown, name, server)
            if (prefix := _in_a_tool(name)) in taken:
                raise ConfigError(
                    f"Two servers would be called {prefix}, in {taken[prefix]} and in {shown}.",
                    next_step="Rename one; nothing was sent.",
                )
            taken[prefix] = shown
            secrets |= dict(_secrets(server))
        variables = {name: os.environ.get(name) for name in _VARIABLE.findall(text)}
        digest.update(repr((path, text, sorted(variables.items(), key=repr))).encode("utf-8", "surrogateescape"))
    longest_first = sorted(secrets.items(), key=lambda secret: -len(secret[0]))
    return ServerFiles(tuple(absolute), digest.hexdigest(), tuple(longest_first))


def _text(path: str, directory: str) -> str:
    shown = shorten_home(path)
    try:
        data, size = file_data(Path(path), directory, MAX_TEXT_BYTES)
    except AttachmentError as error:
        raise ConfigError(
            error.message, next_step="Check the path of the file that names the servers; nothing was sent."
        ) from error
    if size > MAX_TEXT_BYTES:
        raise ConfigError(f"{shown} has {size / 1e6:.1f} MB, which is too large for a list of servers.", next_step=_FORM)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown} is not text in UTF-8.", next_step=_FORM) from error


def _servers(shown: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{shown} is not JSON: {error.msg} in line {error.lineno}.", next_step=_FORM) from error
    except RecursionError as error:
        raise ConfigError(f"{shown} is nested too deeply.", next_step=_FORM) from error
    servers = found.get("mcpServers") if isinstance(found, dict) else None
    if not servers or not isinstance(servers, dict):
        raise ConfigError(f"{shown} names no server.", next_step=_FORM)
    return servers


def _check(shown: str, name: str, server: object) -> None:
    named = f"The server {name_line(name)!r} in {shown}"
    # Otherwise its tools would have names of ours, and their permissions.
    if f"{_in_a_tool(name)}__".startswith(f"{SERVER}__"):
        raise ConfigError(f"{named} has a name that is taken.", next_step="Give it another name; nothing was sent.")
    if not name.strip():
        raise ConfigError(f"A server in {shown} has no name.", next_step="Give it one; nothing was sent.")
    if not isinstance(server, dict) or not any(isinstance(server.get(key), str) for key in ("command", "url")):
        raise ConfigError(f"{named} has neither a command nor a url.", next_step=_FORM)
    if server.get("type") == "sdk":
        raise ConfigError(f"{named} is of the type sdk, which is for programs.", next_step=_FORM)


def _in_a_tool(name: str) -> str:
    return _NOT_IN_A_TOOL.sub("_", name)


def _secrets(server: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the values of environment variables and headers, each with its name."""
    for place in ("env", "headers"):
        given = server.get(place)
        for name, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, str) and len(value) >= MIN_LENGTH:
                yield value, name
