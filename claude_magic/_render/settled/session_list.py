"""The sessions of a directory as a table, and what its cells say; settled HTML, Markdown and text.

Which sessions there are, and in which order, is the caller's business; the panel shows the same rows with buttons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.parts.style_sheet import styled_html

NO_ROWS: Final = "No sessions in this directory yet."

_HEADINGS: Final = ("session", "name", "first prompt", "turns", "last used", "size", "")
_LIMITS: Final = (8, 24, 40, 5, 12, 8, 8)
_PROMPT_LENGTH: Final = 120


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session on disk, as a line of the table."""

    session_id: str
    name: str | None
    first_prompt: str | None
    turns: int | None
    last_used: datetime
    current: bool = False
    size_bytes: int | None = None


def listing_bundle(rows: Sequence[SessionRow]) -> dict[str, str]:
    """Give all rows, with the sizes of the sessions, as a notebook keeps them."""
    lines = [_cells_with_size(row) for row in rows]
    head = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>\n" for line in lines)
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>\n"
    none = f'<p class="claude-remark">{escape(NO_ROWS)}</p>\n'
    marked = (f"| {' | '.join(line)} |" for line in (_HEADINGS, ["---"] * len(_HEADINGS), *map(_escaped, lines)))
    return {
        "text/html": styled_html(table if rows else none),
        "text/markdown": "\n".join(marked) if rows else NO_ROWS,
        "text/plain": listing_text(rows),
    }


def listing_text(rows: Sequence[SessionRow], *, now: datetime | None = None) -> str:
    """Write all rows, with the sizes of the sessions, as plain text."""
    if not rows:
        return NO_ROWS
    return "\n".join(text_table((_HEADINGS, *(_cells_with_size(row, now) for row in rows)), _LIMITS))


def cells(row: SessionRow, now: datetime | None = None) -> tuple[str, ...]:
    """Say of a session: the start of its ID, name, first prompt, turns, when it was used, whether it is current."""
    turns = "" if row.turns is None else f"{row.turns:,}"
    current = "current" if row.current else ""
    name, prompt = one_line(clean_line(row.name or "")), one_line(clean_line(row.first_prompt or ""), _PROMPT_LENGTH)
    return one_line(row.session_id)[:8], name, prompt, turns, time_ago(row.last_used, now), current


def text_table(lines: Sequence[Sequence[str]], limits: Sequence[int]) -> list[str]:
    """Write lines of cells in columns, none wider than its limit."""
    widths = [min(limit, max(len(line[i]) for line in lines)) for i, limit in enumerate(limits)]
    written = (
        "  ".join(
            f"{one_line(cell, limit) if cell else '':<{width}}" for cell, limit, width in zip(line, limits, widths, strict=True)
        )
        for line in lines
    )
    return [line.rstrip() for line in written]


def time_ago(when: datetime, now: datetime | None = None) -> str:
    """Say when something was: `now`, `5 min ago`, `2 h ago`, `yesterday`, `3 days ago`, then the date."""
    when, now = when.astimezone(), (now or datetime.now().astimezone()).astimezone()
    passed = now - when
    days = (now.date() - when.date()).days
    if passed < timedelta(minutes=1):
        return "now"
    if passed < timedelta(hours=1):
        return f"{passed.seconds // 60} min ago"
    if days <= 0 or passed < timedelta(hours=6):
        return f"{passed.seconds // 3600} h ago"
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 7 else f"{when:%Y-%m-%d}"


def size(size_bytes: int) -> str:
    """Write the size of a file: `1 KB` at least, `12 KB`, `3.4 MB`; a KB has 1,000 bytes."""
    kilobytes = max(1, round(size_bytes / 1000))
    return f"{kilobytes} KB" if kilobytes < 1000 else f"{size_bytes / 1e6:,.1f} MB"


def _cells_with_size(row: SessionRow, now: datetime | None = None) -> tuple[str, ...]:
    *others, current = cells(row, now)
    return *others, "" if row.size_bytes is None else size(row.size_bytes), current


def _escaped(line: Sequence[str]) -> list[str]:
    return [safe_markdown.escape(cell) for cell in line]
