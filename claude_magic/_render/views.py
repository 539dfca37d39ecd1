"""The views, which paint the replies of a cell: the interface of all views, and the views that need no widgets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from claude_magic._render.parts.redacted_reply import cleaned
from claude_magic._render.parts.reply_wording import BEGINNING, blocks_between, last_number, status_line, waiting
from claude_magic._render.place import Place
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse, Text

_PAINT_EVERY_S: Final = 1.0
_LINES_SHOWN: Final = 20

if TYPE_CHECKING:
    from claude_magic._render.settled.reply import SettledReply

ANSWERING: Final = {"text/plain": "Claude is answering…"}
"""Shown instead of a reply until it is settled, where no widgets are shown."""


class View:
    """Paints the replies to one prompt, from the first event to the output that stays. A comparison has several replies.

    This class shows nothing, for a quiet cell; the other views derive from it. Replies are numbered from 1.
    """

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Paint what has changed; called at most 20 times a second."""

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Take note that one reply has failed while others go on."""

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request with buttons; return False if the view has none."""
        return False

    def may_hear(self) -> bool:
        """Whether a button that `ask` has shown can be clicked, as far as is known."""
        return True

    def make_room(self) -> None:
        """Prepare for other output, such as a question or what code prints: draw nothing until the next update."""

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Remove a permission request."""

    def go_on_below(self, response: SessionAwareResponse) -> None:
        """From now on, show new blocks below the output of Claude's code, if this is the only reply."""

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Show the output that stays. With buttons and several replies, a person can pick another one until `close`.

        :param current: the number of the reply that the next cell continues; 0 for none.
        :param on_pick: called with the number of the picked reply; afterwards `show_current` marks the current one.
        """

    def show_current(self, current: int) -> None:
        """Mark another settled reply as the current one."""

    def add(self, later: SettledReply) -> bool:
        """Add the reply of a later turn that Claude began by itself; return False if that is not possible."""
        return False

    def close(self) -> None:
        """Close every widget and stop drawing; callable more than once, also without `settle`."""


class StaticView(View):
    """Shows only the settled output, for when nobody watches, so that the saved notebook holds no widget.

    The display is created at once, so that the reply appears above what Claude's code prints meanwhile.

    :param for_audience: whether the reply is shown to an audience: larger, and without its cost.
    :param until_settled: what is displayed until the reply is settled.
    """

    def __init__(self, *, for_audience: bool = False, until_settled: Mapping[str, Any] = ANSWERING) -> None:
        self._for_audience = for_audience
        self._settled: tuple[SettledReply, ...] = ()
        self.settled_at: datetime | None = None
        self._current = 0
        self._handle = Place()
        self._until_settled = until_settled
        self._said = ""
        self._after = BEGINNING
        """The number of the last block that earlier displays show."""
        self._until: int | None = None
        """The number of the last block for the present display, if the reply goes on in a new one below."""
        self._begin()

    def _begin(self) -> None:
        self._show(self._until_settled)

    def _show(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        self._handle.show(bundle, metadata)

    def go_on_below(self, response: SessionAwareResponse) -> None:
        """Begin a new display for the next blocks, as soon as the present ones are complete."""
        self._until = last_number(response)

    def _above(self, responses: Sequence[SessionAwareResponse], *, ended: bool = False) -> SettledReply | None:
        """Return the part of the reply for the present display, if the reply goes on below and the part is complete."""
        if self._until is None or len(responses) != 1:
            return None
        from claude_magic._render.settled.reply import SettledReply

        above = SettledReply(responses[0], after=self._after, until=self._until)
        return above if ended or all(block.complete for block in above.blocks) else None

    def _leave(self, above: SettledReply) -> None:
        """Settle the present display with this part, and begin a new one below."""
        from claude_magic._render.settled.reply import reply_bundle

        self._show(reply_bundle(above, for_audience=self._for_audience))
        assert above.until is not None
        self._after, self._until, self._said = above.until, None, ""
        self._handle = Place()
        self._begin()

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Show why there is no answer yet, for as long as a turn has to wait."""
        if above := self._above(responses):
            self._leave(above)
        said = "; ".join(dict.fromkeys(filter(None, map(waiting, responses))))
        if said != self._said:
            self._said = said
            self._show({"text/plain": f"Claude has not answered: {said}"} if said else self._until_settled)

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Display the settled output."""
        if above := self._above([reply.response for reply in alternatives], ended=True):
            self._leave(above)
        self._settled, self._current = tuple(replace(reply, after=self._after) for reply in alternatives), current
        self._display_settled()
        self.settled_at = datetime.now(UTC)

    def add(self, later: SettledReply) -> bool:
        """Display the settled output with one more reply below, unless several replies are side by side."""
        if len(self._settled) != 1:
            return False
        (reply,) = self._settled
        self._settled = (replace(reply, later=(*reply.later, later)),)
        self._display_settled()
        self.settled_at = datetime.now(UTC)
        return True

    def close(self) -> None:
        """If nothing was settled, show that nothing was sent."""
        if self.settled_at is None:
            self.settled_at = datetime.now(UTC)
            self._show({"text/plain": "No prompt was sent."})

    def turns(self) -> list[tuple[int | None, str | None]]:
        """Return the number and the session ID of each turn that has settled here."""
        shown = [reply for settled in self._settled for reply in (settled, *settled.later)]
        return [(reply.turn, reply.response.session_id) for reply in shown]

    def show_again(self) -> None:
        """Display the whole settled output again, in the running cell; later updates appear there."""
        self._settled = tuple(replace(reply, after=BEGINNING) for reply in self._settled)
        self._handle = Place()
        self._handle.show(*_output(self._settled, self._current, self._for_audience))

    def show_current(self, current: int) -> None:
        """Mark another reply as the current one, in the same display."""
        if self._settled and current != self._current:
            self._current = current
            self._display_settled()

    def _display_settled(self) -> None:
        self._show(*_output(self._settled, self._current, self._for_audience))


class HeadlessView(StaticView):
    """Shows the settled output when nobody watches, but a log of the displays may be read.

    papermill (2.6) logs each display, but no update of one. So the reply is a new display at the end, unless a display was
    needed before: above what Claude's code prints, or to say why there is no answer yet.

    :param in_place: a context in which displays are visible.
    """

    def __init__(self, in_place: Callable[[], AbstractContextManager[None]], *, for_audience: bool = False) -> None:
        self._in_place = in_place
        self._responses: Sequence[SessionAwareResponse] = ()
        super().__init__(for_audience=for_audience)

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Show why there is no answer yet, and remember the replies so far."""
        self._responses = responses
        super().update(responses, elapsed_s)

    def make_room(self) -> None:
        """Begin the display, with the text so far, so that it stays above the output that comes next."""
        if not self._handle.is_shown:
            said = "\n\n".join(filter(None, (_text_so_far(response, self._after) for response in self._responses)))
            self._show({"text/plain": said} if said else ANSWERING)

    def close(self) -> None:
        """Close the view; without a display this shows nothing."""
        if self._handle.is_shown:
            super().close()

    def _begin(self) -> None:
        pass

    def _show(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        with self._in_place():
            super()._show(bundle, metadata)


class GrowingView(StaticView):
    """Shows the answer as plain text while it grows, for a page that shows no widgets."""

    _painted_s = -math.inf

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Show the end of each answer and its status. At most once a second, because each time the whole output is sent."""
        if above := self._above(responses):
            self._leave(above)
        if elapsed_s - self._painted_s >= _PAINT_EVERY_S:
            self._painted_s = elapsed_s
            self._show({"text/plain": "\n\n".join(_growing(each, elapsed_s, self._after) for each in responses)})


def _growing(response: SessionAwareResponse, elapsed_s: float, after: int) -> str:
    shown = _text_so_far(response, after).split("\n")[-_LINES_SHOWN:]
    return "\n".join((*shown, "  ".join(status_line(response, elapsed_s)))).lstrip("\n")


def _text_so_far(response: SessionAwareResponse, after: int) -> str:
    blocks = blocks_between(cleaned(response).blocks, after)
    texts = [block.text.strip("\n") for block in blocks if isinstance(block, Text)]
    return "\n\n".join(filter(None, texts))


class LateView(View):
    """Shows the settled output as one new display, at the end.

    This is for an Output widget, which no update of a display reaches, and for a capture, which keeps the first display and
    each update side by side. The parameters are those of `HeadlessView`.
    """

    def __init__(self, in_place: Callable[[], AbstractContextManager[None]], *, for_audience: bool = False) -> None:
        self._in_place = in_place
        self._for_audience = for_audience
        self._handle = Place()

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Display the settled output."""
        with self._in_place():
            self._handle.show(*_output(alternatives, current, self._for_audience))


def _output(replies: Sequence[SettledReply], current: int, for_audience: bool) -> tuple[dict[str, str], dict[str, Any]]:
    # Imported late: the import would delay the first display.
    from claude_magic._render.settled.comparison import output_bundle, output_metadata

    return output_bundle(replies, current, for_audience=for_audience), output_metadata(replies, current)
