"""Several replies to one prompt, growing side by side in widgets, and the table from which a person picks one.

Owns what is in the cell from the first event to the output that stays, which is `alternatives`'; how one reply grows is
`live`'s. Numbers of alternatives count from 1, as they are shown.

The settled table has real buttons only until `close` is called, as `panel` has and for its reason. All that is saved
before is in the widget's bundle too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from IPython.display import DisplayHandle
from ipywidgets import HTML, Button, HTMLMath, VBox, Widget

from claude_magic._render.live.live_reply import LiveReply, StopButton
from claude_magic._render.live.widgets import WidgetMaker, view_bundle
from claude_magic._render.parts.redacted_reply import cleaned
from claude_magic._render.settled.comparison import (
    Alternative,
    body_html,
    columns_bundle,
    head_html,
    outcome_html,
    title,
)
from claude_magic._render.views import ANSWERING, columns_metadata
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse


class LiveColumns:
    """Replies as they grow, displayed in the running cell as soon as this is made; main thread only.

    :param labels: what is different about each, in the order of the responses.
    :param on_stop: called when the one Stop button is clicked.
    :param for_audience: whether they are shown to a room.
    """

    def __init__(self, labels: Sequence[str], on_stop: Callable[[], None], *, for_audience: bool = False) -> None:
        self._labels = tuple(labels)
        self._maker = maker = WidgetMaker()
        self._replies = [LiveReply(maker) for _ in labels]
        self._failures: dict[int, ClaudeError] = {}
        self._stop = StopButton(maker, on_stop, "Stop all", "Stop all of them; what has arrived is kept")
        self._stop.widget.add_class("claude-stop-all")
        columns = [
            maker.column([maker.make(HTML, head_html(number, label))], reply.parts)
            for number, (label, reply) in enumerate(zip(labels, self._replies, strict=True), 1)
        ]
        live = maker.make(VBox, [self._stop.widget, maker.columns(columns)])
        live.add_class("claude-live")
        self._box: Widget | None = maker.framed([live], "columns", for_audience=for_audience)
        self._settled: tuple[Alternative, ...] = ()
        self._current = 1
        self._choice: _Choice | None = None
        self._handle = DisplayHandle()
        self._handle.display(ANSWERING | view_bundle(self._box), raw=True)

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Show the replies so far; under one that has ended stands what it came to."""
        if self._box is None:
            return
        for number, (reply, response) in enumerate(zip(self._replies, responses, strict=True), 1):
            failure = self._failures.get(number)
            if failure or response.ended:
                ended = Alternative(self._labels[number - 1], None, response, failure)
                reply.end(response, elapsed_s, outcome_html(ended))
            else:
                reply.update(response, elapsed_s)
        self._stop.refresh()

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Say under one reply why it comes to nothing, from the next update on; the others go on."""
        self._failures[number] = failure

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request under the reply that it belongs to."""
        self._replies[number - 1].ask(request, on_answer)
        return True

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Take a permission request away again."""
        self._replies[number - 1].asked(request)

    def settle(self, alternatives: Sequence[Alternative], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Put the settled replies in the place of the growing ones; with `on_pick`, with buttons until `close` is called.

        :param on_pick: called with the number of the one whose button is clicked; `show_current` shows what came of it.
        """
        if self._box is None:
            return
        self._settled, self._current = tuple(alternatives), current
        self._choice = _Choice(self._settled, current, on_pick) if on_pick else None
        self._show()
        self._maker.close(self._box)
        self._box = None

    def show_current(self, current: int) -> None:
        """Mark another settled reply as the current one, in place."""
        if not self._settled or current == self._current:
            return
        self._current = current
        if self._choice:
            self._choice.mark(current)
        else:
            self._show()

    def close(self) -> None:
        """Leave the settled replies as plain HTML and no widget open; a second call changes nothing."""
        if self._box is not None:
            self._maker.close(self._box)
            self._box = None
        if self._choice is not None:
            choice, self._choice = self._choice, None
            self._show()
            choice.close()

    def _show(self) -> None:
        bundle, about = columns_bundle(self._settled, self._current), columns_metadata(self._settled, self._current)
        self._handle.update(bundle, raw=True, metadata=about)
        if self._choice:
            # After the HTML, not at once: JupyterLab 4.6 hides an output that was one widget's view and becomes another's.
            self._handle.update(bundle | view_bundle(self._choice.box), raw=True, metadata=about)


class _Choice:
    """The settled replies as widgets, with a button for each that can be continued and is not current."""

    def __init__(self, alternatives: Sequence[Alternative], current: int, on_pick: Callable[[int], None]) -> None:
        self._alternatives = alternatives
        self._maker = maker = WidgetMaker()
        self._heads: list[Any] = []
        self._buttons: dict[int, Any] = {}
        self._columns: list[Any] = []
        for number, alternative in enumerate(alternatives, 1):
            self._heads.append(maker.make(HTML))
            if alternative.can_continue:
                self._buttons[number] = self._button(number, alternative.label, on_pick)
            # Formulas are typeset in this one alone.
            body = maker.make(HTMLMath, body_html(replace(alternative, response=cleaned(alternative.response))))
            self._columns.append(maker.column([self._heads[-1]], [body]))
        self.mark(current)
        audience = any(alternative.response.for_audience for alternative in alternatives)
        self.box = maker.framed([maker.columns(self._columns)], "columns", for_audience=audience)

    def mark(self, current: int) -> None:
        """Show which one is current."""
        for number, (alternative, head, column) in enumerate(
            zip(self._alternatives, self._heads, self._columns, strict=True), 1
        ):
            is_current = number == current
            head.value = head_html(number, alternative.label, "current" if is_current else "")
            (column.add_class if is_current else column.remove_class)("claude-current")
            button = self._buttons.get(number)
            column.children[0].children = [head] if is_current or button is None else [head, button]

    def close(self) -> None:
        """Close all widgets, also the buttons that are not shown."""
        self._maker.close(self.box)

    def _button(self, number: int, label: str, on_pick: Callable[[int], None]) -> Any:
        tooltip = f"Continue from {title(number, label)}"
        button = self._maker.make(Button, description="Continue from this one", tooltip=tooltip)
        button.on_click(lambda _: on_pick(number))
        return button
