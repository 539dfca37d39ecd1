"""What a person watches of a cell's replies: at first one line, then widgets, and in the end the settled output.

Each widget is a message or two and takes its time, and the library of them takes longer still. So they come when a reply
takes longer than a moment, asks something or runs code: the line is there at once, and a short reply needs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from claude_magic._render.parts.style_sheet import styled_html
from claude_magic._render.views import ANSWERING, GrowingView
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse

if TYPE_CHECKING:
    from claude_magic._render.live.live_replies import LiveReplies
    from claude_magic._render.live.reply_picker import ReplyPicker
    from claude_magic._render.settled.reply import SettledReply

MOMENT_S: Final = 0.4
"""So long a turn takes before it is worth widgets."""

_BEGINNING: Final = '<div class="claude-status"><span class="claude-dot">●</span><span>starting</span></div>\n'


class LiveView(GrowingView):
    """Replies as they grow, displayed in the running cell as soon as this is made; main thread only.

    :param labels: what is different about each, in the order of the responses; a single one is shown without.
    :param on_stop: called when the Stop button is clicked, which is there once a click would be heard.
    :param on_refused: called when the page shows no widgets.
    :param for_audience: whether they are shown to a room.
    """

    def __init__(
        self,
        labels: Sequence[str],
        on_stop: Callable[[], None],
        on_refused: Callable[[], None] = lambda: None,
        *,
        for_audience: bool = False,
    ) -> None:
        self._labels = tuple(labels)
        self._on_stop = on_stop
        self._on_refused = on_refused
        self._failures: dict[int, ClaudeError] = {}
        self._picker: ReplyPicker | None = None
        self._live: LiveReplies | None = None
        self._latest: tuple[Sequence[SessionAwareResponse], float] = (), 0.0
        self._is_over = False
        self._moment_s = MOMENT_S
        """When the turn has taken so long that widgets are worth it."""
        super().__init__(
            for_audience=for_audience,
            until_settled=ANSWERING | {"text/html": styled_html(_BEGINNING, for_audience=for_audience)},
        )

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Show the replies so far, once they have taken a moment."""
        self._latest = responses, elapsed_s
        if (above := self._above(responses)) and not (self._live and self._live.asks):
            self._moment_s = elapsed_s + MOMENT_S
            self._leave(above)
        if self._is_refused():
            super().update(responses, elapsed_s)
        elif self._live is not None:
            self._live.update(responses, self._failures, elapsed_s)
        elif elapsed_s >= self._moment_s and not self._is_over:
            self._opened()

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Say under one reply why it comes to nothing, from the next update on; the others go on."""
        self._failures[number] = failure

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request under the reply that it belongs to, if a click might be heard."""
        live = self._opened()
        if not live.signs.may_hear:
            return False
        live.ask(number, request, on_answer)
        return True

    def may_hear(self) -> bool:
        """Whether the page has let us know that a click would be heard, or still may."""
        return self._live is None or self._live.signs.may_hear

    def make_room(self) -> None:
        """Show what there is to read: until the next update somebody answers in words, or code runs, for any time."""
        if not self._is_over:
            live, (responses, _) = self._opened(), self._latest
            if responses:
                live.pause(responses)

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Take a permission request away again."""
        if self._live is not None:
            self._live.asked(number, request)

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Put the settled output in the place of the growing replies, then close their widgets: so nothing flickers."""
        if self._is_over:
            return
        if self._live is not None:
            opened = zip(alternatives, self._live.opened, strict=True)
            alternatives = [replace(reply, opened=numbers) for reply, numbers in opened]
        super().settle(alternatives, current=current, on_pick=None)
        if on_pick and len(alternatives) > 1 and not self._is_refused():
            from claude_magic._render.live.reply_picker import ReplyPicker

            # After the plain output: JupyterLab 4.6 hides an output that was one widget's view and becomes another's.
            self._picker = ReplyPicker(alternatives, current, on_pick, self._handle, for_audience=self._for_audience)
            self._picker.show()
        self._close_live()

    def close(self) -> None:
        """Leave the settled replies as plain output and no widget open; a second call changes nothing."""
        super().close()
        self._close_live()
        if self._picker is not None:
            self._picker.close()
            self._picker = None

    def _display_settled(self) -> None:
        if self._picker is not None:
            self._picker.update(self._current)
        else:
            super()._display_settled()

    def _opened(self) -> LiveReplies:
        """Return the widgets, with which the display begins anew if they were not there yet."""
        if self._live is None:
            from claude_magic._render.live.live_replies import LiveReplies

            self._live = LiveReplies(
                self._labels, self._on_stop, self._on_refused, for_audience=self._for_audience, after=self._after
            )
            responses, elapsed_s = self._latest
            if responses:  # the page shows them with what there is to read
                self._live.update(responses, self._failures, elapsed_s)
            self._handle.update(ANSWERING | self._live.bundle())
        return self._live

    def _leave(self, above: SettledReply) -> None:
        if self._live is None or self._live.signs.is_refused:
            super()._leave(above)
            return
        live, self._live = self._live, None
        super()._leave(replace(above, opened=live.opened[0]))
        live.close()

    def _is_refused(self) -> bool:
        return self._live is not None and self._live.signs.is_refused

    def _close_live(self) -> None:
        self._is_over = True
        if self._live is not None:
            live, self._live = self._live, None
            live.close()
