"""The replies of a cell as they grow, made of plain ipywidgets: one alone, or several side by side.

Owns the widgets from the first one to the last, and closes all of them. How one reply grows is the business of `live_reply`;
where they are displayed, and what stands there before and after, that of the view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ipywidgets import HTML, VBox, Widget

from claude_magic._render.live.live_reply import LiveReply
from claude_magic._render.live.widgets import PageSigns, StopButton, WidgetMaker, view_bundle
from claude_magic._render.parts.reply_wording import BEGINNING
from claude_magic._render.settled.comparison import ending_html, head_html
from claude_magic._render.settled.reply import SettledReply
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse

_STOP_ONE: Final = ("Stop", "Stop this turn; what has arrived is kept")
_STOP_ALL: Final = ("Stop all", "Stop all of them; what has arrived is kept")


class LiveReplies:
    """The widgets of a cell's replies, for as long as they grow; main thread only.

    :param labels: what is different about each, in the order of the responses; a single one is shown without.
    :param on_stop: called when the Stop button is clicked, which is there once a click would be heard.
    :param on_refused: called when the page shows no widgets.
    :param for_audience: whether they are shown to a room.
    :param after: the number of the block behind which a single one begins.
    """

    def __init__(
        self,
        labels: Sequence[str],
        on_stop: Callable[[], None],
        on_refused: Callable[[], None],
        *,
        for_audience: bool,
        after: int = BEGINNING,
    ) -> None:
        self._labels = tuple(labels)
        self._for_audience = for_audience
        self._maker = maker = WidgetMaker()
        if len(labels) == 1:
            self._stop = StopButton(maker, on_stop, *_STOP_ONE)
            self._replies = [LiveReply(maker, beside=[self._stop.widget], after=after)]
            parts: Sequence[Widget] = self._replies[0].parts
        else:
            self._stop = StopButton(maker, on_stop, *_STOP_ALL, css_class="claude-stop-all")
            self._replies = [LiveReply(maker) for _ in labels]
            parts = [self._columns()]
        self._box = maker.framed(parts, *(["columns"] if len(labels) > 1 else []), for_audience=for_audience)
        self.signs = PageSigns(self._box, on_refused)

    def bundle(self) -> dict[str, Any]:
        """Give what displays them, for a MIME bundle."""
        return view_bundle(self._box)

    def update(self, responses: Sequence[SessionAwareResponse], failures: Mapping[int, ClaudeError], elapsed_s: float) -> None:
        """Show the replies so far; under one that has ended before the others stands what it came to."""
        alone = len(self._replies) == 1
        for number, (reply, response) in enumerate(zip(self._replies, responses, strict=True), 1):
            failure = failures.get(number)
            if not alone and (failure or response.ended):
                ended = SettledReply(response, failure=failure)
                reply.end(response, elapsed_s, ending_html(ended, self._for_audience))
            else:
                reply.update(response, elapsed_s)
        self._stop.refresh(hears=self.signs.hears)

    def pause(self, responses: Sequence[SessionAwareResponse]) -> None:
        """Show no time until the next update."""
        for reply, response in zip(self._replies, responses, strict=True):
            if response.ended is None:
                reply.pause(response)

    @property
    def asks(self) -> bool:
        """Whether somebody is asked."""
        return any(reply.asks for reply in self._replies)

    @property
    def opened(self) -> list[frozenset[int]]:
        """Of each reply, the numbers of the blocks that somebody has unfolded."""
        return [reply.opened for reply in self._replies]

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> None:
        """Show a permission request under the reply that it belongs to."""
        self._replies[number - 1].ask(request, on_answer)

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Take a permission request away again."""
        self._replies[number - 1].asked(request)

    def close(self) -> None:
        """Close every widget."""
        self._maker.close(self._box)

    def _columns(self) -> Widget:
        heads = [self._maker.make(HTML, head_html(number, label)) for number, label in enumerate(self._labels, 1)]
        columns = [self._maker.column([head], reply.parts) for head, reply in zip(heads, self._replies, strict=True)]
        box: Widget = self._maker.make(VBox, [self._stop.widget, self._maker.columns(columns)], css_class="claude-live")
        return box
