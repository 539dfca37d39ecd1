"""The live view of a turn, made of plain ipywidgets.

Owns what is in the cell between the first event and the settled output, and closes all of it. How a reply grows is
`live`'s, what a block looks like `markdown`'s; folding the events is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable

from IPython.display import DisplayHandle

from claude_magic._render.live.live_reply import LiveReply, StopButton
from claude_magic._render.live.widgets import WidgetMaker, view_bundle
from claude_magic._render.settled.reply import mimebundle
from claude_magic._render.views import ANSWERING, metadata
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse


class LiveView:
    """A turn as it grows, displayed in the running cell as soon as it is made; main thread only.

    `slot` is an empty box between reply and status line. Whoever puts widgets into it may take them out again; those still
    there are closed with the view.

    :param on_stop: called when the Stop button is clicked.
    :param for_audience: whether it is shown to a room.
    """

    def __init__(self, on_stop: Callable[[], None], *, for_audience: bool = False) -> None:
        self._closed = False
        self._maker = maker = WidgetMaker()
        self._stop = StopButton(maker, on_stop, "Stop", "Stop this turn; what has arrived is kept")
        self._reply = LiveReply(maker, beside=[self._stop.widget])
        self.slot = self._reply.slot
        self._box = maker.framed(self._reply.parts, for_audience=for_audience)
        self._handle = DisplayHandle()
        self._handle.display(ANSWERING | view_bundle(self._box), raw=True)

    def update(self, response: SessionAwareResponse, elapsed_s: float) -> None:
        """Show the reply so far; only what changed is rendered and sent."""
        if not self._closed:
            self._reply.update(response, elapsed_s)
            self._stop.refresh()

    def settle(self, response: SessionAwareResponse, *, turn: int | None, failure: ClaudeError | None) -> None:
        """Put the settled output in the place of the view, then close its widgets: in this order nothing flickers."""
        if self._closed:
            return
        bundle = mimebundle(response, turn=turn, failure=failure)
        self._handle.update(bundle, raw=True, metadata=metadata(response, turn))
        self.close()

    def ask(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request between reply and status line."""
        self._reply.ask(request, on_answer)
        return True

    def asked(self, request: PermissionRequest) -> None:
        """Take a permission request away again."""
        self._reply.asked(request)

    def close(self) -> None:
        """Close every widget of the view; a second call changes nothing."""
        if not self._closed:
            self._closed = True
            self._maker.close(self._box)
