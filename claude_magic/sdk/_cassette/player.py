"""A recorded turn, played: a source of a turn as a live process is one, without a CLI, a network or an account.

Everything is shown as it was recorded, at the recorded pace. Only our own tools that do something are really done again,
after the same question; so nothing runs that was not allowed now, whatever a recording says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from claude_magic import errors
from claude_magic._paths import expand_home
from claude_magic.errors import ClaudeError, TurnError, TurnInterrupted
from claude_magic.sdk import events
from claude_magic.sdk._cassette.line_format import Asked, Called, Ended, RecordedTurn
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event
from claude_magic.sdk.host import DENIED, SERVER, Decision, PermissionAnswer, PermissionRequest, ToolResult, TurnHost

_YIELD_EVERY: Final = 50
"""Events at once, when they are not paced, before others on the loop have their turn."""


class PlayingTurn:
    """Play a recorded turn.

    :param session_ids: the session IDs that stand in the recording, and those that this play has in their place.
    :param directory: where the session of this play lives.
    :param speed: how many times faster than recorded; 0: at once.
    :param effects: names of our tools, as the CLI calls them, that are really done.
    :param granted: rules that were allowed for the session before.
    """

    def __init__(
        self,
        turn: RecordedTurn,
        *,
        session_ids: dict[str, str],
        directory: str,
        speed: float,
        effects: Collection[str] = (),
        granted: Collection[str] = (),
    ) -> None:
        self._turn = turn
        self._session_ids = session_ids
        self._directory = directory
        self._speed = speed
        self._effects = effects
        self._granted = set(granted)
        self._calls: dict[str, events.ToolCalled] = {}
        self._answers: dict[str, PermissionAnswer] = {}
        self._results: dict[str, tuple[ToolResult, float]] = {}
        self._begun: set[str] = set()
        self._mode: str | None = None

    async def run_turn(self, prompt: Prompt, options: TurnOptions, host: TurnHost) -> None:
        """Play the turn for `host`; return after its last event. Cancelling it stops it where it is.

        :raises ClaudeError: that the recorded turn failed with.
        """
        self._granted |= set(options.allowed_tools or ())
        self._mode = options.permission_mode
        began = time.monotonic()
        for number, (at, fact) in enumerate(self._turn.facts):
            await self._until(at, began, number)
            if isinstance(fact, Asked | Called):
                waiting_since = time.monotonic()
                await (self._ask_again(fact, host) if isinstance(fact, Asked) else self._do(fact, host))
                began += time.monotonic() - waiting_since
            elif (event := self._played(fact)) is not None:
                host.emit(event)
        await self._until(self._turn.ended_at, began, 0)
        failure = _failure(self._turn.ended, self._turn.ended_at)
        if failure is not None:
            raise failure

    async def _until(self, at: float, began: float, number: int) -> None:
        if self._speed:
            left_s = began + at / self._speed - time.monotonic()
            if left_s > 0:
                await asyncio.sleep(left_s)
                return
        if number % _YIELD_EVERY == 0:
            await asyncio.sleep(0)

    def _played(self, event: Event) -> Event | None:
        match event:
            case events.SessionStarted():
                return replace(event, session_id=self._session_id(event.session_id), directory=self._directory)
            case events.SessionReplaced():
                return replace(event, session_id=self._session_id(event.session_id))
            case events.TurnEnded():
                session_id = None if event.session_id is None else self._session_id(event.session_id)
                return replace(event, session_id=session_id, recorded=True)
            case events.ToolCalled():
                self._calls[event.call_id] = event
            case events.PermissionAnswered() if event.call_id in self._answers or self._done_again(event.call_id):
                return event if event.answer == Decision.DENY.value and event.call_id not in self._answers else None
            case events.ToolReturned():
                return self._returned(event)
        return event

    def _returned(self, event: events.ToolReturned) -> events.ToolReturned:
        answer = self._answers.get(event.call_id)
        if answer is not None and answer.decision is Decision.DENY:
            return events.ToolReturned(event.call_id, answer.word or DENIED, is_error=True, denied=True)
        if event.call_id in self._results:
            result, duration_s = self._results[event.call_id]
            return events.ToolReturned(
                event.call_id, result.text, is_error=result.is_error, images=result.images, duration_s=duration_s
            )
        return event

    async def _ask_again(self, asked: Asked, host: TurnHost) -> None:
        # A recorded no stays one: what Claude said to it follows.
        if self._done_again(asked.call_id) and asked.answer in (Decision.ONCE.value, Decision.SESSION.value):
            await self._permitted(self._calls[asked.call_id], host, asked)

    async def _do(self, called: Called, host: TurnHost) -> None:
        call = self._call_of(called)
        if call is None:
            return
        self._begun.add(call.call_id)
        if not await self._permitted(call, host):
            return
        began = time.monotonic()
        result = await host.call(called.tool, _here(called.arguments))
        self._results[call.call_id] = result, time.monotonic() - began

    async def _permitted(self, call: events.ToolCalled, host: TurnHost, asked: Asked | None = None) -> bool:
        """Whether a call may be done now: a rule allows it, or the person does."""
        answer = self._answers.get(call.call_id)
        if answer is None:
            if self._mode == "bypassPermissions" or self._granted & {call.name, f"mcp__{SERVER}", f"mcp__{SERVER}__*"}:
                return True
            rules = asked.rules if asked is not None and asked.rules else (call.name,)
            reason = None if asked is None else asked.reason
            request = PermissionRequest(call.call_id, call.name, _here(call.input), self._directory, reason, rules)
            try:
                # In this mode the CLI says no by itself.
                answer = PermissionAnswer(Decision.DENY) if self._mode == "dontAsk" else await host.ask(request)
            except asyncio.CancelledError:
                host.emit(events.PermissionAnswered(call.call_id, Decision.DENY.value, word="the turn was stopped"))
                raise
            self._answers[call.call_id] = answer
            granted = rules if answer.decision is Decision.SESSION else ()
            self._granted |= set(granted)
            word = answer.word if answer.decision is Decision.DENY else ""
            host.emit(events.PermissionAnswered(call.call_id, answer.decision.value, granted, word))
        return answer.decision is not Decision.DENY

    def _done_again(self, call_id: str) -> bool:
        call = self._calls.get(call_id)
        return call is not None and call.name in self._effects

    def _call_of(self, called: Called) -> events.ToolCalled | None:
        """Find whose call this was; the CLI does not say it to a tool."""
        name = f"mcp__{SERVER}__{called.tool}"
        waiting = [
            call
            for call in self._calls.values()
            if call.name == name and name in self._effects and call.call_id not in self._begun
        ]
        return next((call for call in waiting if call.input == called.arguments), waiting[0] if waiting else None)

    def _session_id(self, recorded: str) -> str:
        return self._session_ids.get(recorded, recorded)


def _here(value: Any) -> Any:
    """Put this person's home directory where the recording has none."""
    match value:
        case str():
            return expand_home(value)
        case dict():
            return {key: _here(inner) for key, inner in value.items()}
        case list():
            return [_here(inner) for inner in value]
    return value


def _failure(ended: Ended | None, ended_at: float) -> ClaudeError | None:
    if ended is None or ended.outcome == "answered":
        return None
    if ended.outcome == "interrupted":
        return TurnInterrupted(f"Interrupted after {ended_at:.1f} s.")
    kind = getattr(errors, ended.error or "", TurnError)
    kind = kind if isinstance(kind, type) and issubclass(kind, ClaudeError) else TurnError
    failure: ClaudeError = kind(ended.message, next_step=ended.next_step)
    if ended.status is not None and isinstance(failure, errors.APIError):
        failure.status = ended.status
    return failure
