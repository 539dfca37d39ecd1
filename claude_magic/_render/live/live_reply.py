"""One reply as it grows, as widgets that somebody else displays.

Owns the painters of blocks, the slot for requests and the status row. The display, and the end of all of it, are the view's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ipywidgets import HTML, Button, HBox, HTMLMath, VBox, Widget

from claude_magic._render.live.choices import card_of
from claude_magic._render.live.growing_text import PIECE_LENGTH, GrowingText
from claude_magic._render.live.question import Card
from claude_magic._render.live.widgets import WidgetMaker
from claude_magic._render.parts.block import block_html, line_html
from claude_magic._render.parts.reply_wording import shown_blocks, status_line, waiting
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import Block, Growing, Remark, SessionAwareResponse, Text, Thinking, ToolCall

PAGE_SIZE: Final = 16

KEPT_S: Final = 2.0
"""So long an answered card keeps its place at least; it goes when nothing is asked and Claude speaks again."""

SEEN_ROWS: Final = 8
"""So many rows of a reply are seen at once with what stands below them, likely."""

_ROW_LENGTH: Final = 90


class LiveReply:
    """The widgets of one reply as it grows: `parts`, from top to bottom.

    `slot` is an empty box between reply and status line. Whoever puts widgets into it may take them out again.

    :param beside: widgets to stand at the end of the status row.
    """

    def __init__(self, maker: WidgetMaker, beside: Sequence[Widget] = ()) -> None:
        self._painters: list[_BlockPainter | _TextPainter] = []
        self._cards: dict[str, Card] = {}
        self._answered: list[Card] = []
        self._answered_s = self._now_s = 0.0
        self.slot = maker.make(VBox, css_class="claude-slot")
        self._maker = maker
        self._waits: HTML | None = None
        self._activity, self._figures = maker.make(HTML), maker.make(HTML)
        self._stack = _Stack(maker)
        self._status = maker.make(HBox, [self._activity, self._figures, *beside], css_class="claude-status-row")
        self.parts = (self._stack.box, self.slot, self._status)

    def update(self, response: SessionAwareResponse, elapsed_s: float) -> None:
        """Show the reply so far; only what changed is rendered and sent."""
        self._paint(response, elapsed_s)
        activity, *figures = status_line(response, elapsed_s)
        self._now_s = elapsed_s
        for card in self._cards.values():
            card.tick(elapsed_s)
        if self._cards:
            activity = "waiting for you"
        elif elapsed_s - self._answered_s >= KEPT_S and isinstance(next(reversed(response.blocks), None), Text):
            self._clear_answered()
        kind = "claude-status claude-activity" + (" claude-retrying" if waiting(response) else "")
        # The seconds tick outside of the live region: a screen reader is told what is going on, not the time.
        self._activity.value = f'<div role="status" aria-live="polite">{line_html([activity], kind)}</div>'
        self._figures.value = line_html(figures, "claude-status")

    def end(self, response: SessionAwareResponse, elapsed_s: float, html: str) -> None:
        """Show the reply with something else in the place of its status line, as nothing more will come."""
        self._paint(response, elapsed_s)
        self._status.add_class("claude-ended")
        self._activity.value, self._figures.value = html, ""

    def ask(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> None:
        """Show a permission request between reply and status line."""
        self._cards[request.call_id] = card = card_of(request, on_answer)
        if not self.slot.children:
            self.slot.children = (self._maker.rules("card", f"claude-{self.slot.model_id}"),)
        self.slot.children = (*self.slot.children, card.box)
        if sum(_rows(painter.block) for painter in self._painters) > SEEN_ROWS:
            self._say_above()

    def asked(self, request: PermissionRequest) -> None:
        """Ask no more; a card that was answered stays where it is for a while, so that no other one gets under the pointer."""
        card = self._cards.pop(request.call_id)
        if not self._cards and self._waits is not None:
            self._waits.add_class("claude-hidden")
        if not card.is_answered:
            self._take_out(card)
            return
        self._answered.append(card)
        self._answered_s = self._now_s
        # The keyboard was in one of its buttons, which go. It stays in this place, in which the next question will be; to
        # give it to that one when it comes would take it from whoever types elsewhere by then.
        if self._cards:
            next(iter(self._cards.values())).focus()
        elif hasattr(self.slot, "focus"):  # ipywidgets 8
            self.slot.tabbable = True  # a box looks at that when it changes, not when it is made
            self.slot.focus()
        card.end()

    def _clear_answered(self) -> None:
        answered, self._answered = self._answered, []
        for card in answered:
            self._take_out(card)

    def _say_above(self) -> None:
        """Say at the top of the reply that a question waits below it, with a link: the page scrolls there by itself."""
        if self._waits is None:
            link = f'<a href="#claude-{self.slot.model_id}">Claude waits for your answer ↓</a>'
            self._waits = self._maker.make(HTML, link, css_class="claude-waits")
            # Behind the card: what follows a widget that comes in or goes is made anew on the page.
            self.slot.children = (*self.slot.children, self._waits)
        self._waits.remove_class("claude-hidden")

    def _take_out(self, card: Card) -> None:
        self.slot.children = tuple(child for child in self.slot.children if child is not card.box)
        card.close()

    def _paint(self, response: SessionAwareResponse, elapsed_s: float) -> None:
        blocks = shown_blocks(response)
        self._drop(_known(self._painters, blocks))
        for painter in self._painters:
            painter.paint(elapsed_s)
        for block in blocks[len(self._painters) :]:
            self._painters.append(painter := self._begin(block))
            painter.paint(elapsed_s)

    def _begin(self, block: Block) -> _BlockPainter | _TextPainter:
        before = self._painters[-1].block if self._painters else None
        if isinstance(block, Text):
            return _TextPainter(self._stack, block, _stand_in(before))
        return _BlockPainter(self._stack, block, _stand_in(before))

    def _drop(self, kept: int) -> None:
        if gone := self._painters[kept:]:
            self._stack.cut(gone[0].start)
            del self._painters[kept:]


class StopButton:
    """A button to stop what runs: there once a click would be heard, and clickable until `refresh` has shown that it was."""

    def __init__(
        self, maker: WidgetMaker, on_stop: Callable[[], None], description: str, tooltip: str, *, css_class: str = ""
    ) -> None:
        self._on_stop = on_stop
        self._clicked = False
        self.widget = maker.make(Button, description=description, tooltip=tooltip, css_class=f"claude-hidden {css_class}")
        self.widget.on_click(self._click)
        self._is_shown = False

    def refresh(self, *, hears: bool) -> None:
        """Show whether it can be clicked, and whether it was."""
        if hears and not self._is_shown:
            self._is_shown = True
            self.widget.remove_class("claude-hidden")
        if self._clicked:
            self.widget.disabled = True

    def _click(self, _: Button) -> None:
        self._clicked = True
        self._on_stop()


class _Stack:
    """A stack of widgets on the page, a few to a box: a new one sends the list of its neighbours, not of all."""

    def __init__(self, maker: WidgetMaker) -> None:
        self._maker = maker
        self.box = maker.make(VBox)
        self.widgets: list[HTML | HTMLMath] = []

    def push(self, kind: type[HTML | HTMLMath]) -> HTML | HTMLMath:
        widget = self._maker.make(kind)
        if len(self.widgets) % PAGE_SIZE == 0:
            self.box.children = (*self.box.children, self._maker.make(VBox))
        page = self.box.children[-1]
        page.children = (*page.children, widget)
        self.widgets.append(widget)
        return widget

    def cut(self, length: int) -> None:
        """Take away all widgets but the first `length`."""
        gone = self.widgets[length:]
        del self.widgets[length:]
        page, rest = divmod(length, PAGE_SIZE)
        kept = page + (rest > 0)
        gone += self.box.children[kept:]
        self.box.children = self.box.children[:kept]
        if rest:
            self.box.children[page].children = self.box.children[page].children[:rest]
        for widget in gone:
            widget.close()


class _BlockPainter:
    """A tool call, thinking or a remark: rendered when its state changes, so that a fold that somebody opened stays open."""

    def __init__(self, stack: _Stack, block: Block, stand_in: str) -> None:
        self.block = block
        self.start = len(stack.widgets)
        self._stand_in = stand_in
        self._state: tuple[object, ...] = ()
        self._widget = stack.push(HTML)

    def paint(self, elapsed_s: float) -> None:
        block = self.block
        match block:
            case ToolCall():
                state: tuple[object, ...] = (id(block.input), block.parent_id, block.complete)
            case Thinking():
                state = (block.complete, block.growing.length > 0)
            case _:
                state = (True,)
        if state != self._state:
            self._state = state
            self._widget.value = self._stand_in + block_html(_readable(block))


class _TextPainter:
    """A text: one widget for each finished piece and one for the tail, and the next one there before it is needed."""

    def __init__(self, stack: _Stack, block: Text, stand_in: str) -> None:
        self.block: Block = block
        self.start = len(stack.widgets)
        self._stack = stack
        self._stand_in = stand_in
        self._text = GrowingText(block)
        self._tail = stack.push(HTMLMath)
        self._next: HTMLMath | None = None

    def paint(self, elapsed_s: float) -> None:
        is_last = self._stack.widgets[-1] in (self._tail, self._next)
        growth = self._text.advance(elapsed_s, cut=is_last)
        if growth is None:
            return
        widgets = [self._tail]
        for _ in growth.finished:
            widgets.append(self._next or self._stack.push(HTMLMath))
            self._next = None
        values = [*growth.finished, growth.tail]
        values[0], self._stand_in = self._stand_in + values[0], "" if growth.finished else self._stand_in
        # The end goes first: for a moment its first line is there twice, where else it would be missing and the page shrink.
        for widget, value in zip(reversed(widgets), reversed(values), strict=True):
            widget.value = value
        self._tail = widgets[-1]
        if is_last and self._next is None and len(growth.tail) > PIECE_LENGTH // 2 and not self.block.complete:
            self._next = self._stack.push(HTMLMath)


def _rows(block: Block) -> int:
    """Guess how many rows a block takes on the page."""
    return len(block.text) // _ROW_LENGTH + block.text.count("\n") + 1 if isinstance(block, Text) else 1


def _known(painters: Sequence[_BlockPainter | _TextPainter], blocks: Sequence[Block]) -> int:
    """Count the blocks at the beginning that have their painter already."""
    pairs = enumerate(zip(painters, blocks, strict=False))
    return next((index for index, (painter, block) in pairs if painter.block is not block), min(len(painters), len(blocks)))


def _readable(block: Block) -> Block:
    """Put a word in the place of growing thoughts: to render those again and again would close the fold each time."""
    if isinstance(block, Thinking) and not block.complete and block.growing.length:
        return Thinking(block.number, Growing("This can be read when it is thought."))
    return block


def _stand_in(before: Block | None) -> str:
    """Give an invisible element of the class that the block before has: the space between two blocks depends on it."""
    match before:
        case None:
            return ""
        case Text():
            kind = "text"
        case Thinking():
            kind = "thinking"
        case ToolCall():
            kind = "tool"
        case Remark():
            kind = "remark"
    return f'<i class="claude-{kind}" hidden></i>'
