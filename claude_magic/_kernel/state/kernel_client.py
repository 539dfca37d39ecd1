"""The kernel's one client, on the background thread: opened while the person still types, renewed when its settings change.

What a turn of a directory is allowed to load is put into its options here, so that every process is started alike.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from claude_magic._kernel.background import Background, Stream
from claude_magic._kernel.options.settings import Settings
from claude_magic._kernel.state.directory_trust import Trust, allow_rules, memories
from claude_magic._kernel.state.turns import Start
from claude_magic._kernel.tools.kernel_tools import TOOLS
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.turn_request import TurnRequest

if TYPE_CHECKING:
    from claude_magic.sdk.client import ClaudeClient

T = TypeVar("T")
R = TypeVar("R")


class KernelClient:
    """The client and the thread that it lives on.

    :param warm_up: imports what the first cell will need; called on the background thread.
    """

    def __init__(self, settings: Settings, trust: Trust, warm_up: Callable[[], None]) -> None:
        self._settings = settings
        self._trust = trust
        self._warm_up = warm_up
        self._background = Background()
        self._client: Future[ClaudeClient] = self._background.start(self._open)
        settings.observe(self._renew, ["cli_path", "max_warm", "idle_timeout"])
        settings.observe(self._prepare_again, ["model", "effort", "system", "max_turns", "budget", "mode", "allow"])

    def get(self) -> ClaudeClient:
        """Return the client; waits until it is there."""
        return self._client.result()

    def stream(self, work: Callable[[Callable[[T], None]], Awaitable[R]]) -> Stream[T, R]:
        """Run `work(put)` on the background thread; what it puts comes out of the stream."""
        return self._background.stream(work)

    def request(
        self,
        prompt: Prompt,
        options: TurnOptions,
        directory: str,
        start: Start | None = None,
        *,
        timeout_s: float | None = None,
        use_tools: bool = True,
    ) -> TurnRequest:
        """Return the request of a turn, with what its directory is allowed to load.

        :param start: where the turn begins; `None`: it begins a session.
        """
        start = start or Start()
        options, trusted = self._in_directory(directory, options)
        return TurnRequest(
            prompt=prompt,
            directory=directory,
            session_id=start.origin.session_id if start.origin else None,
            fork=start.fork,
            at=start.origin.message_id if start.origin and start.fork else None,
            options=options,
            timeout_s=timeout_s,
            trusted=trusted,
            use_tools=use_tools,
        )

    def prepare(self, request: TurnRequest) -> None:
        """Start a process ahead of a turn that will begin a session or a branch."""
        self._background.start(self._prepare, self.get(), request)

    def logged_in(self) -> bool:
        """Ask the CLI whether it has an account to work with."""
        self.get()
        from claude_magic.sdk._cli.login import logged_in

        return self._background.call(logged_in, self._settings.cli_path)

    def is_warm(self, session_id: str) -> bool:
        """Whether a live process holds this session."""
        return self.get().warm(session_id) is not None

    def close_session(self, session_id: str) -> None:
        """End the live process of a session, if there is one."""
        self._background.call(self.get().close_session, session_id)

    def close(self) -> None:
        """End every CLI process and the background thread."""
        self._settings.unobserve_all()
        self._background.call(self.get().aclose)
        self._background.close()

    async def _open(self) -> ClaudeClient:
        # The SDK takes a second to import: on this thread, while the person still types.
        from claude_magic.sdk.client import ClaudeClient

        client = ClaudeClient(self._settings.client_config(), tools=TOOLS, asks=True)
        client.prepare(self._next_session())
        # One step of the loop lets the CLI start, which takes longer than the imports that the first cell needs.
        asyncio.get_running_loop().call_soon(self._warm_up)
        return client

    def _renew(self, change: object) -> None:
        self._client = self._background.start(self._reopen, self.get())

    async def _reopen(self, old: ClaudeClient) -> ClaudeClient:
        await old.aclose()
        return await self._open()

    def _prepare_again(self, change: object) -> None:
        self.prepare(self._next_session())

    async def _prepare(self, client: ClaudeClient, request: TurnRequest) -> None:
        client.prepare(request)

    def _next_session(self) -> TurnRequest:
        return self.request(Prompt(""), self._settings.turn_options(), os.getcwd())

    def _in_directory(self, directory: str, options: TurnOptions) -> tuple[TurnOptions, bool]:
        """Return what holds for a turn in a directory, and whether the directory is trusted.

        Its own rules are added when it is; else its `CLAUDE.md` texts, which the CLI drops together with its settings.
        """
        if self._trust.covers(directory):
            rules = (*(options.allowed_tools or ()), *allow_rules(directory))
            return replace(options, allowed_tools=rules or None), True
        texts = [text for text in (memories(directory), options.system) if text]
        return replace(options, system="\n\n".join(texts) or None), False
