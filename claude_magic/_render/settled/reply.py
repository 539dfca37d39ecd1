"""A settled reply: HTML, harmless Markdown and plain text, made of the blocks of a response.

The chrome around blocks is written here, around pieces that `prose`, `calls` and `neutral` have made safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import assert_never

from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape, text_html
from claude_magic._render.parts.redacted_reply import cleaned
from claude_magic._render.parts.style_sheet import AUDIENCE_CLASS, STYLE
from claude_magic._render.parts.tool_call import call_html
from claude_magic._render.parts.wording import (
    duration,
    footer,
    shown_blocks,
    strip_controls,
    thinking_title,
    tool_argument,
    tool_name,
    tool_outcome,
)
from claude_magic.errors import ClaudeError, TurnInterrupted
from claude_magic.sdk.response import Block, Remark, SessionAwareResponse, Text, Thinking, ToolCall

__all__ = [
    "block_html",
    "blocks_html",
    "blocks_markdown",
    "blocks_plain",
    "failure_line",
    "line_html",
    "mimebundle",
    "response_html",
    "response_markdown",
    "response_plain",
    "text_html",
]


def mimebundle(
    response: SessionAwareResponse, *, turn: int | None = None, failure: ClaudeError | None = None
) -> dict[str, str]:
    """Give a settled reply in the three forms that a notebook stores, all of them safe to show and to hand on."""
    response = cleaned(response)
    return {
        "text/html": response_html(response, turn=turn, failure=failure),
        "text/markdown": response_markdown(response, turn=turn, failure=failure),
        "text/plain": response_plain(response, turn=turn, failure=failure),
    }


def block_html(block: Block, *, ended: bool = False) -> str:
    """Render one block; `ended` says that its turn is over, so nothing is running or being thought."""
    match block:
        case Text():
            return f'<div class="claude-text">{text_html(block.text)}</div>\n'
        case Thinking():
            return _thinking_html(block, ended=ended)
        case ToolCall():
            return call_html(block, ended=ended)
        case Remark():
            return f'<p class="claude-remark">{escape(strip_controls(block.text))}</p>\n'
        case _:
            assert_never(block)


def blocks_html(response: SessionAwareResponse) -> str:
    """Render the blocks of a reply that has ended, without anything around them."""
    return "".join(block_html(block, ended=True) for block in shown_blocks(response))


def response_html(response: SessionAwareResponse, *, turn: int | None = None, failure: ClaudeError | None = None) -> str:
    """Render a settled reply, with its style and footer; `failure` is why it has no, or no whole, answer."""
    audience = f" {AUDIENCE_CLASS}" if response.for_audience else ""
    failed = " claude-failed" if failure and not isinstance(failure, TurnInterrupted) else ""
    label = failure_line(response, failure) if failure else ""
    return "".join(
        (
            f'<div class="claude-magic{failed}{audience}"><style>{STYLE}</style>\n',
            blocks_html(response),
            f'<p class="claude-warn">{escape(label)}</p>\n' if label else "",
            line_html(footer(response, turn), "claude-footer"),
            "</div>",
        )
    )


def response_markdown(response: SessionAwareResponse, *, turn: int | None = None, failure: ClaudeError | None = None) -> str:
    """Write a settled reply as Markdown that is harmless also where raw HTML in Markdown is run."""
    pieces = [blocks_markdown(response)]
    if failure:
        pieces.append(safe_markdown.escape(failure_line(response, failure)))
    pieces.append(safe_markdown.escape(" · ".join(footer(response, turn))))
    return "\n\n".join(piece for piece in pieces if piece)


def blocks_markdown(response: SessionAwareResponse) -> str:
    """Write the blocks of a reply as harmless Markdown."""
    return "\n\n".join(filter(None, map(_block_markdown, shown_blocks(response))))


def response_plain(response: SessionAwareResponse, *, turn: int | None = None, failure: ClaudeError | None = None) -> str:
    """Write a settled reply as plain text: the answer as it was written, everything else one line each."""
    pieces = [blocks_plain(response)]
    if failure:
        pieces.append(failure_line(response, failure))
    pieces.append(" · ".join(footer(response, turn)))
    return strip_controls("\n\n".join(piece for piece in pieces if piece))


def blocks_plain(response: SessionAwareResponse) -> str:
    """Write the blocks of a reply as plain text, control sequences included."""
    groups = groupby(shown_blocks(response), lambda block: isinstance(block, Text))
    pieces = (("\n\n" if prose else "\n").join(map(_block_plain, blocks)) for prose, blocks in groups)
    return "\n\n".join(filter(None, pieces))


def failure_line(response: SessionAwareResponse, failure: ClaudeError) -> str:
    """Label what had arrived when the turn failed; empty when nothing had and the footer says which turn that was.

    Why it failed the cell's error output says, with what to do next: the label need not say it again.
    """
    if not shown_blocks(response):
        return "" if response.session_id else "Nothing had arrived."
    if isinstance(failure, TurnInterrupted):
        after = f" after {duration(response.duration_s)}" if response.duration_s else ""
        return f"Interrupted{after}. What had arrived is above; the next cell continues this session."
    return f"Not finished ({type(failure).__name__}). What had arrived is above."


def line_html(parts: Iterable[str], css_class: str) -> str:
    """Render the parts of a status line or footer; the spaces between them are text, so they stay without the style."""
    spans = "\u2003".join(f"<span>{escape(part)}</span>" for part in parts)
    return f'<div class="{css_class}">{spans}</div>\n' if spans else ""


def _thinking_html(block: Thinking, *, ended: bool) -> str:
    title = thinking_title(block, ended=ended)
    if not block.text.strip():
        return f'<p class="claude-thinking">{title}</p>\n'
    return _folded("claude-thinking", title, text_html(block.text))


def _folded(css_class: str, title: str, inside: str) -> str:
    return (
        f'<details class="{css_class}"><summary>{escape(title)}</summary><div class="claude-inside">{inside}</div></details>\n'
    )


def _block_markdown(block: Block) -> str:
    match block:
        case Text():
            return safe_markdown.text_markdown(block.text)
        case Thinking():
            return f"*{safe_markdown.escape(thinking_title(block, ended=True))}*"
        case ToolCall():
            argument = tool_argument(block)
            parts = (
                f"**{safe_markdown.escape(tool_name(block))}**",
                safe_markdown.code_span(argument) if argument else "",
                safe_markdown.escape(tool_outcome(block, ended=True)),
            )
            return " ".join(part for part in parts if part)
        case Remark():
            return safe_markdown.paragraph(block.text)
        case _:
            assert_never(block)


def _block_plain(block: Block) -> str:
    match block:
        case Text():
            return block.text.strip("\n")
        case Remark():
            return block.text
        case Thinking():
            return thinking_title(block, ended=True)
        case ToolCall():
            parts = tool_name(block), tool_argument(block), tool_outcome(block, ended=True)
            return "  ".join(part for part in parts if part)
        case _:
            assert_never(block)
