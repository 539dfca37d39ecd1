"""Checks that a recorded turn is consistent: which sessions it names, and that each call ID stands for one tool call.

What runs is shown: a question about one of our tools, or its run, belongs to a call that a reader sees, with that input.
"""

from __future__ import annotations

from claude_magic.sdk import events
from claude_magic.sdk._cassette.line_format import Asked, Begun, Called, Fact, LineError
from claude_magic.sdk._history.places import is_id
from claude_magic.sdk.host import SERVER, Decision
from claude_magic.sdk.response import SessionAwareResponse, ToolCall, call_with_id, fold

_ANSWERS = frozenset(decision.value for decision in Decision)

_BEHIND_THE_END = (events.Notice, events.PermissionAnswered, events.ToolReturned, Asked)
"""What may come after the end of a turn, because it adds nothing to the reply and runs nothing."""

_MOST_CALLS = 5_000
"""No real turn makes so many; more would be slow, as each question and run is compared with all of them."""


class TurnCheck:
    """Check the facts of one turn in their order.

    :raises LineError: if the turn's session ID is invalid.
    """

    def __init__(self, begun: Begun) -> None:
        self._sessions = {_checked_id(begun.session, "session")}
        self._is_replaced = False
        self._has_ended = False
        self._called: set[str] = set()
        self._asked: set[str] = set()
        self._ran: set[str] = set()
        self._shown = SessionAwareResponse()
        """The tool calls, as a reader sees them."""

    def take(self, fact: Fact) -> None:
        """Raise `LineError` if the next fact cannot have happened; the check then stays as it was."""
        if self._has_ended and not isinstance(fact, _BEHIND_THE_END):
            raise LineError("comes after the end of its turn, when the answer is complete")
        match fact:
            case events.SessionReplaced():
                self._sessions.add(_checked_id(fact.session_id, "session"))
                self._is_replaced = True
            case events.SessionStarted():
                # After a replacement, the CLI (2.1.332) starts another session than the announced one.
                if self._is_replaced:
                    self._sessions.add(_checked_id(fact.session_id, "session"))
                self._is_replaced = False
                self._check_session(fact.session_id)
            case events.TurnEnded():
                self._take_end(fact)
                self._has_ended = True
            case events.MessageEnded():
                _checked_id(fact.message_id, "message")
            case events.ToolStarted():
                if fact.call_id in self._called or call_with_id(self._shown, fact.call_id):
                    raise LineError(f"begins the call {fact.call_id!r} a second time")
                fold(self._shown, fact)
            case events.ToolCalled():
                self._take_call(fact)
            case events.BlocksDiscarded():
                fold(self._shown, fact)
            case events.PermissionAnswered():
                if fact.call_id not in self._called:
                    raise LineError(f"answers for {fact.call_id!r}, but no tool call before it has this ID")
                if fact.answer not in _ANSWERS:
                    raise LineError(f"has an unknown answer: {fact.answer[:40]!r}")
            case Asked():
                self._take_question(fact)
            case Called():
                self._ran.add(self._to_run(fact).call_id)

    def _take_end(self, fact: events.TurnEnded) -> None:
        if fact.session_id is not None:
            self._check_session(fact.session_id)
        counts = {key: count for key, count in fact.usage.items() if key.endswith("_tokens") and count is not None}
        if wrong := [key for key, count in counts.items() if type(count) is not int]:
            raise LineError(f"has a count that is not a whole number: {wrong[0][:40]!r}")
        if fact.cost_usd is not None and fact.cost_usd < 0:
            raise LineError("has a negative cost")

    def _check_session(self, session_id: str) -> None:
        if session_id not in self._sessions:
            raise LineError(f"names a session that does not belong to its turn: {session_id[:40]!r}")

    def _take_call(self, fact: events.ToolCalled) -> None:
        if fact.call_id in self._called:
            raise LineError(f"calls {fact.call_id!r} a second time")
        begun = call_with_id(self._shown, fact.call_id)
        if begun is not None and begun.name != fact.name:
            raise LineError(f"calls {fact.name}, but the call began as {begun.name}")
        if len(self._called) == _MOST_CALLS:
            raise LineError(f"makes more than {_MOST_CALLS:,} tool calls in one turn")
        self._called.add(fact.call_id)
        fold(self._shown, fact)

    def _take_question(self, fact: Asked) -> None:
        call = call_with_id(self._shown, fact.call_id) if fact.call_id in self._called else None
        if call is None or call.name != fact.tool:
            raise LineError(f"asks for {fact.tool}, but no line before it calls that tool as {fact.call_id!r}")
        # Our tools only: for its own, the CLI may ask with another input than the call's.
        if fact.tool.startswith(f"mcp__{SERVER}__") and fact.input != call.input:
            raise LineError(f"asks for something else than the call {fact.call_id!r}")
        if fact.call_id in self._asked:
            raise LineError(f"asks for {fact.call_id!r} a second time")
        self._asked.add(fact.call_id)

    def _to_run(self, fact: Called) -> ToolCall:
        name = f"mcp__{SERVER}__{fact.tool}"
        calls = (block for block in self._shown.blocks if isinstance(block, ToolCall) and block.name == name)
        waiting = (call for call in calls if call.call_id in self._called and call.call_id not in self._ran)
        if (call := next((call for call in waiting if call.input == fact.arguments), None)) is None:
            raise LineError(f"runs {fact.tool}, but no tool call before it has these arguments")
        return call


def _checked_id(text: str, what: str) -> str:
    if not is_id(text):
        raise LineError(f"has an invalid {what} ID: {text[:40]!r}")
    return text
