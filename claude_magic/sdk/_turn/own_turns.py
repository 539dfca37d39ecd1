"""Turns that the CLI takes by itself: who hosts them, where they are recorded, and when those of a recording are played.

Such a turn is recorded behind the turn of its session that was recorded last, and played behind that one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

from claude_magic.errors import CassetteError, ClaudeError
from claude_magic.sdk._cassette.cassette import Cassette
from claude_magic.sdk._cassette.player import PlayingTurn
from claude_magic.sdk._cassette.recorder import Recorder
from claude_magic.sdk._cassette.scrubbing import Scrubber
from claude_magic.sdk._history.kept_turns import KeptTurns
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk._turn.live_turn import AskLater, OwnTurn
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Notice
from claude_magic.sdk.host import TurnHost
from claude_magic.sdk.response import SessionAwareResponse, fold


class OwnTurns:
    """Those of one client.

    :param on_end: called with the response of each when it has ended.
    :param ask: answers their permission requests.
    """

    def __init__(
        self,
        on_end: Callable[[SessionAwareResponse], None],
        ask: AskLater,
        log: ClientLog,
        kept: KeptTurns,
        env: Mapping[str, str],
    ) -> None:
        self._on_end = on_end
        self._ask = ask
        self._log = log
        self._kept = kept
        self._env = env
        self._recorded: dict[str, tuple[Cassette, float]] = {}
        """Sessions whose last turn was recorded, where to, and when it had ended."""
        self._waiting: dict[str, _Waiting] = {}
        """Sessions in which something is still to be played."""

    def begin(self) -> TurnHost:
        """Return the host of a turn that the CLI begins now."""
        recorder = Recorder(OwnTurn(lambda response: self._end(response, recorder), self._ask, self._log))
        return recorder

    def recorded(self, session_id: str | None, cassette: Cassette | None) -> None:
        """Note where the last turn of a session was recorded; `None`: nowhere."""
        if session_id is not None and cassette is not None:
            self._recorded[session_id] = cassette, time.monotonic()
        elif session_id is not None:
            self._recorded.pop(session_id, None)

    def play(self, session_id: str | None, turns: list[tuple[float, PlayingTurn]], speed: float) -> None:
        """Play turns of a session in a while, each when it had ended behind the last one that was asked for."""
        if session_id is not None and turns:
            self._waiting[session_id] = _Waiting(
                [(after_s / speed if speed else 0.0, turn) for after_s, turn in turns], self._host
            )

    async def catch_up(self, session_id: str | None) -> None:
        """Play at once what is still to be played in a session: its next prompt came after that."""
        waiting = self._waiting.pop(session_id or "", None)
        if waiting is not None:
            await waiting.catch_up()

    async def aclose(self) -> None:
        """Play no more."""
        for waiting in self._waiting.values():
            await waiting.aclose()
        self._waiting.clear()

    def _host(self) -> TurnHost:
        return OwnTurn(self._on_end, self._ask, self._log)

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
    """Turns that will be played, in their order."""

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
            with contextlib.suppress(ClaudeError):  # it failed then
                await turn.run_turn(Prompt(""), TurnOptions(), host())
