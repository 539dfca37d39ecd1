"""Turns on live processes: those of a prompt, and those that the CLI begins by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from claude_magic.errors import CLIDiedError
from claude_magic.sdk._cli.command_line import Launch
from claude_magic.sdk._cli.process import LiveProcess
from claude_magic.sdk._cli.process_pool import ProcessPool
from claude_magic.sdk._history.kept_turns import KeptTurns
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event, MessageEnded, Notice, Queued, TurnEnded
from claude_magic.sdk.host import PassingHost, PermissionAnswer, PermissionRequest, ToolResult, TurnHost
from claude_magic.sdk.response import SessionAwareResponse, fold

AskLater = Callable[[PermissionRequest], Awaitable[PermissionAnswer]]


class LiveTurn:
    """A turn on a live process. It is one source of turns; a recording is the other.

    :param remarks: what to tell the person about where the turn begins.
    """

    def __init__(self, pool: ProcessPool, launch: Launch, kept: KeptTurns, remarks: Sequence[str] = ()) -> None:
        self._pool = pool
        self.launch = launch
        self._kept = kept
        self._remarks = remarks

    async def run_turn(self, prompt: Prompt, options: TurnOptions, host: TurnHost) -> None:
        """Run the turn on a process of the pool; on a fresh one if that process had died unnoticed.

        :raises ClaudeError: the subclass says why the turn failed.
        """
        for remark in self._remarks:
            host.emit(Notice(remark))
        if self._pool.must_wait(self.launch):
            host.emit(Queued())
        async with self._pool.lease(self.launch) as process:
            fresh = process.turns == 0
            if fresh:
                if process.replaced_work:
                    ended = "; ".join(work.about for work in process.replaced_work)
                    host.emit(Notice(f"Ended, because this turn needs another process: {ended}."))
                await self._tell_of_missing(host)
            try:
                return await self._serve(process, prompt, host)
            except CLIDiedError:
                if process.had_begun or fresh:
                    raise
        async with self._pool.lease(self.launch) as process:
            await self._tell_of_missing(host)
            return await self._serve(process, prompt, host)

    async def _serve(self, process: LiveProcess, prompt: Prompt, host: TurnHost) -> None:
        last = _LastMessage(host)
        try:
            await process.run_turn(prompt, self.launch.options, last)
        finally:
            if last.has_ended:  # else the CLI has died or hangs, and may not have written the turn
                with anyio.CancelScope(shield=True):
                    await self._look(process, last.message_id, host)

    async def _look(self, process: LiveProcess, message_id: str | None, host: TurnHost) -> None:
        session_id = process.session_id
        if remark := await self._kept.look(session_id, message_id, self.launch.directory):
            host.emit(Notice(remark))
        process.holds_unkept = self._kept.count_missing(session_id) > 0

    async def _tell_of_missing(self, host: TurnHost) -> None:
        launch = self.launch
        if not launch.fork and (remark := await self._kept.go_on_from_disk(launch.resume, launch.directory)):
            host.emit(Notice(remark))


class _LastMessage(PassingHost):
    """A host that forwards everything, and remembers the last message of the turn."""

    def __init__(self, host: TurnHost) -> None:
        super().__init__(host)
        self.message_id: str | None = None
        self.has_ended = False

    def emit(self, event: Event) -> None:
        match event:
            case MessageEnded(message_id=message_id):
                self.message_id = message_id
            case TurnEnded():
                self.has_ended = True
        super().emit(event)


class OwnTurn:
    """The host of a turn that the CLI began by itself: nobody waits for it."""

    def __init__(self, on_end: Callable[[SessionAwareResponse], None], ask: AskLater, log: ClientLog) -> None:
        self._on_end = on_end
        self._ask = ask
        self._log = log
        self._response = SessionAwareResponse()

    def emit(self, event: Event) -> None:
        self._log.event(event)
        fold(self._response, event)
        # After a restart the CLI only notes that a task is gone; that is no turn.
        if isinstance(event, TurnEnded) and (event.num_turns or event.is_error):
            self._on_end(self._response)

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        return await self._ask(request)

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult("Nobody does this between two prompts.", is_error=True)
