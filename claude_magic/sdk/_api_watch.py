"""Notices what the API does not report by itself: that it is silent, and that it refuses the login.

It sits between one turn and its host, looks at every event and passes it on. The CLI (2.1.332) waits for minutes without a
message; after a refused key it tries ten times more, for three minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Self

from claude_magic.errors import NotLoggedInError
from claude_magic.sdk import events
from claude_magic.sdk.events import Event
from claude_magic.sdk.host import PassingHost, TurnHost

SILENCE_S: Final = 10.0
"""A message is shown whenever this many seconds more have passed without an answer."""

_REFUSED: Final = 401


class APIWatch(PassingHost):
    """A host that passes events on to another and reports silence. It is a context manager, entered for one turn.

    :param address: the API's address, for a person to read.
    :param renews_login: whether the CLI renews a refused login: then only the second refusal counts.
    :param stop: ends the turn.
    """

    def __init__(self, host: TurnHost, *, address: str, renews_login: bool, stop: Callable[[], object]) -> None:
        super().__init__(host)
        self._address = address
        self._refusals_left = 2 if renews_login else 1
        self._stop = stop
        self._in_message = False
        self._calls: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.failure: NotLoggedInError | None = None
        """Why this object ended the turn; `None` if it did not."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._answered()

    def emit(self, event: Event) -> None:
        match event:
            case events.SessionStarted():
                self._wait()
            case events.TokensCounted():
                # Comes at the start and at the end of a message. After the end the CLI may have work to do.
                self._in_message = not self._in_message
                self._answered()
                if self._in_message:
                    self._wait()
            case events.TextDelta() | events.BlockEnded():
                # More must follow at once. Thoughts and the input of a tool may take long.
                self._answered()
                self._wait()
            case events.ToolStarted(call_id=call_id) | events.ToolCalled(call_id=call_id):
                self._calls.add(call_id)
                self._answered()
            case events.ToolReturned(call_id=call_id):
                self._calls.discard(call_id)
                if not self._calls:
                    self._wait_for_message()
            case events.ThinkingDelta() | events.TurnEnded():
                self._answered()
            case events.BlocksDiscarded() | events.Notice() | events.Retrying(status=None):
                self._wait_for_message()
            case events.Retrying(status=status):
                self._in_message = False
                self._answered()
                self._refusals_left -= status == _REFUSED
                if status == _REFUSED and self._refusals_left == 0:
                    self.failure = NotLoggedInError(f"{self._address} refuses the login: 401.")
                    self._stop()
        # An empty thinking event only says that thinking has begun; the host does not need it.
        if not (isinstance(event, events.ThinkingDelta) and not event.text):
            super().emit(event)

    def _wait_for_message(self) -> None:
        self._in_message = False
        self._wait()

    def _wait(self) -> None:
        if self._timer is None:
            self._say_later(asyncio.get_running_loop().time())

    def _say_later(self, since: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(SILENCE_S, self._say, since)

    def _say(self, since: float) -> None:
        self._host.emit(events.Unanswered(self._address, asyncio.get_running_loop().time() - since))
        self._say_later(since)

    def _answered(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
