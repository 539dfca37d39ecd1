"""Plays a recorded turn in place of a live process, without a CLI, a network or an account.

Everything is shown as it was recorded, at the chosen pace. Only the tools in `effects` really run again, and all but
read-only ones need permission. The recording says only when a tool runs; what runs is the call that the person sees.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from claude_magic import errors
from claude_magic._paths import expand_home
from claude_magic._text import with_texts
from claude_magic.errors import ClaudeError, CLIDiedError, TurnError, TurnInterrupted
from claude_magic.sdk import events
from claude_magic.sdk._cassette.line_format import Asked, Called, RecordedTurn
from claude_magic.sdk._gate.gate import PLANNING
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event
from claude_magic.sdk.host import DENIED, SERVER, Decision, PermissionAnswer, PermissionRequest, Tool, ToolResult, TurnHost
from claude_magic.sdk.response import SessionAwareResponse, Text, ToolCall, as_json, fold

_YIELD_EVERY: Final = 50
"""How many events are emitted without a pause before other tasks of the event loop may run."""

_ANSWER_OF_MODE: Final = {"plan": PermissionAnswer(Decision.DENY, PLANNING), "dontAsk": PermissionAnswer(Decision.DENY)}
"""What these permission modes answer to a call that needs permission; the person is not asked."""

_NOT_RUN: Final = "Not run here: the recording does not say that this call ran."
_NOT_ITS_INPUT: Final = "Not run: the recorded arguments do not fit the tool."


@dataclass(eq=False, slots=True)
class PlayingTurn:
    """Play a recorded turn.

    :param session_ids: from each session ID in the recording to the one that replaces it in this play.
    :param directory: the directory of the session in this play.
    :param speed: the pace as a multiple of the recorded one; 0: at once.
    :param effects: our tools that really run, by the names that the CLI gives them.
    :param granted: rules that were allowed for the session of this play; rules that are allowed now are added.
    :param remark: a line for the person, shown first; empty for none.
    """

    turn: RecordedTurn
    session_ids: dict[str, str]
    directory: str
    speed: float
    effects: Mapping[str, Tool]
    granted: set[str]
    remark: str = ""
    _rules: set[str] = field(default_factory=set, init=False)
    """The rules of this turn alone."""
    _shown: SessionAwareResponse = field(default_factory=SessionAwareResponse, init=False)
    """The texts and tool calls that have been shown."""
    _answers: dict[str, PermissionAnswer] = field(default_factory=dict, init=False)
    _results: dict[str, tuple[ToolResult, float]] = field(default_factory=dict, init=False)
    _begun: set[str] = field(default_factory=set, init=False)
    """The IDs of the shown calls whose recorded run, a `Called`, has been reached."""
    _ended: set[str] = field(default_factory=set, init=False)
    """The calls whose result was shown."""
    _mode: str | None = field(default=None, init=False)

    def behind(self, turn: RecordedTurn) -> PlayingTurn:
        """Return the player of a turn that the CLI began by itself after this one; it plays at once and runs no tool."""
        return PlayingTurn(turn, session_ids=self.session_ids, directory=self.directory, speed=0, effects={}, granted=set())

    async def run_turn(self, prompt: Prompt, options: TurnOptions, host: TurnHost) -> None:
        """Play the turn for `host`; return after its last event. Cancelling stops the turn at once.

        :raises ClaudeError: if the recorded turn failed or was stopped; an error like the recorded one.
        """
        self._rules = set(options.allowed_tools or ())
        self._mode = options.permission_mode
        if self.remark:
            host.emit(events.Notice(self.remark))
        began = time.monotonic()
        for number, (at, fact) in enumerate(self.turn.facts):
            await self._until(at, began, number)
            if isinstance(fact, Asked | Called):
                waiting_since = time.monotonic()
                await (self._ask_again(fact, host) if isinstance(fact, Asked) else self._do(fact, host))
                began += time.monotonic() - waiting_since
            elif (event := self._played(fact)) is not None:
                host.emit(event)
        await self._until(self.turn.ended_at, began, 0)
        if failure := _failure(self.turn):
            raise failure

    async def _until(self, at: float, began: float, number: int) -> None:
        if self.speed:
            left_s = began + at / self.speed - time.monotonic()
            if left_s > 0:
                await asyncio.sleep(left_s)
                return
        if number % _YIELD_EVERY == 0:
            await asyncio.sleep(0)

    def _played(self, event: Event) -> Event | None:
        match event:
            case events.SessionStarted():
                return replace(event, session_id=self._session_id(event.session_id), directory=self.directory, recorded=True)
            case events.SessionReplaced():
                return replace(event, session_id=self._session_id(event.session_id))
            case events.TurnEnded():
                session_id = None if event.session_id is None else self._session_id(event.session_id)
                return replace(event, session_id=session_id, text=self._said(event), recorded=True)
            case events.BlocksDiscarded(first=first) if any(
                call.number >= first and call.call_id in self._begun for call in self._doable()
            ):
                return None  # what was done stays in sight
            case events.ToolStarted() | events.TextDelta() | events.ThinkingDelta() | events.BlocksDiscarded():
                fold(self._shown, event)
            case events.ToolCalled():
                event = replace(event, input=_here(event.input)) if event.name in self.effects else event
                fold(self._shown, event)
            case events.PermissionAnswered() if event.call_id in self._answers or self._done_again(event.call_id):
                return event if event.answer == Decision.DENY.value and event.call_id not in self._answers else None
            case events.ToolReturned():
                if event.call_id in self._ended:
                    return None
                self._ended.add(event.call_id)
                return self._returned(event)
        return event

    def _said(self, ended: events.TurnEnded) -> str:
        """Return the recorded text if it equals all shown text, its last block (as in CLI 2.1.332) or the data.

        Else return all shown text, so that an edited file cannot return what nobody saw.
        """
        texts = [block.text for block in self._shown.blocks if isinstance(block, Text)]
        if ended.is_error or not (texts or ended.structured is not None):
            return ended.text  # an error, or nothing to compare it with
        shown = [self._shown.text, *texts[-1:], *([] if ended.structured is None else [as_json(ended.structured)])]
        if ended.text.strip() in map(str.strip, shown):
            return ended.text
        return self._shown.text

    def _returned(self, event: events.ToolReturned) -> events.ToolReturned:
        answer = self._answers.get(event.call_id)
        if answer is not None and answer.decision is Decision.DENY:
            return events.ToolReturned(event.call_id, answer.word or DENIED, is_error=True, denied=True)
        if event.call_id in self._results:
            result, duration_s = self._results[event.call_id]
            return events.ToolReturned(
                event.call_id, result.text, is_error=result.is_error, images=result.images, duration_s=duration_s
            )
        if self._done_again(event.call_id) and not event.is_error:
            return events.ToolReturned(event.call_id, _NOT_RUN, is_error=True)
        return event

    async def _ask_again(self, asked: Asked, host: TurnHost) -> None:
        # A recorded denial is not asked about again: Claude's reply to it follows in the recording.
        call = self._done_again(asked.call_id)
        if call is not None and asked.answer in (Decision.ONCE.value, Decision.SESSION.value):
            await self._permitted(call, host)

    async def _do(self, called: Called, host: TurnHost) -> None:
        # Match by arguments, as a tool gets no call ID.
        name, arguments = f"mcp__{SERVER}__{called.tool}", _here(called.arguments)
        waiting = (call for call in self._doable() if call.name == name and call.call_id not in self._begun | self._ended)
        call = next((call for call in waiting if call.input == arguments), None)
        if call is None:
            return
        self._begun.add(call.call_id)
        if not _fits(self.effects[call.name], call.input):
            self._results[call.call_id] = ToolResult(_NOT_ITS_INPUT, is_error=True), 0.0
        elif await self._permitted(call, host):
            began = time.monotonic()
            result = await host.call(called.tool, call.input)
            self._results[call.call_id] = result, time.monotonic() - began
        # Shown now, as the recorded result may come late or never.
        self._ended.add(call.call_id)
        host.emit(self._returned(events.ToolReturned(call.call_id, _NOT_RUN, is_error=True)))

    async def _permitted(self, call: ToolCall, host: TurnHost) -> bool:
        """Return whether a call may run now; ask the person if no rule decides."""
        answer = self._answers.get(call.call_id)
        if answer is None:
            if self.effects[call.name].read_only:
                return True
            rules = (call.name,)
            allowing = {*rules, f"mcp__{SERVER}", f"mcp__{SERVER}__*"}
            is_allowed = self._mode == "bypassPermissions" or bool(allowing & (self.granted | self._rules))
            if is_allowed and self._mode != "plan":
                return True
            request = PermissionRequest(call.call_id, call.name, call.input, self.directory, rules=rules)
            try:
                answer = _ANSWER_OF_MODE.get(self._mode or "") or await host.ask(request)
            except asyncio.CancelledError:
                host.emit(events.PermissionAnswered(call.call_id, Decision.DENY.value, word="the turn was stopped"))
                raise
            self._answers[call.call_id] = answer
            granted = rules if answer.decision is Decision.SESSION else ()
            self.granted.update(granted)
            word = answer.word if answer.decision is Decision.DENY else ""
            host.emit(events.PermissionAnswered(call.call_id, answer.decision.value, granted, word))
        return answer.decision.allows

    def _done_again(self, call_id: str) -> ToolCall | None:
        """Return the shown call with this ID, if its tool really runs again."""
        return next((call for call in self._doable() if call.call_id == call_id), None)

    def _doable(self) -> list[ToolCall]:
        return [block for block in self._shown.blocks if isinstance(block, ToolCall) and block.name in self.effects]

    def _session_id(self, recorded: str) -> str:
        # An unknown ID in mid-turn stands for the turn's last session.
        return self.session_ids.get(recorded) or self.session_ids[self.turn.last_session]


def _here(value: Any) -> Any:
    """Expand `~` to this person's home directory."""
    return with_texts(value, lambda text, _: expand_home(text))


def _fits(tool: Tool, arguments: dict[str, Any]) -> bool:
    from jsonschema import Draft202012Validator  # it takes long to import

    return bool(Draft202012Validator(tool.schema | {"additionalProperties": False}).is_valid(arguments))


def _failure(turn: RecordedTurn) -> ClaudeError | None:
    ended = turn.ended
    if ended is None or ended.outcome == "answered":
        return None
    if ended.outcome == "interrupted":
        return TurnInterrupted(f"Interrupted after {turn.ended_at:.1f} s.")
    kind = getattr(errors, ended.error or "", TurnError)
    # An error about one machine, such as a missing session, becomes a `TurnError`.
    is_of_a_turn = isinstance(kind, type) and (issubclass(kind, TurnError) or kind in (ClaudeError, CLIDiedError))
    failure: ClaudeError = (kind if is_of_a_turn else TurnError)(ended.message, next_step=ended.next_step)
    if ended.status is not None and isinstance(failure, errors.APIError):
        failure.status = ended.status
    return failure
