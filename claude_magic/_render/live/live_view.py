"""The live view of a cell's replies, made of plain ipywidgets.

Owns what is in the cell from the first event to the settled output, and closes all of it. How one reply grows is the
business of `live_reply`; folding the events is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ipywidgets import HTML, VBox, Widget

from claude_magic._render.live.live_reply import LiveReply, StopButton
from claude_magic._render.live.reply_picker import ReplyPicker
from claude_magic._render.live.widgets import PageSigns, WidgetMaker, view_bundle
from claude_magic._render.settled.comparison import ending_html, head_html
from claude_magic._render.settled.reply import SettledReply
from claude_magic._render.views import ANSWERING, GrowingView
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse

_STOP_ONE: Final = ("Stop", "Stop this turn; what has arrived is kept")
_STOP_ALL: Final = ("Stop all", "Stop all of them; what has arrived is kept")


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
        self._failures: dict[int, ClaudeError] = {}
        self._picker: ReplyPicker | None = None
        self._maker = maker = WidgetMaker()
        if len(labels) == 1:
            self._stop = StopButton(maker, on_stop, *_STOP_ONE)
            self._replies = [LiveReply(maker, beside=[self._stop.widget])]
            box = maker.framed(self._replies[0].parts, for_audience=for_audience)
        else:
            self._stop = StopButton(maker, on_stop, *_STOP_ALL)
            self._replies = [LiveReply(maker) for _ in labels]
            box = maker.framed([self._columns()], for_audience=for_audience)
        self._box: Widget | None = box
        self._signs = PageSigns(box, on_refused)
        super().__init__(for_audience=for_audience, until_settled=ANSWERING | view_bundle(box))

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Show the replies so far; under one that has ended before the others stands what it came to."""
        if self._box is None:
            return
        if self._signs.is_refused:
            super().update(responses, elapsed_s)
            return
        alone = len(self._replies) == 1
        for number, (reply, response) in enumerate(zip(self._replies, responses, strict=True), 1):
            failure = self._failures.get(number)
            if not alone and (failure or response.ended):
                ended = SettledReply(response, failure=failure)
                reply.end(response, elapsed_s, ending_html(ended, self._for_audience))
            else:
                reply.update(response, elapsed_s)
        self._stop.refresh(hears=self._signs.hears)

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Say under one reply why it comes to nothing, from the next update on; the others go on."""
        self._failures[number] = failure

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request under the reply that it belongs to, if a click might be heard."""
        if not self._signs.may_hear:
            return False
        self._replies[number - 1].ask(request, on_answer)
        return True

    def may_hear(self) -> bool:
        """Whether the page has let us know that a click would be heard, or still may."""
        return self._signs.may_hear

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Take a permission request away again."""
        self._replies[number - 1].asked(request)

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Put the settled output in the place of the growing replies, then close their widgets: so nothing flickers."""
        if self._box is None:
            return
        super().settle(alternatives, current=current, on_pick=None)
        if on_pick and len(alternatives) > 1 and not self._signs.is_refused:
            # After the plain output: JupyterLab 4.6 hides an output that was one widget's view and becomes another's.
            self._picker = ReplyPicker(alternatives, current, on_pick, self._handle, for_audience=self._for_audience)
            self._picker.show()
        self._close_box()

    def close(self) -> None:
        """Leave the settled replies as plain output and no widget open; a second call changes nothing."""
        self._close_box()
        if self._picker is not None:
            self._picker.close()
            self._picker = None

    def _display_settled(self) -> None:
        if self._picker is not None:
            self._picker.update(self._current)
        else:
            super()._display_settled()

    def _close_box(self) -> None:
        if self._box is not None:
            box, self._box = self._box, None
            self._maker.close(box)

    def _columns(self) -> Widget:
        heads = [self._maker.make(HTML, head_html(number, label)) for number, label in enumerate(self._labels, 1)]
        columns = [self._maker.column([head], reply.parts) for head, reply in zip(heads, self._replies, strict=True)]
        self._stop.widget.add_class("claude-stop-all")
        live = self._maker.make(VBox, [self._stop.widget, self._maker.columns(columns)])
        live.add_class("claude-live")
        return live
