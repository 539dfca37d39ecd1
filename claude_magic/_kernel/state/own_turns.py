"""Turns that the CLI begins by itself, for example when a helper or a background command has ended.

Each is added to the tree of turns, and is shown in the output of the turn that it follows. If that output cannot be updated,
the next cell mentions the turn in a line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from claude_magic._kernel.state.known_sessions import KnownSessions
from claude_magic._kernel.state.turns import BY_ITSELF, OWN_PROMPT, Start, Turn, Turns
from claude_magic._render.parts.reply_wording import dollars, one_line
from claude_magic.sdk.response import Remark, SessionAwareResponse

if TYPE_CHECKING:
    from claude_magic._render.settled.reply import SettledReply

Add = Callable[["SettledReply"], bool]
"""Adds a reply to the output of a cell; returns whether it can be seen there."""

_OUTPUTS: Final = 8
"""How many outputs are remembered: only a session with a live process can have own turns, and few have one."""


class OwnTurns:
    """The turns of one kernel that the CLI began by itself.

    :param tell: adds a remark to the next reply.
    """

    def __init__(self, turns: Turns, sessions: KnownSessions, tell: Callable[[str], None]) -> None:
        self._turns = turns
        self._sessions = sessions
        self._tell = tell
        self._waiting: deque[tuple[Turn, SessionAwareResponse]] = deque()
        self._outputs: dict[str, tuple[int, Add]] = {}
        """By session: the last turn that has an output, and the function that adds to it."""

    def note(self, response: SessionAwareResponse) -> bool:
        """Queue a turn that has ended for `take`. Called on the background thread, so that turns keep their order.

        :returns: whether there is something to take.
        """
        session = self._sessions.get(response.session_id or "")
        if session is None:
            return False
        start = Start(session.end, session.last_turn, how=BY_ITSELF)
        failed = response.ended is not None and response.ended.is_error
        turn = self._turns.begin(OWN_PROMPT, start, None).ended(response, failed=failed)
        self._sessions.leave(turn, session.session_id, response.message_id, session.directory)
        self._waiting.append((turn, response))
        return True

    def has_output(self, turn: Turn, add: Add) -> None:
        """Remember the output of a turn that has ended in a session."""
        session_id = turn.session_id or ""
        self._outputs.pop(session_id, None)
        self._outputs[session_id] = turn.number, add
        if len(self._outputs) > _OUTPUTS:
            del self._outputs[next(iter(self._outputs))]

    def take(self) -> None:
        """Add the queued turns to the tree and show them, each after its parent has been added."""
        while self._waiting and self._waiting[0][0].start.parent in {None, *(turn.number for turn in self._turns)}:
            turn, response = self._waiting.popleft()
            self._turns.put(turn)
            played = bool(response.metadata.get("recorded"))
            self._sessions.add(turn, response, response.directory or "", played=played)
            if not self._show(turn, response):
                self._tell(_words(turn, response))

    def _show(self, turn: Turn, response: SessionAwareResponse) -> bool:
        from claude_magic._render.settled.reply import SettledReply

        number, add = self._outputs.get(turn.session_id or "", (None, None))
        if add is None or number != turn.start.parent:
            return False
        response.blocks.insert(0, Remark("Claude went on by itself."))
        if not add(SettledReply(response, turn.number, about=turn.about())):
            return False
        self.has_output(turn, add)
        return True


def _words(turn: Turn, response: SessionAwareResponse) -> str:
    recorded = " recorded" if response.metadata.get("recorded") else ""
    cost = f" ({dollars(response.cost_usd)}{recorded})" if response.cost_usd else ""
    said = one_line(response.arrived or response.content, 200)
    return f"Claude went on by itself, which is turn {turn.number}{cost}: {said or 'no words'}"
