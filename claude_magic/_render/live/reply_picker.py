"""Settled replies side by side, from which a person picks the one that the next cell continues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import HTML, HTMLMath, Widget

from claude_magic._render.live.interactive_output import InteractiveOutput
from claude_magic._render.place import Place
from claude_magic._render.settled.comparison import body_html, head_html, output_bundle, output_metadata, title
from claude_magic._render.settled.reply import SettledReply


class ReplyPicker(InteractiveOutput[int]):
    """Replies, with a button for each that can be continued and is not current.

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
        return [self._maker.columns(self._columns)]

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
