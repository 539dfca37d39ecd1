"""The output that a `%%claude` cell leaves in the notebook: one reply, or several side by side; and their diff.

Without its style the HTML reads as one section after the other, each with a heading. The buttons that pick a reply while the
kernel runs are in `live`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from claude_magic._characters import strip_controls
from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.block import line_html
from claude_magic._render.parts.markdown_html import code_html, escape
from claude_magic._render.parts.redacted_reply import clean_line, cleaned
from claude_magic._render.parts.reply_wording import one_line, shown_blocks
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic._render.settled.reply import (
    SettledReply,
    blocks_html,
    blocks_markdown,
    blocks_plain,
    footer_parts,
    reply_bundle,
)
from claude_magic.errors import TurnInterrupted
from claude_magic.sdk.response import has_answer

LABEL_LENGTH: Final = 60

_PAIRS: Final = 4
"""This number of columns is shown as two rows of two."""

_SAME: Final = "Both say the same, word for word."


def output_bundle(replies: Sequence[SettledReply], current: int, *, for_audience: bool = False) -> dict[str, str]:
    """Return the replies of a cell in the three forms that a notebook stores, all of them safe to show and to share.

    :param current: the number of the reply that the next cell continues, from 1; 0 for none.
    :param for_audience: whether they are shown to an audience: larger, and without their cost.
    """
    if len(replies) == 1:
        return reply_bundle(replies[0], for_audience=for_audience)
    sections = [(number, reply.cleaned(), number == current, for_audience) for number, reply in enumerate(replies, 1)]
    columns = "".join(_column_html(*section) for section in sections)
    inside = f'<div class="claude-columns{" claude-pairs" if len(replies) == _PAIRS else ""}">\n{columns}</div>'
    return {
        "text/html": styled_html(inside, for_audience=for_audience),
        "text/markdown": "\n\n".join(_section_markdown(*section) for section in sections),
        "text/plain": "\n\n\n".join(_section_plain(*section) for section in sections),
    }


def output_metadata(replies: Sequence[SettledReply], current: int) -> dict[str, Any]:
    """Return the output's metadata about the turns; a notebook keeps it with the output.

    For several replies it is the metadata of the current one (`None` values if there is none), and `alternatives` has that of
    each. `later` has that of the turns that Claude began by itself afterwards.
    """
    each = [_about(reply) for reply in replies]
    if len(each) == 1:
        return {"claude_magic": each[0]}
    shown = each[current - 1] if current else dict.fromkeys(each[0])
    return {"claude_magic": shown | {"alternatives": each}}


def _about(reply: SettledReply) -> dict[str, Any]:
    response = reply.response
    return {
        "session_id": response.session_id,
        "turn": reply.turn,
        "model": response.model,
        "usage": {name: figure for name, figure in response.usage.items() if figure},
        "cost_usd": response.cost_usd,
        "duration_s": response.duration_s,
        **reply.about,
        **({"later": [_about(later) for later in reply.later]} if reply.later else {}),
    }


def diff_bundle(first: SettledReply, second: SettledReply) -> dict[str, str]:
    """Return the differences between the texts of two replies, as a unified diff of their lines."""
    texts = (cleaned(reply.response) for reply in (first, second))
    before, after = (strip_controls(response.content or response.text).splitlines() for response in texts)
    from_name, to_name = (one_line(clean_line(reply.label), LABEL_LENGTH) for reply in (first, second))
    diff = "\n".join(difflib.unified_diff(before, after, from_name, to_name, lineterm=""))
    # Highlighted, the two names would look like changed lines.
    names, _, changes = diff.partition("\n@@")
    shown = f'<p class="claude-remark">{escape(names).replace(chr(10), "<br>")}</p>\n{code_html(f"@@{changes}", "diff")}'
    inside = shown if diff else f'<p class="claude-remark">{_SAME}</p>\n'
    return {
        "text/html": styled_html(inside),
        "text/markdown": safe_markdown.fence(diff, "diff") if diff else _SAME,
        "text/plain": diff or _SAME,
    }


def title(number: int, label: str) -> str:
    """Return the title of one of several replies, on one line: `1 · opus-5-5`, or `sample 1`, which has its number."""
    name = one_line(clean_line(label), LABEL_LENGTH)
    return name if name == f"sample {number}" else f"{number} · {name}"


def head_html(number: int, label: str, mark: str = "") -> str:
    """Render the line above a reply: its title and, at the other end, a mark."""
    marked = f' <span class="claude-mark">{escape(mark)}</span>' if mark else ""
    return f'<div class="claude-head"><h4 class="claude-label">{escape(title(number, label))}</h4>{marked}</div>\n'


def body_html(reply: SettledReply, for_audience: bool) -> str:
    """Render a settled reply, its failure if there is one, and its footer; the response has been cleaned."""
    return blocks_html(reply) + ending_html(reply, for_audience)


def ending_html(reply: SettledReply, for_audience: bool) -> str:
    """Render what is below a reply: its failure if there is one, and its footer."""
    name, message, next_step = failure_words(reply)
    failure = ""
    if name:
        failure = f'<p class="claude-failure"><b class="claude-bad">{escape(name)}</b> {escape(message)}</p>\n'
        failure += f'<p class="claude-remark">{escape(next_step)}</p>\n' if next_step else ""
    elif message:
        failure = f'<p class="claude-warn">{escape(message)}</p>\n'
    return failure + line_html(figures(reply, for_audience), "claude-footer")


def failure_words(reply: SettledReply) -> tuple[str, str, str]:
    """Return why an answer is missing or incomplete: the error's name, what happened, what to do next.

    Of an interrupted turn, only what happened. The output says it, as the cell raises no error: other turns have answered.
    """
    match reply.failure:
        case None:
            return "", "", ""
        case TurnInterrupted():
            kept = "What had arrived is above." if has_answer(shown_blocks(reply.response)) else "Nothing had arrived."
            return "", f"Interrupted. {kept}", ""
        case failure:
            message, next_step = (one_line(clean_line(words), 400) for words in (failure.message, failure.next_step))
            return type(failure).__name__, message, next_step


def figures(reply: SettledReply, for_audience: bool) -> list[str]:
    """Return the parts of a reply's footer without the session, so that it fits below a column; the turn's number is enough."""
    return footer_parts(replace(reply, response=replace(reply.response, session_id=None)), for_audience)


def _column_html(number: int, reply: SettledReply, current: bool, for_audience: bool) -> str:
    head = head_html(number, reply.label, "current" if current else "")
    kind = "claude-column claude-current" if current else "claude-column"
    return f'<div class="{kind}">\n{head}{body_html(reply, for_audience)}</div>\n'


def _section_markdown(number: int, reply: SettledReply, current: bool, for_audience: bool) -> str:
    name, *words = failure_words(reply)
    failure = " ".join((*((f"**{name}**",) if name else ()), *(safe_markdown.escape(line) for line in words if line)))
    pieces = (
        f"#### {safe_markdown.escape(title(number, reply.label))}{' (current)' if current else ''}",
        blocks_markdown(reply),
        failure,
        safe_markdown.escape(" · ".join(figures(reply, for_audience))),
    )
    return "\n\n".join(piece for piece in pieces if piece)


def _section_plain(number: int, reply: SettledReply, current: bool, for_audience: bool) -> str:
    heading = f"{title(number, reply.label)}{' (current)' if current else ''}"
    name, *words = failure_words(reply)
    failure = "\n".join(filter(None, (f"{name}: {words[0]}" if name else words[0], words[1])))
    pieces = (f"{heading}\n{'─' * len(heading)}", blocks_plain(reply), failure, " · ".join(figures(reply, for_audience)))
    return strip_controls("\n\n".join(piece for piece in pieces if piece))
