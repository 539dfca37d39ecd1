"""A settled reply: HTML, harmless Markdown and plain text, made of the blocks of a response.

This module writes what surrounds the blocks of a whole reply; `parts.block` writes one block.
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
from claude_magic._render.parts.reply_wording import BEGINNING, blocks_between, footer, shown_blocks
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic.errors import ClaudeError, TurnError, TurnInterrupted
from claude_magic.sdk.response import Block, SessionAwareResponse, Text, has_answer


@dataclass(frozen=True, slots=True)
class SettledReply:
    """The reply of a turn that has ended, and what its output says about the turn.

    `turn` is the number of the turn, `None` if no turn began; `failure` says why the answer is missing or incomplete.
    `note` says in a few words where in a conversation the turn began, if that is special. `about` is further metadata of the
    output. `label` says how the reply differs from the others of a comparison: a model, the number of a sample. `later` are
    the replies of following turns that Claude began by itself.

    `opened` are the numbers of the blocks that a person has unfolded. The output of Claude's code splits a reply into
    parts: only the blocks after number `after`, up to `until`, are shown.
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
        """Whether a turn can continue this reply. It can if the reply was stopped, but not if it failed."""
        return self.turn is not None and (self.failure is None or isinstance(self.failure, TurnInterrupted))

    @property
    def blocks(self) -> list[Block]:
        """The blocks of the reply that are shown."""
        return blocks_between(shown_blocks(self.response), self.after, self.until)

    def cleaned(self) -> SettledReply:
        """Return a copy to be shown, without what a saved notebook must not reveal."""
        return replace(self, response=cleaned(self.response), later=tuple(later.cleaned() for later in self.later))


def reply_bundle(reply: SettledReply, *, for_audience: bool = False) -> dict[str, str]:
    """Return a settled reply in the three forms that a notebook stores, all of them safe to show and to share.

    :param for_audience: whether it is shown to an audience: larger, and without its cost.
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
    """Write a settled reply as Markdown that is harmless, even where raw HTML in Markdown is run."""
    lines = failure_line(reply), " · ".join(footer_parts(reply, for_audience))
    later = (reply_markdown(each, for_audience=for_audience) for each in reply.later)
    return "\n\n".join(filter(None, (blocks_markdown(reply), *map(safe_markdown.escape, lines), *later)))


def reply_plain(reply: SettledReply, *, for_audience: bool = False) -> str:
    """Write a settled reply as plain text: the answer as it was written, everything else as one line each."""
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
    """Return the parts of the footer; none if another part of the reply follows, as only the last has it."""
    if reply.until is not None:
        return []
    return footer(reply.response, reply.turn, reply.note, for_audience=for_audience)


def failure_line(reply: SettledReply) -> str:
    """Return a line that says the reply is empty or incomplete; none if it failed unanswered but has a session for a footer.

    The line does not repeat why the turn failed and what to do next: the error output of the cell says that.
    """
    response, failure = reply.response, reply.failure
    if reply.until is not None:
        return ""
    if failure is None:
        return "" if shown_blocks(response) else "Claude answered nothing."
    if not has_answer(shown_blocks(response)):
        begun = "Nothing had arrived." if isinstance(failure, TurnError) else "No turn began."
        return "" if response.session_id else begun
    if isinstance(failure, TurnInterrupted):
        return "Interrupted. What had arrived is above; the next cell continues this session."
    return f"Not finished ({type(failure).__name__}). What had arrived is above."
