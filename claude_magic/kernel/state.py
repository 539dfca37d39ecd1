"""The state of one kernel: its client, its current session, its turns.

There is one `KernelState` for a shell; the extension makes it and closes it. It decides which session a turn continues and
runs the turn on the background thread; showing it is the business of `cell`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING

from claude_magic.errors import SessionNotFoundError
from claude_magic.kernel.background import Background, Stream
from claude_magic.kernel.host import Item, StreamHost
from claude_magic.kernel.options import Options
from claude_magic.kernel.settings import Settings
from claude_magic.kernel.tools import TOOLS
from claude_magic.kernel.trust import Trust, allow_rules, memories, settings_files
from claude_magic.kernel.turns import Session, Turn
from claude_magic.paths import shorten_home
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.response import SessionAwareResponse

if TYPE_CHECKING:
    from claude_magic.sdk.client import ClaudeClient
    from claude_magic.sdk.sessions import SessionInfo


@dataclass(frozen=True, slots=True)
class RunningTurn:
    """A turn on its way; `directory` is where its session lives, `remarks` are what the person should know beforehand."""

    turn: Turn
    directory: str
    remarks: tuple[str, ...]
    stream: Stream[Item, SessionAwareResponse]


class KernelState:
    """Everything that the cells of one kernel share.

    :param warm_up: imports what the first cell will need; called on the background thread.
    """

    def __init__(self, settings: Settings, warm_up: Callable[[], None]) -> None:
        self.settings = settings
        self.current: Session | None = None
        self.sessions: dict[str, Session] = {}
        self.turns: list[Turn] = []
        self.turn_running = False
        self.trust = Trust()
        self._told_of: dict[str, str] = {}
        self._warm_up = warm_up
        self._numbers = itertools.count(1)
        self._background = Background()
        self._client: Future[ClaudeClient] = self._background.start(self._open_client)
        settings.observe(self._renew_client, ["cli_path", "max_warm", "idle_timeout"])
        settings.observe(self._prepare_again, ["model", "effort", "system", "max_turns", "budget", "mode", "allow"])

    def begin(self, prompt: str, options: Options, *, cell_id: str | None = None) -> RunningTurn:
        """Start a turn in the session that the options name, or the current one, or a new one.

        What is current changes when the turn has reached its session, not before.

        :raises SessionNotFoundError: when `--resume` names no session.
        """
        session = None if options.new else self.find(options.resume) if options.resume else self.current
        turn = Turn(
            number=next(self._numbers),
            prompt=prompt,
            session_id=session.session_id if session else None,
            cell_id=cell_id,
            parent=session.last_turn if session else None,
        )
        directory = session.directory if session else os.getcwd()
        timeout = options.timeout if options.timeout is not None else self.settings.timeout
        choices = options.over(self.settings.turn_options())
        client = self._client.result()
        trusted = self.trust.covers(directory)

        async def work(put: Callable[[Item], None]) -> SessionAwareResponse:
            return await client.run_turn(
                prompt,
                host=StreamHost(put),
                session_id=turn.session_id,
                options=with_settings(choices, directory) if trusted else with_memories(choices, directory),
                directory=directory,
                trusted=trusted,
                use_tools=not options.no_kernel,
                timeout=timeout,
            )

        remarks = self._remarks(choices, directory, trusted=trusted)
        return RunningTurn(turn, directory, remarks, self._background.stream(work))

    def end(self, running: RunningTurn, response: SessionAwareResponse) -> None:
        """Note what a turn came to; the session that it reached is the current one from here on."""
        self.turns.append(running.turn)
        if response.session_id is None:
            return
        session = self.sessions.get(response.session_id)
        if session is None:
            session = Session(response.session_id, response.directory or running.directory)
            self.sessions[session.session_id] = session
        session.add(running.turn, response)
        self.current = session

    def forget(self, session_id: str) -> None:
        """Continue this session no more: it is gone."""
        self.sessions.pop(session_id, None)
        if self.current is not None and self.current.session_id == session_id:
            self.current = None

    def find(self, wanted: str) -> Session:
        """Return the session with this ID, unique prefix of an ID, or name.

        :raises SessionNotFoundError: when there is none, or more than one.
        """
        store = self.store()
        failures: list[SessionNotFoundError] = []
        for directory in dict.fromkeys([os.getcwd(), *(session.directory for session in self.sessions.values())]):
            try:
                info = store.find_session(wanted, directory)
            except SessionNotFoundError as failure:
                failures.append(failure)
                continue
            found = Session(info.session_id, info.directory or directory, info.name)
            return self.sessions.setdefault(info.session_id, found)
        if self.current is not None:
            unchanged = f"The current session ({self.current.session_id[:8]}) has not changed."
            failures[0].next_step = f"%claude_session list shows what there is. {unchanged}"
        raise failures[0]

    def delete(self, wanted: str) -> Session:
        """Delete a session for good, and return what it was.

        :raises SessionNotFoundError: when there is none, or more than one.
        """
        session = self.find(wanted)
        self._background.call(self._client.result().close_session, session.session_id)
        self.store().delete_session(session.session_id, session.directory)
        self.forget(session.session_id)
        return session

    def store(self) -> ModuleType:
        """Return `claude_magic.sdk.sessions`; the SDK that it imports is there by the time anyone asks."""
        self._client.result()
        from claude_magic.sdk import sessions

        return sessions

    def on_disk(self) -> list[SessionInfo]:
        """Return the sessions of the current session's directory, the one used last first."""
        found: list[SessionInfo] = self.store().list_sessions(self.directory)
        return found

    @property
    def directory(self) -> str:
        """Where the next turn works: the current session's directory, else the kernel's."""
        return self.current.directory if self.current else os.getcwd()

    def close(self) -> None:
        """End every CLI process and the background thread."""
        self.settings.unobserve_all()
        client = self._client.result()
        self._background.call(client.aclose)
        self._background.close()

    async def _open_client(self) -> ClaudeClient:
        # The SDK takes a second to import: on this thread, while the person still types.
        from claude_magic.sdk.client import ClaudeClient

        client = ClaudeClient(self.settings.client_config(), tools=TOOLS, asks=True)
        self._prepare(client, os.getcwd())
        # One step of the loop lets the CLI start, which takes longer than the imports that the first cell needs.
        asyncio.get_running_loop().call_soon(self._warm_up)
        return client

    def _renew_client(self, change: object) -> None:
        old = self._client.result()

        async def renew() -> ClaudeClient:
            await old.aclose()
            return await self._open_client()

        self._client = self._background.start(renew)

    def _prepare_again(self, change: object) -> None:
        client, directory = self._client.result(), os.getcwd()

        async def prepare() -> None:
            self._prepare(client, directory)

        self._background.start(prepare)

    def _prepare(self, client: ClaudeClient, directory: str) -> None:
        trusted, options = self.trust.covers(directory), self.settings.turn_options()
        chosen = with_settings(options, directory) if trusted else with_memories(options, directory)
        client.prepare(directory, chosen, trusted=trusted)

    def _remarks(self, choices: TurnOptions, directory: str, *, trusted: bool) -> tuple[str, ...]:
        remarks = []
        if choices.permission_mode == "bypassPermissions":
            remarks.append("Permissions are bypassed in this cell: Claude may do anything without asking.")
        if not trusted and self.trust.changed(directory, self._told_of):
            names = ", ".join(dict.fromkeys(shorten_home(str(path)) for path in settings_files(directory)))
            remarks.append(f"Not loaded, as they can run programs and allow tools: {names}. %claude_session trust loads them.")
        return tuple(remarks)


def with_memories(options: TurnOptions, directory: str) -> TurnOptions:
    """Return the options with the directory's `CLAUDE.md` texts, which the CLI drops together with its settings."""
    texts = [text for text in (memories(directory), options.system) if text]
    return replace(options, system="\n\n".join(texts) or None)


def with_settings(options: TurnOptions, directory: str) -> TurnOptions:
    """Return the options with the rules of a trusted directory."""
    rules = (*(options.allowed_tools or ()), *allow_rules(directory))
    return replace(options, allowed_tools=rules or None)
