"""The view of a cell's replies while they grow: at first one line, then widgets, and in the end the settled output.

Widgets are slow: each needs a message or two, and importing their library takes even longer. So they appear only when a
reply takes longer than a moment, has a question or runs code. The line is there at once; a short reply needs nothing else.
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
    from claude_magic._render.live.live_replies import LiveReplies, ReplyPicker
    from claude_magic._render.settled.reply import SettledReply

MOMENT_S: Final = 0.4
"""How long a turn runs before widgets appear."""

_BEGINNING: Final = '<div class="claude-status"><span class="claude-dot">●</span><span>starting</span></div>\n'


class LiveView(GrowingView):
    """Shows replies as they grow, in the running cell, from the moment it is created; main thread only.

    :param labels: how each reply differs from the others, in the order of the responses; a single reply shows none.
    :param on_stop: called when the Stop button is clicked. The button appears once clicks are known to arrive.
    :param on_refused: called when the page shows no widgets.
    :param for_audience: whether the replies are shown to an audience: larger, and without their cost.
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
        self._moment_s = MOMENT_S
        """The elapsed time of the turn at which widgets appear."""
        super().__init__(
            for_audience=for_audience,
            until_settled=ANSWERING | {"text/html": styled_html(_BEGINNING, for_audience=for_audience)},
        )

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Show the replies so far; with widgets once the turn has run for a moment."""
        self._latest = responses, elapsed_s
        if (above := self._above(responses)) and not (self._live and self._live.asks):
            self._moment_s = elapsed_s + MOMENT_S
            self._leave(above)
        if self._is_refused():
            super().update(responses, elapsed_s)
        elif self._live is not None:
            self._live.update(responses, self._failures, elapsed_s)
        elif elapsed_s >= self._moment_s and self.settled_at is None:
            self._opened()

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Show under one reply why it failed, from the next update on; the others go on."""
        self._failures[number] = failure

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request under its reply, unless clicks are known not to arrive; return whether it is shown."""
        live = self._opened()
        if not live.signs.may_hear:
            return False
        live.ask(number, request, on_answer)
        return True

    def may_hear(self) -> bool:
        """Whether clicks arrive, or the page may still report that they do."""
        return self._live is None or self._live.signs.may_hear

    def make_room(self) -> None:
        """Show all that has arrived, before code that runs or a wait for input blocks the view, possibly for long."""
        if self.settled_at is None:
            live, (responses, _) = self._opened(), self._latest
            if responses:
                live.pause(responses)

    def asked(self, number: int, request: PermissionRequest) -> None:
        if self._live is not None:
            self._live.asked(number, request)

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Replace the growing replies by the settled output, then close their widgets: in this order nothing flickers."""
        if self.settled_at is not None:
            return
        if self._live is not None:
            opened = zip(alternatives, self._live.opened, strict=True)
            alternatives = [replace(reply, opened=numbers) for reply, numbers in opened]
            self._live.end_reports()
        super().settle(alternatives, current=current, on_pick=None)
        if on_pick and len(alternatives) > 1 and not self._is_refused():
            from claude_magic._render.live.live_replies import ReplyPicker

            # Plain output in between: JupyterLab 4.6 hides an output that changes from one widget's view to another's.
            self._picker = ReplyPicker(alternatives, current, on_pick, self._handle, for_audience=self._for_audience)
            self._picker.show()
        self._close_live()

    def close(self) -> None:
        """Show the settled replies as plain output and close all widgets; a second call changes nothing."""
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
        """Return the widgets; the first call creates them and shows them in the display."""
        if self._live is None:
            from claude_magic._render.live.live_replies import LiveReplies

            self._live = LiveReplies(
                self._labels, self._on_stop, self._on_refused, for_audience=self._for_audience, after=self._after
            )
            responses, elapsed_s = self._latest
            if responses:  # filled before they are displayed
                self._live.update(responses, self._failures, elapsed_s)
            self._handle.show(ANSWERING | self._live.bundle())
        return self._live

    def _leave(self, above: SettledReply) -> None:
        if self._live is None or self._live.signs.is_refused:
            super()._leave(above)
            return
        live, self._live = self._live, None
        live.end_reports()
        super()._leave(replace(above, opened=live.opened[0]))
        live.close()

    def _is_refused(self) -> bool:
        return self._live is not None and self._live.signs.is_refused

    def _close_live(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.close()
