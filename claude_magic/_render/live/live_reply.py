"""One reply while it grows, as widgets.

This module paints the blocks, the slot for permission requests and the status row. Callers display and close the widgets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from itertools import takewhile
from typing import Any, Final

from ipywidgets import HTML, HBox, HTMLMath, ToggleButton, VBox, Widget

from claude_magic._render.live.choices import card_of
from claude_magic._render.live.growing_text import PIECE_LENGTH, GrowingText
from claude_magic._render.live.question import Card
from claude_magic._render.live.widgets import WidgetMaker
from claude_magic._render.parts import reply_wording
from claude_magic._render.parts.block import block_html, line_html, thinking_html
from claude_magic._render.parts.style_sheet import added_style
from claude_magic._render.parts.tool_call import call_html
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import Block, Remark, SessionAwareResponse, Text, Thinking, ToolCall

PAGE_SIZE: Final = 16

KEPT_S: Final = 2.0
"""The least time that an answered card stays. It is removed when no question is open and Claude writes text again."""

BEHIND_S: Final = 4.0
"""How much longer than the first of several open cards the others must stand still before their buttons work."""

SEEN_ROWS: Final = 8
"""The number of rows of a reply that probably fit on the screen together with a card below them."""

PAINT_EVERY_S: Final = 0.2
"""The least time between two paintings of a growing text. Painting at every update would send four times the messages."""

_ROW_LENGTH: Final = 90

_KINDS: Final = {Text: "text", Thinking: "thinking", ToolCall: "tool", Remark: "remark"}


class LiveReply:
    """The widgets of one reply while it grows: `parts`, from top to bottom.

    `slot` is a box between reply and status line, for permission requests.

    :param beside: widgets at the end of the status row.
    :param after: only blocks after the one with this number are shown.
    """

    def __init__(self, maker: WidgetMaker, beside: Sequence[Widget] = (), after: int = reply_wording.BEGINNING) -> None:
        self._after = after
        self._painters: list[_Painter] = []
        self._cards: dict[str, Card] = {}
        self._answered: list[Card] = []
        self._answered_s = self._now_s = 0.0
        self._is_due = False
        self._painted = (0, 0)
        self.slot = maker.make(VBox, css_class="claude-slot")
        self._maker = maker
        self._waits: HTML | None = None
        self._activity, self._figures = maker.make(HTML), maker.make(HTML)
        self._stack = _Stack(maker)
        self._status = maker.make(HBox, [self._activity, self._figures, *beside], css_class="claude-status-row")
        self.parts = (self._stack.box, self.slot, self._status)

    def update(self, response: SessionAwareResponse, elapsed_s: float, *, hold: bool = False) -> None:
        """Show the reply so far; only what changed is rendered and sent.

        :param hold: whether the blocks are not painted, because that would move the card below them while a person clicks.
            They are still painted once when a first card opens, to mark its call as waiting.
        """
        if self._is_due or not hold:
            self._paint(response, elapsed_s)
        self._is_due = False
        activity, *figures = reply_wording.status_line(response, elapsed_s)
        self._now_s = elapsed_s
        self.tick(elapsed_s)
        if self._cards:
            activity = reply_wording.WAITS if _extent(response) == self._painted else reply_wording.WAITS_WITH_MORE
        elif not hold and elapsed_s - self._answered_s >= KEPT_S and isinstance(next(reversed(response.blocks), None), Text):
            answered, self._answered = self._answered, []
            for card in answered:
                self._take_out(card)
        kind = "claude-status claude-activity" + (" claude-retrying" if reply_wording.waiting(response) else "")
        # The seconds are outside the live region, so that a screen reader announces the activity and not the time.
        self._activity.value = f'<div role="status" aria-live="polite">{line_html([activity], kind)}</div>'
        self._figures.value = line_html(figures, "claude-status")

    def pause(self, response: SessionAwareResponse) -> None:
        """Hide the elapsed time until the next update, because it would not move."""
        self._figures.value = line_html(reply_wording.status_line(response, None)[1:], "claude-status")

    def end(self, response: SessionAwareResponse, elapsed_s: float, html: str) -> None:
        """Show the complete reply, with this HTML instead of the status line."""
        self._paint(response, elapsed_s)
        self._status.add_class("claude-ended")
        self._activity.value, self._figures.value = html, ""

    @property
    def asks(self) -> bool:
        """Whether a question or a permission request is open."""
        return bool(self._cards)

    @property
    def opened(self) -> frozenset[int]:
        """The numbers of the blocks that a person has unfolded, as far as the page has reported."""
        folds = [painter for painter in self._painters if isinstance(painter, _FoldPainter)]
        return frozenset(fold.block.number for fold in folds if fold.is_open)

    def ask(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> None:
        """Show a permission request between reply and status line."""
        self._is_due = not self._cards  # with open cards, painting would move them
        self._cards[request.call_id] = card = card_of(request, on_answer)
        if not self.slot.children:
            # Styles of cards, and an anchor for links.
            rules = f'{added_style("card")}<i id="claude-{self.slot.model_id}"></i>'
            self.slot.children = (self._maker.make(HTML, rules, css_class="claude-here"),)
        self.slot.children = (*self.slot.children, card.box)
        if sum(_rows(painter.block) for painter in self._painters) > SEEN_ROWS:
            self._say_above()

    def asked(self, request: PermissionRequest) -> None:
        """End a request. An answered card stays for a while, so that no other card moves under the mouse pointer."""
        card = self._cards.pop(request.call_id)
        if not self._cards and self._waits is not None:
            self._waits.add_class("claude-hidden")
        if not card.is_answered:
            self._take_out(card)
            return
        self._answered.append(card)
        self._answered_s = self._now_s
        # The keyboard focus was on a button that is removed now. It moves to the next open card, or to the slot, where the next
        # question will appear. Moving it later, to that question, would take it from a person who types elsewhere by then.
        if self._cards:
            next(iter(self._cards.values())).focus()
        elif hasattr(self.slot, "focus"):  # ipywidgets 8
            self.slot.tabbable = True  # a box notices a change of this, but not its first value
            self.slot.focus()
        card.end()

    def tick(self, elapsed_s: float) -> None:
        """Enable the cards that have been at their place for a moment; all but the first wait longer.

        A page that loads fonts late may move several cards just before a click, which would hit another one.
        """
        for count, card in enumerate(self._cards.values()):
            card.tick(elapsed_s, BEHIND_S if count else 0.0)

    def moved(self) -> None:
        """Disable the open cards for a moment, as they have moved."""
        for card in self._cards.values():
            card.moved()

    def _say_above(self) -> None:
        """Show a link above the reply, saying that a question waits below it; a click scrolls there."""
        if self._waits is None:
            link = f'<a href="#claude-{self.slot.model_id}">Claude waits for your answer ↓</a>'
            self._waits = self._maker.make(HTML, link, css_class="claude-waits")
            # Last in the order, but shown above: the page rebuilds each widget that follows an added or removed one.
            self.slot.children = (*self.slot.children, self._waits)
        self._waits.remove_class("claude-hidden")

    def _take_out(self, card: Card) -> None:
        self.slot.children = tuple(child for child in self.slot.children if child is not card.box)
        card.close()

    def _paint(self, response: SessionAwareResponse, elapsed_s: float) -> None:
        self._painted = _extent(response)
        blocks = reply_wording.blocks_between(reply_wording.shown_blocks(response), self._after)
        known = takewhile(lambda pair: pair[0].block is pair[1], zip(self._painters, blocks, strict=False))
        if gone := self._painters[sum(1 for _ in known) :]:
            self._stack.cut(gone[0].start)
            del self._painters[-len(gone) :]
        for painter in self._painters:
            painter.paint(elapsed_s, self._cards)
        for block in blocks[len(self._painters) :]:
            self._painters.append(painter := self._begin(block))
            painter.paint(elapsed_s, self._cards)

    def _begin(self, block: Block) -> _Painter:
        before = _stand_in(self._painters[-1].block if self._painters else None)
        match block:
            case Text():
                return _TextPainter(self._stack, block, before)
            case Remark():
                return _RemarkPainter(self._stack, block, before)
            case _:
                return _FoldPainter(self._stack, block, before)


class _Stack:
    """A stack of widgets, `PAGE_SIZE` to a box: adding one sends the browser the list of that box, not of all."""

    def __init__(self, maker: WidgetMaker) -> None:
        self._maker = maker
        self.box = maker.make(VBox, [maker.make(VBox)])
        self.widgets: list[Widget] = []

    def push(self, kind: type[HTML | HTMLMath]) -> HTML | HTMLMath:
        return self._pushed(self._maker.make(kind))

    def push_fold(self, name: str) -> tuple[ToggleButton, HTML]:
        """Push a line that can be unfolded, with a button over it; the page unfolds it without the kernel."""
        button = self._maker.make(ToggleButton, description=name, tooltip="", css_class="claude-toggle")
        inside = self._maker.make(HTML)
        self._pushed(self._maker.make(VBox, [button, inside], css_class="claude-fold"))
        return button, inside

    def _pushed(self, widget: Any) -> Any:
        if len(self.widgets) == PAGE_SIZE * len(self.box.children):
            self.box.children = (*self.box.children, self._maker.make(VBox))
        page = self.box.children[-1]
        page.children = (*page.children, widget)
        self.widgets.append(widget)
        return widget

    def cut(self, length: int) -> None:
        """Remove all widgets but the first `length`."""
        gone = self.widgets[length:]
        del self.widgets[length:]
        page, rest = divmod(length, PAGE_SIZE)
        kept = page + (rest > 0)
        gone += self.box.children[kept:]
        self.box.children = self.box.children[:kept]
        if rest:
            self.box.children[page].children = self.box.children[page].children[:rest]
        for widget in [*gone, *(child for box in gone for child in getattr(box, "children", ()))]:
            widget.close()


class _RemarkPainter:
    """A line that does not change."""

    def __init__(self, stack: _Stack, block: Remark, stand_in: str) -> None:
        self.block: Block = block
        self.start = len(stack.widgets)
        stack.push(HTML).value = stand_in + block_html(block)

    def paint(self, elapsed_s: float, asked: Container[str]) -> None:
        """Do nothing: a remark does not change."""


class _FoldPainter:
    """A tool call or thinking, rendered when its state changes. A button keeps whether a person has unfolded it."""

    def __init__(self, stack: _Stack, block: ToolCall | Thinking, stand_in: str) -> None:
        self.block: Block = block
        self.start = len(stack.widgets)
        self._stand_in = stand_in
        self._state: tuple[object, ...] = ()
        name = f"{reply_wording.tool_name(block)}, all of it" if isinstance(block, ToolCall) else "What Claude thinks"
        self._button, self._widget = stack.push_fold(name)
        self._thoughts = GrowingText(block) if isinstance(block, Thinking) else None
        self._inside = "<p>This can be read in a moment.</p>"
        self._painted_s = -math.inf

    @property
    def is_open(self) -> bool:
        return bool(self._button.value)

    def paint(self, elapsed_s: float, asked: Container[str]) -> None:
        block = self.block
        if isinstance(block, ToolCall):
            state: tuple[object, ...] = (id(block.input), block.parent_id, block.complete, block.call_id in asked)
            if state != self._state:
                waits = block.call_id in asked and not block.complete
                outcome = reply_wording.WAITS if waits else reply_wording.tool_outcome(block)
                self._show(state, call_html(block, outcome, is_open=True))
        elif isinstance(block, Thinking):
            self._paint_thoughts(block, elapsed_s)

    def _paint_thoughts(self, block: Thinking, elapsed_s: float) -> None:
        # Thinking that grows is sent to the page only while it is unfolded.
        is_due = block.complete or (self.is_open and elapsed_s - self._painted_s >= PAINT_EVERY_S)
        growth = self._thoughts.advance(elapsed_s, cut=False) if self._thoughts and is_due else None
        if growth:
            self._painted_s, self._inside = elapsed_s, growth.tail
        state = (block.complete, block.growing.length > 0)
        if growth or state != self._state:
            self._show(state, thinking_html(block, self._inside, is_open=True))

    def _show(self, state: tuple[object, ...], html: str) -> None:
        self._state = state
        # The button unfolds it, so the line itself needs no keyboard focus.
        self._widget.value = self._stand_in + html.replace("<summary>", '<summary tabindex="-1">', 1)


class _TextPainter:
    """A text: one widget for each finished piece and one for the tail; the next widget is made before it is needed."""

    def __init__(self, stack: _Stack, block: Text, stand_in: str) -> None:
        self.block: Block = block
        self.start = len(stack.widgets)
        self._stack = stack
        self._stand_in = stand_in
        self._text = GrowingText(block)
        self._tail = stack.push(HTMLMath)
        self._next: HTMLMath | None = None
        self._painted_s = -math.inf

    def paint(self, elapsed_s: float, asked: Container[str]) -> None:
        if elapsed_s - self._painted_s < PAINT_EVERY_S and not self.block.complete:
            return
        is_last = self._stack.widgets[-1] in (self._tail, self._next)
        growth = self._text.advance(elapsed_s, cut=is_last)
        if growth is None:
            return
        self._painted_s = elapsed_s
        widgets = [self._tail]
        for _ in growth.finished:
            widgets.append(self._next or self._stack.push(HTMLMath))
            self._next = None
        values = [*growth.finished, growth.tail]
        values[0], self._stand_in = self._stand_in + values[0], "" if growth.finished else self._stand_in
        # The last widget first: for a moment, a line is shown twice. Else it would be missing, and the page would shrink.
        for widget, value in zip(reversed(widgets), reversed(values), strict=True):
            widget.value = value
        self._tail = widgets[-1]
        if is_last and self._next is None and len(growth.tail) > PIECE_LENGTH // 2 and not self.block.complete:
            self._next = self._stack.push(HTMLMath)


def _rows(block: Block) -> int:
    """Estimate how many rows a block has on the page."""
    return len(block.text) // _ROW_LENGTH + block.text.count("\n") + 1 if isinstance(block, Text) else 1


def _extent(response: SessionAwareResponse) -> tuple[int, int]:
    """Return how far a reply has come: the number of its blocks, and the length of the last one."""
    last = next(reversed(response.blocks), None)
    return len(response.blocks), last.growing.length if isinstance(last, Text | Thinking) else 0


_Painter = _RemarkPainter | _FoldPainter | _TextPainter


def _stand_in(before: Block | None) -> str:
    """Return an invisible element with the class of the block before: the space between two blocks depends on it."""
    return "" if before is None else f'<i class="claude-{_KINDS[type(before)]}" hidden></i>'
