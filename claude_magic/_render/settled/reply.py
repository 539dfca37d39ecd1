"""A settled reply: HTML, harmless Markdown and plain text, made of the blocks of a response.

Owns what stands around the blocks of a whole reply; how one block looks is the business of `parts.block`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from claude_magic._characters import strip_controls
from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.block import block_html, block_markdown, block_plain, line_html
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.redacted_reply import cleaned
from claude_magic._render.parts.reply_wording import BEGINNING, blocks_between, duration, footer, shown_blocks
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic.errors import ClaudeError, TurnInterrupted
from claude_magic.sdk.response import Block, SessionAwareResponse, Text


@dataclass(frozen=True, slots=True)
class SettledReply:
    """The reply of a turn that has ended, and what its output says of the turn.

    `turn` is the number of the turn, `None` if it never became one, and `failure` why it has no, or no whole, answer.
    `note` says in a few words where in a conversation the turn began, if that needs saying. `about` is what a notebook keeps
    with the output besides. `label` says what is different about the reply where it is one of several to a prompt: a model,
    the number of a sample. `later` are the replies of turns behind it that Claude has taken by itself.

    `opened` are the numbers of the blocks that somebody has unfolded. It shows what comes `after` a block, and `until` one:
    what code of Claude's has shown stands between the parts of a reply.
    """

    response: SessionAwareResponse
    turn: int | None = None
    failure: ClaudeError | None = None
    note: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    later: tuple[SettledReply, ...] = ()
    opened: frozenset[int] = frozenset()
    after: int = BEGINNING
    until: int | None = None

    @property
    def can_continue(self) -> bool:
        """Whether a conversation can go on from here: it can from a reply that was stopped, not from one that failed."""
        return self.turn is not None and (self.failure is None or isinstance(self.failure, TurnInterrupted))

    @property
    def blocks(self) -> list[Block]:
        """What it shows of the reply."""
        return blocks_between(shown_blocks(self.response), self.after, self.until)

    @property
    def goes_on(self) -> bool:
        """Whether another part follows, which says how the turn ended."""
        return self.until is not None

    def cleaned(self) -> SettledReply:
        """Return a copy to be shown, without what a saved notebook must not give away."""
        return replace(self, response=cleaned(self.response), later=tuple(later.cleaned() for later in self.later))


def reply_bundle(reply: SettledReply, *, for_audience: bool = False) -> dict[str, str]:
    """Give a settled reply in the three forms that a notebook stores, all of them safe to show and to hand on.

    :param for_audience: whether it is shown to a room: larger, and without its cost.
    """
    reply = reply.cleaned()
    return {
        "text/html": reply_html(reply, for_audience=for_audience),
        "text/markdown": reply_markdown(reply, for_audience=for_audience),
        "text/plain": reply_plain(reply, for_audience=for_audience),
    }


def reply_html(reply: SettledReply, *, for_audience: bool = False) -> str:
    """Render a settled reply, with its footer."""
    failed = reply.failure is not None and not isinstance(reply.failure, TurnInterrupted)
    later = "".join(f'<div class="claude-later">{_inside(each, for_audience)}</div>\n' for each in reply.later)
    return styled_html(_inside(reply, for_audience) + later, failed=failed, for_audience=for_audience)


def reply_markdown(reply: SettledReply, *, for_audience: bool = False) -> str:
    """Write a settled reply as Markdown that is harmless also where raw HTML in Markdown is run."""
    lines = failure_line(reply), " · ".join(footer_parts(reply, for_audience))
    later = (reply_markdown(each, for_audience=for_audience) for each in reply.later)
    return "\n\n".join(filter(None, (blocks_markdown(reply), *map(safe_markdown.escape, lines), *later)))


def reply_plain(reply: SettledReply, *, for_audience: bool = False) -> str:
    """Write a settled reply as plain text: the answer as it was written, everything else one line each."""
    pieces = blocks_plain(reply), failure_line(reply), " · ".join(footer_parts(reply, for_audience))
    later = (reply_plain(each, for_audience=for_audience) for each in reply.later)
    return strip_controls("\n\n".join(filter(None, (*pieces, *later))))


def _inside(reply: SettledReply, for_audience: bool) -> str:
    label = failure_line(reply)
    failure = f'<p class="claude-warn">{escape(label)}</p>\n' if label else ""
    return blocks_html(reply) + failure + line_html(footer_parts(reply, for_audience), "claude-footer")


def blocks_html(reply: SettledReply) -> str:
    """Render the blocks of a reply that has ended, without anything around them."""
    return "".join(block_html(block, ended=True, is_open=block.number in reply.opened) for block in reply.blocks)


def blocks_markdown(reply: SettledReply) -> str:
    """Write the blocks of a reply as harmless Markdown."""
    return "\n\n".join(filter(None, map(block_markdown, reply.blocks)))


def blocks_plain(reply: SettledReply) -> str:
    """Write the blocks of a reply as plain text, control sequences included."""
    groups = groupby(reply.blocks, lambda block: isinstance(block, Text))
    pieces = (("\n\n" if prose else "\n").join(map(block_plain, blocks)) for prose, blocks in groups)
    return "\n\n".join(filter(None, pieces))


def footer_parts(reply: SettledReply, for_audience: bool) -> list[str]:
    """Say what a turn came to, as the parts of one line; nothing where it goes on below."""
    if reply.goes_on:
        return []
    return footer(reply.response, reply.turn, reply.note, for_audience=for_audience)


def failure_line(reply: SettledReply) -> str:
    """Label what had arrived when the turn failed; empty when nothing had and the footer says which turn that was.

    Why it failed the cell's error output says, with what to do next: the label need not say it again.
    """
    response, failure = reply.response, reply.failure
    if failure is None or reply.goes_on:
        return ""
    if not shown_blocks(response):
        return "" if response.session_id else "Nothing had arrived."
    if isinstance(failure, TurnInterrupted):
        after = f" after {duration(response.duration_s)}" if response.duration_s else ""
        return f"Interrupted{after}. What had arrived is above; the next cell continues this session."
    return f"Not finished ({type(failure).__name__}). What had arrived is above."
