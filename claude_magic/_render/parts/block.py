"""One block of a reply: as HTML, as harmless Markdown and as plain text.

This module writes what surrounds a text; `markdown_html`, `tool_call` and `safe_markdown` make the texts themselves safe.
`settled` and `live` decide which blocks of a reply are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from claude_magic._characters import strip_controls
from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape, text_html
from claude_magic._render.parts.reply_wording import thinking_title, tool_argument, tool_name, tool_outcome
from claude_magic._render.parts.tool_call import call_html, fold_html
from claude_magic.sdk.response import Block, Remark, Text, Thinking, ToolCall


def block_html(block: Block, *, ended: bool = False, is_open: bool = False) -> str:
    """Render one block, unfolded if `is_open`; with `ended` its turn is over, so no tool runs and Claude does not think."""
    match block:
        case Text():
            return f'<div class="claude-text">{text_html(block.text)}</div>\n'
        case Thinking():
            return thinking_html(block, text_html(block.text), ended=ended, is_open=is_open)
        case ToolCall():
            return call_html(block, tool_outcome(block, ended=ended), is_open=is_open)
        case Remark():
            return f'<p class="claude-remark">{escape(strip_controls(block.text))}</p>\n'
        case _:
            assert_never(block)


def block_markdown(block: Block) -> str:
    """Write one block of a turn that has ended as harmless Markdown."""
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


def block_plain(block: Block) -> str:
    """Write one block of a turn that has ended as plain text; control sequences are not removed."""
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


def line_html(parts: Iterable[str], css_class: str) -> str:
    """Render the parts of a status line or footer. The spaces between them are text, so they stay when styles are removed."""
    spans = "\u2003".join(f"<span>{escape(part)}</span>" for part in parts)
    return f'<div class="{css_class}">{spans}</div>\n' if spans else ""


def thinking_html(block: Thinking, inside: str, *, ended: bool = False, is_open: bool = False) -> str:
    """Render a line about Claude's thinking, with `inside` folded below it; without a text there is no fold."""
    title = escape(thinking_title(block, ended=ended))
    if not block.text.strip():
        return f'<p class="claude-thinking">{title}</p>\n'
    return fold_html("claude-thinking", title, inside, is_open=is_open)
