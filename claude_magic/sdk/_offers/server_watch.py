"""The state of the CLI's MCP servers: which ones run, which ones have failed, and why.

The CLI decides when it tries a server again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio

from claude_magic._text import name_line
from claude_magic.sdk._offers.server_files import ServerFiles
from claude_magic.sdk.events import Event, Notice
from claude_magic.sdk.host import SERVER

START_LIMIT_S: Final = 60.0
"""How long a turn waits for servers to start. The CLI waits for them, too, and gives one up after 30 s (2.1.332)."""

LOOK_AGAIN_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of a server: the CLI's `status`, the number of `tools` it offers, and `why` it has failed."""

    name: str
    status: str
    tools: int = 0
    why: str = ""

    @property
    def trouble(self) -> str:
        """One line about a server that cannot be used; empty if it can, or is switched off on purpose."""
        match self.status:
            case "failed":
                return f"The MCP server {self.name} has failed: {self.why or 'the CLI does not say why'}"
            case "pending":
                return f"The MCP server {self.name} has not started yet."
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
        """Check servers that only the CLI's own settings name, once it has named them.

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
