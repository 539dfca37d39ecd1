"""A reply in a terminal: what is finished is printed once, and only the growing end is drawn again.

All text of models and tools loses its control sequences before it gets here, so no reply can move the cursor, set the
title or write to the clipboard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.padding import Padding
from rich.text import Text as Line

from claude_magic._markdown import finished_length
from claude_magic._render.parts.markdown_html import parser
from claude_magic._render.parts.wording import (
    footer,
    shown_blocks,
    status_line,
    strip_controls,
    thinking_title,
    tool_argument,
    tool_name,
    tool_outcome,
    whole_seconds,
)
from claude_magic._render.settled.comparison import Alternative, failure_words, title
from claude_magic._render.settled.reply import failure_line
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import Block, Remark, SessionAwareResponse, Text, Thinking, ToolCall

__all__ = ["TerminalColumns", "TerminalView", "strip_controls"]

_MUTED = "dim"


class TerminalView:
    """Streams one response to a terminal; where output is not a terminal, prints what is finished and no status.

    :param console: where to print; by default rich's own, on standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live: Live | None = None
        self._printed_blocks = 0
        self._printed_length = 0  # of the text of the first block that is not printed whole

    def update(self, response: SessionAwareResponse, elapsed_s: float) -> None:
        """Print what has become final since the last call and draw the rest, with the status line below it."""
        self._print_finished(response)
        if not self._console.is_terminal:
            return
        if self._live is None:
            # Refreshed by us alone: no thread, and nothing left behind when it stops.
            self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
            self._live.start()
        status = "  ".join(status_line(response, elapsed_s))
        pending = self._pending(response)
        self._live.update(Group(*pending, Line(status, style=_status_style(response))), refresh=True)

    def settle(self, response: SessionAwareResponse, *, turn: int | None = None, failure: ClaudeError | None = None) -> None:
        """Print the rest of the reply, why it failed if it did, and the footer; the view is closed then."""
        self.close()
        self._print_finished(response, ended=True)
        if failure and (label := failure_line(response, failure)):
            self._console.print(Line(label, style="yellow"))
        if parts := footer(response, turn):
            self._console.print(Line("  ".join(parts), style=_MUTED))

    def ask(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Have no buttons; make room for the question that is asked in lines."""
        self.close()
        return False

    def asked(self, request: PermissionRequest) -> None:
        """Have nothing to take away."""

    def close(self) -> None:
        """Stop drawing and leave the cursor below what was printed; calling it again does nothing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print_finished(self, response: SessionAwareResponse, *, ended: bool = False) -> None:
        blocks = shown_blocks(response)
        while self._printed_blocks < len(blocks):
            block = blocks[self._printed_blocks]
            whole = ended or block.complete
            if isinstance(block, Text):
                self._print_text(block, whole=whole)
            elif whole:
                self._console.print(_block_line(block, ended=ended))
            if not whole:
                return
            self._printed_blocks += 1
            self._printed_length = 0

    def _print_text(self, block: Text, *, whole: bool) -> None:
        rest = block.text[self._printed_length :]
        finished = rest if whole else rest[: finished_length(rest)]
        if finished.strip():
            self._console.print(_prose(finished))
        self._printed_length += len(finished)

    def _pending(self, response: SessionAwareResponse) -> Iterator[RenderableType]:
        room = max(self._console.height - 4, 1)
        blocks = shown_blocks(response)[self._printed_blocks :]
        for index, block in enumerate(blocks):
            if isinstance(block, Text):
                rest = block.text[self._printed_length :] if index == 0 else block.text
                yield _prose(rest) if rest.count("\n") < room else _last_lines(rest, room)
            else:
                yield _block_line(block)


class TerminalColumns:
    """Says how far several replies are, on one line, and prints them one after the other when all have ended.

    :param labels: what is different about each, in the order of the responses.
    :param console: where to print; by default rich's own, on standard output.
    """

    def __init__(self, labels: Sequence[str], console: Console | None = None) -> None:
        self._count = len(labels)
        self._console = console or Console()
        self._live: Live | None = None
        self._failed: set[int] = set()

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Draw the status line again, where output is a terminal."""
        if not self._console.is_terminal:
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        ended = sum(number in self._failed or response.ended is not None for number, response in enumerate(responses, 1))
        tokens = sum(response.input_tokens + response.output_tokens for response in responses)
        parts = (f"{ended} of {self._count} ended", whole_seconds(elapsed_s), f"{tokens:,} tokens" if tokens else "")
        self._live.update(Line("  ".join(filter(None, parts)), style=_MUTED), refresh=True)

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Count it as ended."""
        self._failed.add(number)

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Have no buttons; make room for the question that is asked in lines."""
        self.close()
        return False

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Have nothing to take away."""

    def settle(self, alternatives: Sequence[Alternative], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Print each reply below its name, and why it failed if it did."""
        self.close()
        for number, alternative in enumerate(alternatives, 1):
            mark = " (current)" if number == current else ""
            self._console.print(Line(f"{title(number, alternative.label)}{mark}", style="bold"))
            name, message, next_step = failure_words(alternative)
            if message:
                colour = "red" if name else "yellow"
                self._console.print(Line(f"{name}: {message}" if name else message, style=colour))
            if next_step:
                self._console.print(Line(next_step, style=_MUTED))
            response = replace(alternative.response, session_id=None)  # as in a notebook's columns
            TerminalView(self._console).settle(response, turn=alternative.turn)
            self._console.print()
        if on_pick:
            self._console.print(Line("%claude_session pick NUMBER continues from another one.", style=_MUTED))

    def show_current(self, current: int) -> None:
        """Leave what is printed as it is."""

    def close(self) -> None:
        """Stop drawing; calling it again does nothing."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _prose(markdown: str) -> RenderableType:
    # Link targets are shown in parentheses: a terminal's own links hide where they lead.
    document = Markdown("", hyperlinks=False)
    # rich's own parser would drop raw HTML instead of showing it as written.
    document.parsed = parser(mathematics=False).parse(strip_controls(markdown))
    return Padding(document, (0, 0, 1, 0))


def _last_lines(text: str, count: int) -> RenderableType:
    return Line("\n".join(strip_controls(text).rstrip("\n").split("\n")[-count:]), overflow="crop", no_wrap=True)


def _block_line(block: Block, *, ended: bool = False) -> RenderableType:
    match block:
        case ToolCall():
            outcome = tool_outcome(block, ended=ended)
            colour = {"✓": "green", "✗": "red"}.get(outcome[:1], _MUTED)
            return Line.assemble(
                "  " if block.parent_id else "",
                (tool_name(block), "bold"),
                "  ",
                (tool_argument(block), _MUTED),
                "  ",
                (outcome[:1], colour),
                (outcome[1:], _MUTED),
            )
        case Thinking():
            return Line(thinking_title(block, ended=ended), style=_MUTED)
        case Remark():
            return Line(strip_controls(block.text), style=_MUTED)
        case Text():
            return _prose(block.text)


def _status_style(response: SessionAwareResponse) -> str:
    return "yellow" if response.retrying else _MUTED
