"""A settled reply: HTML, harmless Markdown and plain text, made of the blocks of a response.

Owns what stands around the blocks of a whole reply; how one block looks is the business of `parts.block`.
"""

from __future__ import annotations

from itertools import groupby

from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.block import block_html, block_markdown, block_plain, line_html
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.redacted_reply import cleaned
from claude_magic._render.parts.style_sheet import AUDIENCE_CLASS, styled_html
from claude_magic._render.parts.wording import duration, footer, shown_blocks, strip_controls
from claude_magic.errors import ClaudeError, TurnInterrupted
from claude_magic.sdk.response import SessionAwareResponse, Text


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


def blocks_html(response: SessionAwareResponse) -> str:
    """Render the blocks of a reply that has ended, without anything around them."""
    return "".join(block_html(block, ended=True) for block in shown_blocks(response))


def response_html(response: SessionAwareResponse, *, turn: int | None = None, failure: ClaudeError | None = None) -> str:
    """Render a settled reply, with its style and footer; `failure` is why it has no, or no whole, answer."""
    failed = failure is not None and not isinstance(failure, TurnInterrupted)
    classes = ("claude-failed" if failed else "", AUDIENCE_CLASS if response.for_audience else "")
    label = failure_line(response, failure) if failure else ""
    failure_html = f'<p class="claude-warn">{escape(label)}</p>\n' if label else ""
    inside = blocks_html(response) + failure_html + line_html(footer(response, turn), "claude-footer")
    return styled_html(inside, classes=" ".join(filter(None, classes)))


def response_markdown(response: SessionAwareResponse, *, turn: int | None = None, failure: ClaudeError | None = None) -> str:
    """Write a settled reply as Markdown that is harmless also where raw HTML in Markdown is run."""
    pieces = [blocks_markdown(response)]
    if failure:
        pieces.append(safe_markdown.escape(failure_line(response, failure)))
    pieces.append(safe_markdown.escape(" · ".join(footer(response, turn))))
    return "\n\n".join(piece for piece in pieces if piece)


def blocks_markdown(response: SessionAwareResponse) -> str:
    """Write the blocks of a reply as harmless Markdown."""
    return "\n\n".join(filter(None, map(block_markdown, shown_blocks(response))))


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
    pieces = (("\n\n" if prose else "\n").join(map(block_plain, blocks)) for prose, blocks in groups)
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
