"""Turns that the CLI begins by itself: who hosts them, where they are recorded, and when recorded ones are played.

It is recorded after the last recorded turn of its session, and played after that turn.
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
    """The turns that the CLIs of one client begin by themselves.

    :param on_end: called with the response of each turn that has ended.
    :param ask: answers the permission requests of these turns.
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
        """By session whose last turn was recorded: the cassette, and when that turn ended (monotonic seconds)."""
        self._waiting: dict[str, _Waiting] = {}
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
        """Play turns of a session later, each as long after its last prompted turn as when it was recorded."""
        if session_id is not None and turns:
            later = [(after_s / speed if speed else 0.0, turn) for after_s, turn in turns]
            self._waiting[session_id] = _Waiting(later, lambda: OwnTurn(self._on_end, self._ask, self._log))

    async def catch_up(self, session_id: str | None) -> None:
        """Play at once what is still to be played in a session: in the recording it came before the next prompt."""
        waiting = self._waiting.pop(session_id or "", None)
        if waiting is not None:
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
