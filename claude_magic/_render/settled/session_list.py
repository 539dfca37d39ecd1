"""A directory's sessions as a table, in static HTML, Markdown and text; and the texts of its table cells.

The caller chooses the sessions and their order. The live panel shows the same rows with buttons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic._render.settled.plain_tables import Table, text_table
from claude_magic.sdk._history.sessions import SessionInfo

NO_ROWS: Final = "No sessions in this directory yet."

ROWS_SHOWN: Final = 10
"""The number of sessions that are shown without `--all`."""

_HEADINGS: Final = ("row", "session", "name", "last prompt", "turns", "last used", "from", "size", "")
_LIMITS: Final = (4, 8, 24, 40, 5, 16, 40, 8, 8)
_PROMPT_LENGTH: Final = 120


@dataclass(frozen=True, slots=True)
class SessionRow(SessionInfo):
    """One session on disk, as a line of the table.

    `branch_of` is the ID of the session that it branched from, `notebook` the name of a notebook that shows it.
    """

    turns: int | None = None
    current: bool = False
    last_prompt: str | None = None
    branch_of: str | None = None
    notebook: str | None = None


def listing_bundle(rows: Sequence[SessionRow], *, more: int = 0, columns: int | None = None) -> dict[str, str]:
    """Return numbered rows, with the sizes of the sessions, in the three forms that a notebook stores.

    :param more: the number of sessions that are not shown.
    :param columns: how wide a line of the plain text may be.
    """
    lines = [(str(number), *_all_cells(row)) for number, row in enumerate(rows, 1)]
    table = Table(_HEADINGS, lines, rest(more) if rows else NO_ROWS)
    text = text_table((_HEADINGS, *lines), _LIMITS, columns) if rows else ()
    return {
        "text/html": styled_html(table.html()),
        "text/markdown": table.markdown(),
        "text/plain": "\n".join(filter(None, (*text, table.remark))),
    }


def rest(more: int) -> str:
    """Return how many sessions are not shown, and how to see them; empty for none."""
    return f"{more:,} more: %claude_session list --all, or list TEXT" if more > 0 else ""


def cells(row: SessionRow) -> tuple[str, ...]:
    """Return a session's table cells: start of ID, name, last prompt, turns, time of last use, whether it is current."""
    turns = "" if row.turns is None else f"{row.turns:,}"
    current = "current" if row.current else ""
    name = one_line(clean_line(row.name or ""))
    prompt = one_line(clean_line(row.last_prompt or row.first_prompt or ""), _PROMPT_LENGTH)
    return one_line(row.session_id)[:8], name, prompt, turns, moment(row.last_used), current


def moment(when: datetime) -> str:
    """Write a time as a date, not as "3 hours ago", which would become wrong in a saved page."""
    return f"{when.astimezone():%Y-%m-%d %H:%M}"


def size(size_bytes: int) -> str:
    """Write the size of a file: `1 KB` at least, `12 KB`, `3.4 MB`; a KB has 1,000 bytes."""
    kilobytes = max(1, round(size_bytes / 1000))
    return f"{kilobytes} KB" if kilobytes < 1000 else f"{size_bytes / 1e6:,.1f} MB"


def _all_cells(row: SessionRow) -> tuple[str, ...]:
    *others, current = cells(row)
    branch = f"branch of {one_line(row.branch_of)[:8]}" if row.branch_of else ""
    whence = ", ".join(filter(None, (branch, one_line(row.notebook or "", 60))))
    return *others, whence, "" if row.size_bytes is None else size(row.size_bytes), current
