"""MCP servers: the files that name them, and their state: which ones run, which ones have failed, and why.

A file is checked here before the CLI reads it. The CLI knows what a server needs to start, and decides when it tries one again.
We refuse a file that is certain to fail, or whose server could be mistaken for ours.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio

from claude_magic._paths import shorten_home
from claude_magic._redaction import MIN_LENGTH
from claude_magic._text import name_line
from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import MAX_TEXT_BYTES, file_data
from claude_magic.sdk.events import Event, Notice
from claude_magic.sdk.host import SERVER

_FORM: Final = 'It must look like {"mcpServers": {"NAME": {"command": "PROGRAM", "args": []}}}; nothing was sent.'
_NOT_IN_A_TOOL: Final = re.compile(r"[^a-zA-Z0-9_-]")
"""Characters that the CLI (2.1.332) replaces by `_` when a server's name becomes part of its tools' names."""
_VARIABLE: Final = re.compile(r"\$\{(\w+)")

START_LIMIT_S: Final = 60.0
"""How long a turn waits for servers to start. The CLI waits for them, too, and gives one up after 30 s (2.1.332)."""

LOOK_AGAIN_S: Final = 0.1


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
            if (prefix := _NOT_IN_A_TOOL.sub("_", name)) in taken:
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
    # Otherwise its tools would have the names of our tools, and so their permissions.
    if f"{_NOT_IN_A_TOOL.sub('_', name)}__".startswith(f"{SERVER}__"):
        raise ConfigError(f"{named} has a name that is taken.", next_step="Give it another name; nothing was sent.")
    if not name.strip():
        raise ConfigError(f"A server in {shown} has no name.", next_step="Give it one; nothing was sent.")
    if not isinstance(server, dict) or not any(isinstance(server.get(key), str) for key in ("command", "url")):
        raise ConfigError(f"{named} has neither a command nor a url.", next_step=_FORM)
    if server.get("type") == "sdk":
        raise ConfigError(f"{named} is of the type sdk, which is for programs.", next_step=_FORM)


def _secrets(server: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the values of environment variables and headers, each with its name."""
    for place in ("env", "headers"):
        given = server.get(place)
        for name, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, str) and len(value) >= MIN_LENGTH:
                yield value, name


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of a server: the CLI's `status`, the number of `tools` it offers, and `why` it has failed."""

    name: str
    status: str
    tools: int = 0
    why: str = ""

    @property
    def trouble(self) -> str:
        """One line about a server that has failed, has not started yet or needs a login; empty in every other state."""
        match self.status:
            case "failed":
                return f"The MCP server {self.name} has failed: {self.why or 'the CLI does not say why'}"
            case "pending":
                return f"The MCP server {self.name} has not started yet."
            case "needs-auth":
                return f"The MCP server {self.name} needs a login: /mcp does it where `claude` runs in a terminal."
        return ""

    def __str__(self) -> str:
        tools = f"{self.tools} {'tool' if self.tools == 1 else 'tools'}"
        said = tools if self.status == "connected" else self.status.replace("-", " ")
        return f"{self.name}: {said}{f' ({self.why})' if self.why else ''}"


class ServerWatch:
    """The servers of one CLI process, except for ours.

    :param ask: gets their state from the CLI.
    :param files: the files that the process was given. Their secrets are removed from the CLI's messages.
    """

    def __init__(self, ask: Callable[[], Awaitable[Any]], files: ServerFiles) -> None:
        self._ask = ask
        self._files = files
        self._told: frozenset[str] = frozenset()
        self._are_known = bool(files.paths)
        self.servers: tuple[ServerState, ...] = ()
        """The state that the CLI reported last."""

    async def before_turn(self, emit: Callable[[Event], None], is_over: Callable[[], bool]) -> None:
        """If there are servers, wait until each has started or failed, and report new failures.

        :param is_over: whether nobody waits for the turn any more.
        """
        if not self._are_known:
            return
        with anyio.move_on_after(START_LIMIT_S):
            await self._look()
            while any(server.status == "pending" for server in self.servers) and not is_over():
                await asyncio.sleep(LOOK_AGAIN_S)
                await self._look()
        self._tell(emit)

    async def after_turn(self, emit: Callable[[Event], None], names: Collection[str]) -> None:
        """Check servers that only the CLI's own settings name, once the CLI has named them.

        :param names: the servers that the turn began with.
        """
        if names and not self._are_known:
            self._are_known = True
            await self._look()
            self._tell(emit)

    def _tell(self, emit: Callable[[Event], None]) -> None:
        troubles = dict.fromkeys(server.trouble for server in self.servers if server.trouble)
        for trouble in troubles:
            if trouble not in self._told:
                emit(Notice(trouble))
        self._told = frozenset(troubles)

    async def _look(self) -> None:
        try:
            said = await self._ask()
        except Exception:  # noqa: BLE001 - the SDK raises plain Exception for what the CLI does not know
            return
        self.servers = tuple(self._state(server) for server in said["mcpServers"] if server.get("name") != SERVER)

    def _state(self, server: Mapping[str, Any]) -> ServerState:
        return ServerState(
            name_line(str(server.get("name"))),
            str(server.get("status")),
            len(server.get("tools") or ()),
            name_line(self._files.without_secrets(_why(server))),
        )


def _why(server: Mapping[str, Any]) -> str:
    said, program = str(server.get("error") or ""), (server.get("config") or {}).get("command")
    if "ENOENT" in said and program:
        # The CLI (2.1.332) does not name the program: "ENOENT: no such file or directory, posix_spawn 'stdio'".
        return f"there is no program {program}"
    return said
