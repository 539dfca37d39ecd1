"""Warm processes that answer rows, each row in a conversation of its own, and what slows all of them down.

Of the ways to keep rows apart, `/clear` in a warm process is the fastest. Measured on 2 busy cores against an API that
replies at once, in rows a second, as multiples of a shell loop over `claude -p` (0.40 a second then): a process for each row 2,
one warm process with `/clear` before each row 19, the same with `/clear` sent while the last row is still being read 35,
without clearing 22 in the same minutes. A whole run (`tests/bench/rows.py`): 12 with one row at once, 25 with two, 37 with
four. A fork takes a process of its own, and so costs what that costs. `side_question`, which keeps nothing, wraps each prompt
in 1.3 kB of instructions. `--no-session-persistence` leaves no transcript on disk.

`/clear` leaves 0.5 kB of notes of itself in front of the prompt that follows (CLI 2.1.332). It is sent before the first row,
too, so that the requests of all rows are alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import anyio

from claude_magic.errors import ClaudeError, CLIDiedError, TurnTimeoutError
from claude_magic.sdk import events
from claude_magic.sdk._cli.process import LiveProcess
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import Listener
from claude_magic.sdk.response import SessionAwareResponse, fold

ROWS_PER_PROCESS: Final = 1_000
"""After how many rows a process is replaced: in 900 rows it grows by 60 MB (CLI 2.1.332), while this side stays as it is."""

_BUSY: Final = (429, 529)
"""What the API answers when it has too much to do."""

_CLEAR: Final = Prompt("/clear")


class Brake:
    """What makes all workers wait together, when the API has told one of them to.

    :param clock: seconds, from wherever.
    """

    def __init__(self, clock: Callable[[], float] = anyio.current_time) -> None:
        self._clock = clock
        self._until = -float("inf")

    def hold(self, delay_s: float) -> None:
        """Let nothing begin for so many seconds."""
        self._until = max(self._until, self._clock() + delay_s)

    @property
    def left_s(self) -> float:
        """How long nothing may begin."""
        return max(0.0, self._until - self._clock())

    async def wait(self) -> None:
        """Return when something may begin."""
        while (left_s := self.left_s) > 0:  # noqa: ASYNC110 - another one may hold it for longer meanwhile
            await asyncio.sleep(left_s)


class Worker:
    """One warm process, or the next one when it has ended, that answers rows one after the other.

    :param make: makes a process, not yet started.
    :param retries: how often a row is asked again when the process dies; refusals of the API are repeated by the CLI.
    """

    def __init__(
        self, make: Callable[[], LiveProcess], options: TurnOptions, brake: Brake, *, retries: int, timeout_s: float | None
    ) -> None:
        self._make = make
        self._options = options
        self._brake = brake
        self._retries = retries
        self._timeout_s = timeout_s
        self._process: LiveProcess | None = None
        self._clearing: asyncio.Task[bool] | None = None

    async def ask(self, prompt: str) -> SessionAwareResponse:
        """Ask in an empty conversation and return the reply.

        :raises TurnTimeoutError: when it took too long.
        :raises ClaudeError: why there is no reply.
        """
        for left in reversed(range(self._retries + 1)):
            await self._brake.wait()
            try:
                return await self._ask(prompt)
            except CLIDiedError:
                await self.aclose()
                if left == 0:
                    raise
        raise AssertionError("a row is asked at least once")

    async def aclose(self) -> None:
        """End the process."""
        if self._process is not None:
            process, self._process = self._process, None
            await process.aclose()
        if self._clearing is not None:
            await asyncio.wait([self._clearing])
            self._clearing = None

    async def _ask(self, prompt: str) -> SessionAwareResponse:
        process = await self._cleared()
        response = SessionAwareResponse()

        def take(event: events.Event) -> None:
            if isinstance(event, events.Retrying) and event.status in _BUSY:
                self._brake.hold(event.delay_s)
            fold(response, event)

        try:
            with anyio.fail_after(self._timeout_s):
                # Whatever stands in a row, it is sent as it is.
                await process.run_turn(Prompt(prompt, verbatim=True), self._options, Listener(take))
        except TimeoutError as error:
            await self.aclose()
            raise TurnTimeoutError(f"The row took longer than {self._timeout_s:g} s.", content=response.arrived) from error
        finally:
            # While the caller reads this reply, the process gets ready for the next row.
            if self._process is not None and process.alive:
                self._clearing = asyncio.create_task(self._clear(process))
        return response

    async def _cleared(self) -> LiveProcess:
        if self._process is not None and self._clearing is not None:
            is_empty = await asyncio.shield(self._clearing)
            if is_empty and self._process.turns < 2 * ROWS_PER_PROCESS:
                return self._process
        await self.aclose()
        self._process = process = self._make()
        await process.start()
        if not await self._clear(process):
            raise CLIDiedError("The Claude CLI does not begin an empty conversation.")
        return process

    async def _clear(self, process: LiveProcess) -> bool:
        """Let the process begin an empty conversation, and return whether it says that it has."""
        said: list[events.Event] = []
        try:
            await process.run_turn(_CLEAR, replace(self._options, schema=None), Listener(said.append))
        except ClaudeError:  # it has ended, or was told to end
            return False
        return any(isinstance(event, events.SessionReplaced) for event in said)
