"""What paints the replies of a cell: what every view can do, and the views that need no widgets."""

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
"""What stands in the place of a reply until it is settled, wherever no widgets are shown."""


class View:
    """What paints the replies to one prompt, from their first events to the output that stays; mostly it is one reply.

    This one shows nothing, as a quiet cell does; the others are made from it. Replies are numbered from 1.
    """

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Paint what has changed; called at most 20 times a second."""

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Know that one of them comes to nothing while others go on."""

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request with buttons; return False where there are none."""
        return False

    def may_hear(self) -> bool:
        """Whether a button that `ask` has shown can be clicked, as far as is known."""
        return True

    def make_room(self) -> None:
        """Let something else be printed, a question or what code prints: nothing is drawn until the next update."""

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Take a permission request away again."""

    def go_on_below(self, response: SessionAwareResponse) -> None:
        """Let what comes behind the blocks so far stand below what code has printed or shown, if it is the only reply."""

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Leave the output that stays; let a person pick another one of several until `close`, where there are buttons.

        :param current: the number of the one that the next cell continues; 0 for none.
        :param on_pick: called with the number of the one that is picked; `show_current` shows what came of it.
        """

    def show_current(self, current: int) -> None:
        """Mark another settled reply as the current one."""

    def add(self, later: SettledReply) -> bool:
        """Put the reply of a turn below that Claude has taken by itself since; return False where that cannot be."""
        return False

    def close(self) -> None:
        """Leave nothing behind that is alive; callable more than once, also without `settle`."""


class StaticView(View):
    """Show the settled output only: nobody watches, and a saved notebook shall hold no widget.

    It stands above what Claude's code prints meanwhile, so its place is taken at once.

    :param for_audience: whether it is shown to a room.
    :param until_settled: what is displayed in that place until then.
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
        """The number of the last block that stands in displays above."""
        self._until: int | None = None
        """The number of the last block that is to stand there."""
        self._begin()

    def _begin(self) -> None:
        self._show(self._until_settled)

    def _show(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        self._handle.show(bundle, metadata)

    def go_on_below(self, response: SessionAwareResponse) -> None:
        """Use a new display below for what comes next, as soon as the part above is complete."""
        self._until = last_number(response)

    def _above(self, responses: Sequence[SessionAwareResponse], *, ended: bool = False) -> SettledReply | None:
        """Return the part that stays above for good, once it is complete."""
        if self._until is None or len(responses) != 1:
            return None
        from claude_magic._render.settled.reply import SettledReply

        above = SettledReply(responses[0], after=self._after, until=self._until)
        return above if ended or all(block.complete for block in above.blocks) else None

    def _leave(self, above: SettledReply) -> None:
        """Settle the part above, and begin a display below."""
        from claude_magic._render.settled.reply import reply_bundle

        self._show(reply_bundle(above, for_audience=self._for_audience))
        assert above.until is not None
        self._after, self._until, self._said = above.until, None, ""
        self._handle = Place()
        self._begin()

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Say why nothing comes, in the place of the reply, for as long as that lasts."""
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
        """Display the settled output with one more reply, unless there are several side by side."""
        if len(self._settled) != 1:
            return False
        (reply,) = self._settled
        self._settled = (replace(reply, later=(*reply.later, later)),)
        self._display_settled()
        self.settled_at = datetime.now(UTC)
        return True

    def close(self) -> None:
        """Say that nothing came where something was to come."""
        if self.settled_at is None:
            self.settled_at = datetime.now(UTC)
            self._show({"text/plain": "Claude was not asked."})

    def turns(self) -> list[tuple[int | None, str | None]]:
        """Return the number and the session of each turn that has settled here."""
        shown = [reply for settled in self._settled for reply in (settled, *settled.later)]
        return [(reply.turn, reply.response.session_id) for reply in shown]

    def show_again(self) -> None:
        """Display the settled output anew and whole, in the running cell, which is its place from now on."""
        self._settled = tuple(replace(reply, after=BEGINNING) for reply in self._settled)
        self._handle = Place()
        self._handle.display(self._bundle(), self._metadata())

    def show_current(self, current: int) -> None:
        """Mark another reply as the current one, in the same display."""
        if self._settled and current != self._current:
            self._current = current
            self._display_settled()

    def _display_settled(self) -> None:
        self._show(self._bundle(), self._metadata())

    def _bundle(self) -> dict[str, str]:
        from claude_magic._render.settled.cell_output import output_bundle  # not before somebody sees that something happens

        return output_bundle(self._settled, self._current, for_audience=self._for_audience)

    def _metadata(self) -> dict[str, Any]:
        from claude_magic._render.settled.cell_output import output_metadata

        return output_metadata(self._settled, self._current)


class HeadlessView(StaticView):
    """Show the settled output where nobody watches, but may read a log of what was displayed.

    papermill logs each display, and no update of one (2.6). So the reply comes as a display of its own, unless its place had to
    be taken before: above what Claude's code prints, or to say why nothing comes.

    :param in_place: lets what is displayed inside it be seen.
    :param for_audience: whether it is shown to a room.
    """

    def __init__(self, in_place: Callable[[], AbstractContextManager[None]], *, for_audience: bool = False) -> None:
        self._in_place = in_place
        self._responses: Sequence[SessionAwareResponse] = ()
        super().__init__(for_audience=for_audience)

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Say why nothing comes, and remember what has come."""
        self._responses = responses
        super().update(responses, elapsed_s)

    def make_room(self) -> None:
        """Take the reply's place, with what there is of it."""
        if not self._handle.is_shown:
            said = "\n\n".join(filter(None, (_text_so_far(response, self._after) for response in self._responses)))
            self._show({"text/plain": said} if said else ANSWERING)

    def close(self) -> None:
        """Leave nothing where nothing was shown."""
        if self._handle.is_shown:
            super().close()

    def _begin(self) -> None:
        pass

    def _show(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        with self._in_place():
            super()._show(bundle, metadata)


class GrowingView(StaticView):
    """Show the answer as it grows as plain text, for a page that shows no widgets."""

    _painted_s = -math.inf

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Show the end of each answer and how it goes on, once a second: the page gets the whole output each time."""
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
    """Show the settled output as a display of its own, once it is there.

    For places that no update of a display reaches, such as an Output widget, and for those that keep every display and
    update beside each other, as a capture does.

    :param in_place: lets what is displayed inside it be seen.
    :param for_audience: whether it is shown to a room.
    """

    def __init__(self, in_place: Callable[[], AbstractContextManager[None]], *, for_audience: bool = False) -> None:
        self._in_place = in_place
        self._for_audience = for_audience
        self._handle = Place()

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Display the settled output."""
        from claude_magic._render.settled.cell_output import output_bundle, output_metadata

        bundle = output_bundle(alternatives, current, for_audience=self._for_audience)
        with self._in_place():
            self._handle.display(bundle, output_metadata(alternatives, current))
