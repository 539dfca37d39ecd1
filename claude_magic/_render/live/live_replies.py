"""The replies of a cell, made of plain ipywidgets: while they grow, one alone or several side by side; settled, to pick one.

This module owns all the widgets and closes them. `live_reply` shows one growing reply. The view decides where the widgets are
displayed, and what is shown there before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ipywidgets import HTML, HTMLMath, VBox, Widget

from claude_magic._render.live.interactive_output import InteractiveOutput
from claude_magic._render.live.live_reply import LiveReply
from claude_magic._render.live.widgets import PageSigns, StopButton, WidgetMaker, end_reports, view_bundle
from claude_magic._render.parts.reply_wording import BEGINNING
from claude_magic._render.place import Place
from claude_magic._render.settled.comparison import body_html, ending_html, head_html, output_bundle, output_metadata, title
from claude_magic._render.settled.reply import SettledReply
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse


class LiveReplies:
    """The widgets of a cell's replies while they grow; main thread only. Parameters not named here are those of `LiveView`.

    :param after: a single reply shows only the blocks after the one with this number.
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
        self._for_audience = for_audience
        self._maker = maker = WidgetMaker()
        if len(labels) == 1:
            self._stop = StopButton(maker, on_stop, "Stop", "Stop this turn; what has arrived is kept")
            self._replies = [LiveReply(maker, beside=[self._stop.widget], after=after)]
            parts: Sequence[Widget] = self._replies[0].parts
        else:
            self._stop = StopButton(
                maker, on_stop, "Stop all", "Stop all of them; what has arrived is kept", css_class="claude-stop-all"
            )
            self._replies = [LiveReply(maker) for _ in labels]
            heads = [maker.make(HTML, head_html(number, label)) for number, label in enumerate(labels, 1)]
            columns = [maker.column([head], reply.parts) for head, reply in zip(heads, self._replies, strict=True)]
            side_by_side = maker.make(VBox, columns, css_class="claude-columns")
            parts = [maker.make(VBox, [self._stop.widget, side_by_side], css_class="claude-live")]
        sections = ["columns"] if len(labels) > 1 else []
        self._box = maker.framed(parts, *sections, for_audience=for_audience, reports=True)
        self._ended: set[int] = set()
        self._due_from = len(self._replies) + 1
        self.signs = PageSigns(self._box, on_refused)

    def bundle(self) -> dict[str, Any]:
        """Return the MIME bundle that displays the widgets."""
        return view_bundle(self._box)

    def update(self, responses: Sequence[SessionAwareResponse], failures: Mapping[int, ClaudeError], elapsed_s: float) -> None:
        """Show the replies so far. A reply that ends before the others gets its footer or its error at once.

        While a card is open, its reply and all earlier ones are not painted, so that the card does not move: on a narrow page
        they stand above it. When it is answered, its reply and later ones are painted; their cards are disabled for a moment.
        """
        alone = len(self._replies) == 1
        asking = max((number for number, reply in enumerate(self._replies, 1) if reply.asks), default=0)
        until, self._due_from = min(asking, self._due_from - 1), len(self._replies) + 1
        for number, (reply, response) in enumerate(zip(self._replies, responses, strict=True), 1):
            failure = failures.get(number)
            hold = number <= until
            if hold and number in self._ended:
                reply.tick(elapsed_s)
                continue
            if not hold and not alone and (failure or response.ended):
                self._ended.add(number)
                ended = SettledReply(response, failure=failure)
                reply.end(response, elapsed_s, ending_html(ended, self._for_audience))
            else:
                reply.update(response, elapsed_s, hold=hold)
        self._stop.refresh(hears=self.signs.hears)

    def pause(self, responses: Sequence[SessionAwareResponse]) -> None:
        """Hide the elapsed time until the next update, because it would not move."""
        for reply, response in zip(self._replies, responses, strict=True):
            if response.ended is None:
                reply.pause(response)

    @property
    def asks(self) -> bool:
        """Whether a question or a permission request is open."""
        return any(reply.asks for reply in self._replies)

    @property
    def opened(self) -> list[frozenset[int]]:
        """For each reply, the numbers of the blocks that a person has unfolded."""
        return [reply.opened for reply in self._replies]

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> None:
        """Show a permission request under its reply."""
        for below in self._replies[number:]:
            below.moved()
        self._replies[number - 1].ask(request, on_answer)

    def asked(self, number: int, request: PermissionRequest) -> None:
        """End a permission request; an answered card stays for a while."""
        for reply in self._replies[number - 1 :]:  # before anything moves
            reply.moved()
        self._replies[number - 1].asked(request)
        self._due_from = min(number, self._due_from)

    def end_reports(self) -> None:
        """Let the page no longer report whether it shows the widgets."""
        end_reports(self._box)

    def close(self) -> None:
        """Close every widget."""
        self._maker.close(self._box)


class ReplyPicker(InteractiveOutput[int]):
    """Settled replies side by side, with a button for each that can be continued and is not current.

    :param current: the number of the reply that the next cell continues, from 1; 0 for none.
    :param on_pick: called with the number of the picked reply; afterwards `update` marks the current one.
    :param handle: the display that shows the replies until now.
    """

    section = "columns"

    def __init__(
        self,
        replies: Sequence[SettledReply],
        current: int,
        on_pick: Callable[[int], None],
        handle: Place,
        *,
        for_audience: bool,
    ) -> None:
        super().__init__(on_pick, handle, for_audience=for_audience)
        self._replies = tuple(replies)
        self._current = current

    def update(self, current: int) -> None:
        """Mark another reply as the current one."""
        self._current = current
        self._repaint()

    def _build(self) -> Sequence[Widget]:
        make = self._maker.make
        self._heads = [make(HTML) for _ in self._replies]
        # `HTMLMath`: `HTML` does not typeset formulas.
        bodies = [make(HTMLMath, body_html(reply.cleaned(), self._for_audience)) for reply in self._replies]
        self._columns = [self._maker.column([head], [body]) for head, body in zip(self._heads, bodies, strict=True)]
        return [make(VBox, self._columns, css_class="claude-columns")]

    def _paint(self) -> None:
        for number, (reply, head, column) in enumerate(zip(self._replies, self._heads, self._columns, strict=True), 1):
            is_current = number == self._current
            head.value = head_html(number, reply.label, "current" if is_current else "")
            (column.add_class if is_current else column.remove_class)("claude-current")
            tooltip = f"Continue from {title(number, reply.label)}"
            button = self._button(number, "Continue from this one", tooltip) if reply.can_continue else None
            column.children[0].children = [head] if is_current or button is None else [head, button]

    def _plain_bundle(self) -> dict[str, Any]:
        return output_bundle(self._replies, self._current, for_audience=self._for_audience)

    def _metadata(self) -> dict[str, Any]:
        return output_metadata(self._replies, self._current)
