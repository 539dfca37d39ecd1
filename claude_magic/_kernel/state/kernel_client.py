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
from claude_magic._kernel.state.turns import Point
from claude_magic._kernel.tools.kernel_tools import TOOLS
from claude_magic.sdk.config import TurnOptions

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

    def options_in(self, directory: str, options: TurnOptions) -> tuple[TurnOptions, bool]:
        """Return what holds for a turn in a directory, and whether the directory is trusted.

        Its own rules are added when it is; else its `CLAUDE.md` texts, which the CLI drops together with its settings.
        """
        if self._trust.covers(directory):
            rules = (*(options.allowed_tools or ()), *allow_rules(directory))
            return replace(options, allowed_tools=rules or None), True
        texts = [text for text in (memories(directory), options.system) if text]
        return replace(options, system="\n\n".join(texts) or None), False

    def prepare(self, directory: str, options: TurnOptions, origin: Point | None = None, *, use_tools: bool = True) -> None:
        """Start a process ahead of a turn that will begin a session, or a branch at `origin`."""
        client = self.get()

        async def prepare() -> None:
            self._prepare(client, directory, options, origin, use_tools=use_tools)

        self._background.start(prepare)

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
        self._prepare(client, os.getcwd(), self._settings.turn_options())
        # One step of the loop lets the CLI start, which takes longer than the imports that the first cell needs.
        asyncio.get_running_loop().call_soon(self._warm_up)
        return client

    def _renew(self, change: object) -> None:
        old = self.get()

        async def renew() -> ClaudeClient:
            await old.aclose()
            return await self._open()

        self._client = self._background.start(renew)

    def _prepare_again(self, change: object) -> None:
        self.prepare(os.getcwd(), self._settings.turn_options())

    def _prepare(
        self,
        client: ClaudeClient,
        directory: str,
        options: TurnOptions,
        origin: Point | None = None,
        *,
        use_tools: bool = True,
    ) -> None:
        chosen, trusted = self.options_in(directory, options)
        where = (origin.session_id, origin.message_id) if origin else (None, None)
        client.prepare(directory, chosen, trusted=trusted, session_id=where[0], at=where[1], use_tools=use_tools)
