"""One turn handed to a process: it waits, is sent, and is done. An interrupt waits until the prompt is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from claude_magic.errors import ClaudeError
from claude_magic.sdk._cli.turn_reader import Reading
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import TurnHost

INTERRUPT_AGAIN_S = 0.3
"""How long an interrupt may stay without effect before we send it again."""


@dataclass(eq=False)
class QueuedTurn:
    """A turn handed to the owner task of a process.

    `sent` is set when the prompt was sent, or when an interrupted turn ended unsent. `reading` reads the answer; it is
    `None` until the prompt was sent. `abandoned` is set when the caller was cancelled.
    """

    prompt: Prompt
    options: TurnOptions
    host: TurnHost
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    reading: Reading | None = None
    abandoned: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether an event has come."""
        return self.reading is not None and self.reading.has_begun

    def finish(self, error: ClaudeError | None) -> None:
        """Pass the turn's end, or its error, to the caller who waits for `done`."""
        if not self.done.cancelled():
            self.done.set_result(None) if error is None else self.done.set_exception(error)

    async def interrupt(self, send: Callable[[], Awaitable[None]], kill: Callable[[], object], limit_s: float) -> None:
        """End the turn. A CLI that does not end it in time is killed; its session will be resumed from disk.

        :param send: sends an interrupt to the CLI.
        :param kill: kills the CLI.
        :param limit_s: how long the CLI may take.
        """
        with anyio.move_on_after(limit_s):
            self.done.add_done_callback(lambda _: self.sent.set())
            await self.sent.wait()
            while not self.done.done():
                try:
                    await send()
                except Exception:  # noqa: BLE001 - killing the CLI ends the turn in any case
                    kill()
                # The CLI ignores an interrupt that comes before it has started on the prompt.
                await asyncio.wait([self.done], timeout=INTERRUPT_AGAIN_S)
        if not self.done.done():
            kill()
            await asyncio.wait([self.done])
