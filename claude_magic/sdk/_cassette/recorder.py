"""A host that passes a turn to another host and remembers what happened, for a cassette."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from claude_magic.errors import ClaudeError
from claude_magic.sdk import events
from claude_magic.sdk._cassette.line_format import Asked, Begun, Called, Ended, Fact, LineError, RecordedTurn
from claude_magic.sdk._cassette.scrubbing import Scrubber
from claude_magic.sdk._cassette.turn_check import TurnCheck
from claude_magic.sdk.events import Event
from claude_magic.sdk.host import PassingHost, PermissionAnswer, PermissionRequest, ToolResult, TurnHost

_TOLD: Final = frozenset(
    {"type", "subtype", "is_error", "api_error_status", "duration_ms", "duration_api_ms", "num_turns", "result", "errors"}
    | {"stop_reason", "terminal_reason", "session_id", "total_cost_usd", "usage", "modelUsage", "permission_denials"}
    | {"model_usage_since_last_result", "structured_output"}
)
"""The fields that a recording keeps of the CLI's result message (2.1.331). The others describe machine and account."""


class Recorder(PassingHost):
    """Record what happens in a turn, and forward it to `host`.

    Its clock stops while a person answers a question or one of our tools runs: these take their own time when played.
    """

    def __init__(self, host: TurnHost) -> None:
        super().__init__(host)
        self.begin()

    def begin(self) -> None:
        """Forget everything: the turn starts again."""
        self._facts: list[tuple[float, Fact]] = []
        self._began = time.monotonic()
        self._waits = 0
        self._waiting_since = 0.0

    def emit(self, event: Event) -> None:
        """Forward an event. Events after the turn's end, and those that only say that the turn waits, are not recorded."""
        has_ended = bool(self._facts) and isinstance(self._facts[-1][1], events.TurnEnded)
        if not has_ended and not isinstance(event, events.Unanswered | events.Queued):
            self._facts.append((self._elapsed_s(), event))
        super().emit(event)

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        """Forward a question, and record it with its answer. A second question about the same call replaces the first."""
        earlier = (
            at for at, (_, fact) in enumerate(self._facts) if isinstance(fact, Asked) and fact.call_id == request.call_id
        )
        index = next(earlier, len(self._facts))
        asked = Asked(
            call_id=request.call_id, tool=request.tool, input=request.input, reason=request.reason, rules=request.rules
        )
        self._facts[index : index + 1] = [(self._elapsed_s(), asked)]
        facts = self._facts
        async with self._standing_still():
            answer = await super().ask(request)
        facts[index] = facts[index][0], replace(asked, answer=answer.decision.value, word=answer.word)
        return answer

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Record a call and forward it; its result comes as an event."""
        self._facts.append((self._elapsed_s(), Called(tool=tool, arguments=arguments)))
        async with self._standing_still():
            return await super().call(tool, arguments)

    def turn(self, begun: Begun, scrubber: Scrubber, failure: BaseException | None) -> RecordedTurn | None:
        """Return the recorded turn, `None` if no session began.

        :param begun: its first line, with the session that it continues, if any.
        """
        reached = [fact for _, fact in self._facts if isinstance(fact, events.SessionStarted | events.SessionReplaced)]
        session_id = next((fact.session_id for fact in reached if isinstance(fact, events.SessionStarted)), None)
        if session_id is None:
            return None
        if not (begun.session and isinstance(reached[0], events.SessionReplaced)):
            begun = replace(begun, session=session_id)
        facts = _readable(begun, [(at, _public(fact, scrubber)) for at, fact in _in_whole_lines(self._facts, scrubber)])
        return RecordedTurn(begun, facts=facts, ended=_end(failure), ended_at=self._elapsed_s())

    def _elapsed_s(self) -> float:
        return (self._waiting_since if self._waits else time.monotonic()) - self._began

    @asynccontextmanager
    async def _standing_still(self) -> AsyncIterator[None]:
        if not self._waits:
            self._waiting_since = time.monotonic()
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
            if not self._waits:
                self._began += time.monotonic() - self._waiting_since


def _readable(begun: Begun, facts: list[tuple[float, Fact]]) -> list[tuple[float, Fact]]:
    """Leave out facts that would be refused when read, such as the call of a tool whose input a hook has changed."""
    check, kept = TurnCheck(begun), []
    for at, fact in facts:
        with contextlib.suppress(LineError):
            check.take(fact)
            kept.append((at, fact))
    return kept


def _end(failure: BaseException | None) -> Ended:
    match failure:
        case None:
            return Ended(outcome="answered")
        case ClaudeError():
            return Ended(
                outcome="failed",
                error=type(failure).__name__,
                message=failure.message,
                next_step=failure.next_step,
                status=getattr(failure, "status", None),
            )
        case asyncio.CancelledError():
            return Ended(outcome="interrupted")
    return Ended(outcome="failed", error="ClaudeError", message="The turn failed where it was recorded.")


def _public(fact: Fact, scrubber: Scrubber) -> Fact:
    match fact:
        case events.TurnEnded():
            raw = {key: fact.raw[key] for key in sorted(_TOLD & fact.raw.keys())}
            return replace(fact, messages=(), duration_s=round(fact.duration_s, 3), raw=raw)
        case events.SessionStarted(directory=str(directory)):
            # A path is private, unless it is `~` or below it: every machine has a home directory.
            shown = scrubber.text(directory)
            return replace(fact, directory=shown if shown == "~" or shown.startswith(f"~{os.sep}") else None)
        case events.BlockEnded(duration_s=float(duration_s)) | events.ToolReturned(duration_s=float(duration_s)):
            return replace(fact, duration_s=round(duration_s, 3))
    return fact


def _in_whole_lines(facts: list[tuple[float, Fact]], scrubber: Scrubber) -> list[tuple[float, Fact]]:
    """Scrub each text that came in pieces as a whole: something private may be divided between pieces."""
    blocks: defaultdict[tuple[type, int], dict[int, _Delta]] = defaultdict(dict)
    for index, (_, fact) in enumerate(facts):
        if isinstance(fact, _Delta):
            blocks[type(fact), fact.block][index] = fact
    scrubbed = list(facts)
    for deltas in blocks.values():
        texts = scrubber.pieces([delta.text for delta in deltas.values()])
        for (index, delta), text in zip(deltas.items(), texts, strict=True):
            scrubbed[index] = facts[index][0], replace(delta, text=text)
    # A piece that is empty now is left out.
    return [(at, fact) for at, fact in scrubbed if not (isinstance(fact, _Delta) and not fact.text)]


_Delta = events.TextDelta | events.ThinkingDelta
