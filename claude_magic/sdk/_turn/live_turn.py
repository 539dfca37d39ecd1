"""Turns on live processes: those of a prompt, and those that the CLI begins by itself.

A turn that the CLI begins is recorded after the last recorded turn of its session, and played after that turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from claude_magic.errors import CassetteError, ClaudeError, CLIDiedError
from claude_magic.sdk._cassette.cassette import Cassette
from claude_magic.sdk._cassette.player import PlayingTurn
from claude_magic.sdk._cassette.recorder import Recorder
from claude_magic.sdk._cassette.scrubbing import Scrubber
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
                if process.had_begun or (fresh and not process.is_prepared):
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
                    session_id = process.session_id
                    if remark := await self._kept.look(session_id, last.message_id, self.launch.directory):
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


@dataclass(eq=False, slots=True)
class OwnTurns:
    """The turns that the CLIs of one client begin by themselves."""

    _on_end: Callable[[SessionAwareResponse], None]
    """Called with the response of each turn that has ended."""
    _ask: AskLater
    """Answers the permission requests of these turns."""
    _log: ClientLog
    _kept: KeptTurns
    _env: Mapping[str, str]
    _recorded: dict[str, tuple[Cassette, float]] = field(default_factory=dict, init=False)
    """By session whose last turn was recorded: the cassette, and when that turn ended (monotonic seconds)."""
    _waiting: dict[str, _Waiting] = field(default_factory=dict, init=False)
    """By session: the turns that are still to be played."""

    def begin(self) -> TurnHost:
        """Return the host for a turn that the CLI begins now."""
        recorder = Recorder(OwnTurn(lambda response: self._end(response, recorder), self._ask, self._log))
        return recorder

    def recorded(self, session_id: str | None, cassette: Cassette | None) -> None:
        """Note the cassette of a session's last turn; `None` if it was not recorded."""
        if session_id is not None and cassette is not None:
            self._recorded[session_id] = cassette, time.monotonic()
        elif session_id is not None:
            self._recorded.pop(session_id, None)

    def play(self, session_id: str | None, turns: list[tuple[float, PlayingTurn]], speed: float) -> None:
        """Play turns of a session later, each as long after the session's last prompted turn as in the recording."""
        if session_id is not None and turns:
            later = [(after_s / speed if speed else 0.0, turn) for after_s, turn in turns]
            self._waiting[session_id] = _Waiting(later, lambda: OwnTurn(self._on_end, self._ask, self._log))

    async def catch_up(self, session_id: str | None) -> None:
        """Play at once what is still to be played in a session: in the recording it came before the next prompt."""
        if waiting := self._waiting.pop(session_id or "", None):
            await waiting.catch_up()

    async def aclose(self) -> None:
        """Stop playing."""
        for waiting in self._waiting.values():
            await waiting.aclose()
        self._waiting.clear()

    def _end(self, response: SessionAwareResponse, recorder: Recorder) -> None:
        self._kept.note(response.session_id, response.message_id)
        cassette, ended = self._recorded.get(response.session_id or "", (None, 0.0))
        if cassette is not None:
            try:
                after_s = time.monotonic() - ended
                cassette.record_by_itself(str(response.session_id), recorder, Scrubber(self._env), after_s=after_s)
            except CassetteError as error:
                fold(response, Notice(str(error)))
        self._on_end(response)


class _Waiting:
    """Turns of one session that will be played, in order."""

    def __init__(self, turns: list[tuple[float, PlayingTurn]], host: Callable[[], TurnHost]) -> None:
        self._hurry = asyncio.Event()
        self._task = asyncio.create_task(self._play(turns, host))

    async def catch_up(self) -> None:
        self._hurry.set()
        await asyncio.wait([self._task])

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _play(self, turns: list[tuple[float, PlayingTurn]], host: Callable[[], TurnHost]) -> None:
        began = time.monotonic()
        for after_s, turn in turns:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), max(0.0, began + after_s - time.monotonic()))
            with contextlib.suppress(ClaudeError):  # it failed when it was recorded, too
                await turn.run_turn(Prompt(""), TurnOptions(), host())
