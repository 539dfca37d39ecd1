"""Replies in a terminal: finished parts are printed once, and only the growing end is drawn again.

All text loses its control sequences, so no reply, tool, file or error can move the cursor, set the title or write to the
clipboard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown, TableDataElement
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text as Line
from rich.theme import Theme

from claude_magic._characters import strip_controls
from claude_magic._markdown import finished_length
from claude_magic._render.parts import reply_wording
from claude_magic._render.parts.markdown_html import parser
from claude_magic._render.settled.comparison import failure_words, figures, title
from claude_magic._render.settled.reply import SettledReply, failure_line, footer_parts
from claude_magic._render.views import View
from claude_magic._written_html import plain_tokens
from claude_magic.errors import ClaudeError
from claude_magic.sdk.response import Block, Remark, SessionAwareResponse, Text, Thinking, ToolCall

_MUTED = "dim"
_VOID = "The connection broke. Ignore the last answer above and all that follows it; Claude answers again."


def console_of_kernel() -> Console:
    """Return a console for a text frontend of a kernel: it prints colours, but no sequences that move a cursor."""
    # qtconsole's yellow is gold on white, which nobody can read.
    theme = Theme({"yellow": "bold"})
    # ipykernel sets FORCE_COLOR, so rich would treat it as a terminal.
    return Console(force_jupyter=False, force_terminal=False, color_system="standard", markup=False, emoji=False, theme=theme)


class TerminalView(View):
    """Streams one reply. For several it shows one line of progress, and prints them one after the other at the end.

    If the output is not a terminal, it prints the finished parts without a status, but says once when a turn has to wait.

    :param labels: how each reply differs from the others, in the order of the responses; a single reply shows none.
    :param console: where to print; by default rich's own, on standard output.
    :param for_audience: whether the reply is shown to an audience, without its cost.
    """

    def __init__(self, labels: Sequence[str], console: Console | None = None, *, for_audience: bool = False) -> None:
        # While the reply is drawn, the console also prints what code prints; that must not be read as rich's markup.
        self._console = console or Console(markup=False, emoji=False)
        self._for_audience = for_audience
        self._live: Live | None = None
        self._printers = [_ReplyPrinter(self._console) for _ in labels]
        self._failed: set[int] = set()
        self._is_waiting = False

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Print what has become final since the last call and draw the rest, with the status line below it."""
        if len(responses) > 1:
            self._draw([_line(self._progress(responses, elapsed_s), _MUTED)])
            return
        (response,), (printer,) = responses, self._printers
        printer.print_finished(response)
        said = reply_wording.waiting(response)
        if said and not self._is_waiting and not self._console.is_terminal:
            self._print(said, "yellow")
        self._is_waiting = bool(said)
        style = "yellow" if said else _MUTED
        self._draw([*printer.pending(response), _line("  ".join(reply_wording.status_line(response, elapsed_s)), style)])

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Count this reply as ended."""
        self._failed.add(number)

    def make_room(self) -> None:
        """Stop drawing. While rich draws, it redirects standard output, and a capture of it would capture the drawing, too."""
        self.close()

    def go_on_below(self, response: SessionAwareResponse) -> None:
        """End the line of the value that Claude's code has shown: qtconsole and Spyder do not."""
        if not self._console.is_terminal:
            self._console.print()

    def settle(self, alternatives: Sequence[SettledReply], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Print the rest of a single reply, or each of several below its name. This closes the view."""
        self.close()
        if len(alternatives) == 1:
            (reply,), (printer,) = alternatives, self._printers
            printer.print_finished(reply.response, ended=True)
            self._print(failure_line(reply), "yellow")
            self._print("  ".join(footer_parts(reply, self._for_audience)), _MUTED)
            return
        for number, (reply, printer) in enumerate(zip(alternatives, self._printers, strict=True), 1):
            name, message, next_step = failure_words(reply)
            self._print(f"{title(number, reply.label)}{' (current)' if number == current else ''}", "bold")
            self._print(f"{name}: {message}" if name else message, "red" if name else "yellow")
            self._print(next_step, _MUTED)
            printer.print_finished(reply.response, ended=True)
            self._print("  ".join(figures(reply, self._for_audience)), _MUTED)
            self._console.print()
        if current:  # 0: no reply can be continued
            self._print("%claude_session pick NUMBER continues from another one.", _MUTED)

    def close(self) -> None:
        """Stop drawing and leave the cursor below the printed text; calling it again does nothing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, parts: Sequence[RenderableType]) -> None:
        if not self._console.is_terminal:
            return
        if self._live is None:
            # Refreshed only here: so rich starts no thread, and leaves nothing behind when it stops.
            self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
            self._live.start()
        self._live.update(_Bottom(parts), refresh=True)

    def _print(self, line: str, style: str) -> None:
        if line:
            self._console.print(_line(line, style))

    def _progress(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> str:
        ended = sum(number in self._failed or response.ended is not None for number, response in enumerate(responses, 1))
        tokens = sum(response.input_tokens + response.output_tokens for response in responses)
        seconds = reply_wording.whole_seconds(elapsed_s)
        parts = (f"{ended} of {len(responses)} ended", seconds, f"{tokens:,} tokens" if tokens else "")
        return "  ".join(filter(None, parts))


class _Bottom:
    """The last lines of the drawing that fit on the screen: where it grows, and the status line."""

    def __init__(self, parts: Sequence[RenderableType]) -> None:
        self._parts = parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(Group(*self._parts), options.update(height=None), pad=False)
        for number, line in enumerate(lines[-max(console.height - 1, 1) :]):
            if number:
                yield Segment.line()
            yield from line


class _ReplyPrinter:
    """Prints the blocks of one reply, each once, as they become final."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed_blocks = 0
        self._begun: list[Block] = []
        """The blocks that are printed, at least in part."""
        self._printed_length = 0  # of the first block that is not printed completely

    def print_finished(self, response: SessionAwareResponse, *, ended: bool = False) -> None:
        """Print what has become final since the last call; everything if the turn has `ended`."""
        blocks = reply_wording.shown_blocks(response)
        kept = [block for block in self._begun if any(block is known for known in response.blocks)]
        if len(kept) < len(self._begun):
            # Printed text cannot be removed from a terminal.
            self._console.print(Line(_VOID, style="yellow"))
            self._begun, self._printed_blocks, self._printed_length = kept, len(kept), 0
        while self._printed_blocks < len(blocks):
            block = blocks[self._printed_blocks]
            whole = ended or block.complete
            if isinstance(block, Text):
                self._print_text(block, whole=whole)
            elif whole:
                self._console.print(_block_line(block, ended=ended))
            if not whole:
                return
            self._note(block)
            self._printed_blocks += 1
            self._printed_length = 0

    def pending(self, response: SessionAwareResponse) -> Iterator[RenderableType]:
        """Yield what is not printed yet; of a long text only the last lines."""
        room = max(self._console.height - 4, 1)
        blocks = reply_wording.shown_blocks(response)[self._printed_blocks :]
        for index, block in enumerate(blocks):
            if isinstance(block, Text):
                rest = block.text[self._printed_length :] if index == 0 else block.text
                last = "\n".join(strip_controls(rest).rstrip("\n").split("\n")[-room:])
                yield _prose(rest) if rest.count("\n") < room else Line(last, overflow="crop", no_wrap=True)
            else:
                yield _block_line(block)

    def _note(self, block: Block) -> None:
        if not any(block is begun for begun in self._begun):
            self._begun.append(block)

    def _print_text(self, block: Text, *, whole: bool) -> None:
        rest = block.text[self._printed_length :]
        finished = rest if whole else rest[: finished_length(rest)]
        if finished.strip():
            self._console.print(_prose(finished))
            self._note(block)
        self._printed_length += len(finished)


def _line(text: str, style: str) -> Line:
    return Line(strip_controls(text), style=style)


class _Cell(TableDataElement):
    """A table cell that divides a word longer than its line; rich would cut the word off."""

    def __init__(self, justify: JustifyMethod) -> None:
        super().__init__(justify)
        self.content.overflow = "fold"


class _Document(Markdown):
    elements: ClassVar = Markdown.elements | {"td_open": _Cell, "th_open": _Cell}


def _prose(markdown: str) -> RenderableType:
    # Link targets are shown in parentheses: a terminal's own links hide where they lead.
    document = _Document("", hyperlinks=False)
    # rich's own parser would drop raw HTML instead of showing it as written.
    document.parsed = list(_known(parser().parse(strip_controls(markdown))))
    return Padding(document, (0, 0, 1, 0))


def _known(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield tokens that rich knows. Formulas are shown as they were written, line by line."""
    for token in tokens:
        match token.type:
            case "formula_block":
                yield Token("paragraph_open", "p", 1)
                lines = [Token("text", "", 0, content=line) for line in token.content.split("\n")]
                parts = [part for line in lines for part in (line, Token("hardbreak", "br", 0))]
                yield Token("inline", "", 0, children=parts[:-1])
                yield Token("paragraph_close", "p", -1)
            case "summary_open":
                yield from (Token("paragraph_open", "p", 1), Token("strong_open", "strong", 1))
            case "summary_close":
                yield from (Token("strong_close", "strong", -1), Token("paragraph_close", "p", -1))
            case "details_open" | "details_close":
                pass
            case "inline" if token.children:
                plain = plain_tokens(token.children)
                token.children = [
                    Token("text", "", 0, content=part.content) if part.type == "formula" else part for part in plain
                ]
                yield token
            case _:
                yield token


def _block_line(block: Block, *, ended: bool = False) -> RenderableType:
    match block:
        case ToolCall():
            outcome = reply_wording.tool_outcome(block, ended=ended)
            colour = {"✓": "green", "✗": "red"}.get(outcome[:1], _MUTED)
            return Line.assemble(
                "  " if block.parent_id else "",
                (reply_wording.tool_name(block), "bold"),
                "  ",
                (reply_wording.tool_argument(block), _MUTED),
                "  ",
                (outcome[:1], colour),
                (outcome[1:], _MUTED),
            )
        case Thinking():
            return _line(reply_wording.thinking_title(block, ended=ended), _MUTED)
        case Remark():
            return _line(block.text, _MUTED)
        case Text():
            return _prose(block.text)
