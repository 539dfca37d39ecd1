"""The panel of `%claude_session`: facts about the current session, and the sessions that can be resumed.

This module shows them as widgets, as settled HTML and as text. The caller provides the facts and acts on a click.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ipywidgets import HTML, Box, HBox, VBox, Widget

from claude_magic._paths import shorten_home
from claude_magic._render.live.interactive_output import InteractiveOutput
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import context_line, dollars, one_line
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic._render.settled.plain_tables import Table, text_table
from claude_magic._render.settled.session_list import NO_ROWS, ROWS_SHOWN, SessionRow, cells, rest
from claude_magic._text import word_wrapper
from claude_magic.sdk.host import BackgroundWork, ContextPart

_HEADINGS: Final = ("session", "name", "last prompt", "turns", "last used", "")
_COPYABLE: Final = ("session", "in a terminal")
_NO_SESSION: Final = "No session yet: the next %%claude cell starts one."
_WORK: Final = "work "
"""The beginning of the keys of Stop buttons; the key of a Resume button is a session ID."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is known about the current session; `context_used` is a fraction, 0 to 1.

    `played`: the session was played from a recording, so it exists in this kernel only.
    """

    session_id: str
    name: str | None = None
    directory: str | None = None
    model: str | None = None
    turns: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    context_used: float | None = None
    played: bool = False
    work: tuple[BackgroundWork, ...] = ()
    """The work that Claude has left running in the background."""
    request: tuple[ContextPart, ...] = ()
    """The size of a request to the API, by part."""
    servers: tuple[str, ...] = ()
    """The MCP servers of the session's process, each with its state."""
    command: str = ""
    """The command that continues the session in a terminal."""


class SessionPanel(InteractiveOutput[str]):
    """The panel with a Resume button for each session but the current one; main thread only.

    :param on_resume: called with a session's ID when its button is clicked; afterwards `update` shows the change.
    :param on_stop: called with the ID of background work when its button is clicked.
    """

    section = "panel"

    def __init__(
        self,
        facts: SessionFacts | None,
        rows: Sequence[SessionRow],
        on_resume: Callable[[str], None],
        on_stop: Callable[[str], None] = lambda task_id: None,
    ) -> None:
        super().__init__(lambda key: on_stop(key.removeprefix(_WORK)) if key.startswith(_WORK) else on_resume(key))
        self._facts, self._rows = facts, tuple(rows)

    def update(self, facts: SessionFacts | None, rows: Sequence[SessionRow]) -> None:
        """Show these facts and rows instead."""
        self._facts, self._rows = facts, tuple(rows)
        self._repaint()

    def _build(self) -> Sequence[Widget]:
        make = self._maker.make
        self._about, self._table, self._rest, self._spacer = make(HTML), make(HTML), make(HTML), make(Box)
        self._work, self._beside = make(HBox), make(VBox, css_class="claude-resume")
        sessions = make(Box, [self._table, self._beside], css_class="claude-sessions-box")
        return self._about, self._work, sessions, self._rest

    def _paint(self) -> None:
        self._about.value = _facts_html(self._facts)
        work = self._facts.work if self._facts else ()
        shown = [(one.task_id, clean_line(one.about)) for one in work]
        self._work.children = [self._button(_WORK + task_id, f"Stop {one_line(about, 30)}", about) for task_id, about in shown]
        self._table.value = _table_html(self._rows)
        self._rest.value = _rest_html(self._rows)
        self._beside.children = [
            self._spacer if row.current else self._button(row.session_id, "Resume", f"Resume {_label(row)}")
            for row in self._rows[:ROWS_SHOWN]
        ]

    def _plain_bundle(self) -> dict[str, Any]:
        return panel_bundle(self._facts, self._rows)


def panel_bundle(facts: SessionFacts | None, rows: Sequence[SessionRow]) -> dict[str, str]:
    """Return the panel as HTML and as text, for a notebook to keep."""
    inside = _facts_html(facts) + _table_html(rows) + _rest_html(rows)
    return {"text/html": styled_html(inside), "text/plain": panel_text(facts, rows[:ROWS_SHOWN])}


def panel_text(facts: SessionFacts | None, rows: Sequence[SessionRow], columns: int | None = None) -> str:
    """Write facts and all rows as plain text, in lines of at most `columns`; but IDs and commands are not divided."""
    wrapper = word_wrapper(columns, " " * 15) if columns else None
    lines = [_NO_SESSION]
    if facts is not None:
        named = {name: f"{name:<15}{value}" for name, value in _facts(facts)}
        lines = [wrapper.fill(line) if wrapper and name not in _COPYABLE else line for name, line in named.items()]
    lines_of_rows = (_HEADINGS, *(cells(row) for row in rows))
    table = text_table(lines_of_rows, (8, 24, 40, 5, 16, 8), columns) if rows else [NO_ROWS]
    return "\n".join((*lines, "", *table))


def _facts(facts: SessionFacts) -> list[tuple[str, str]]:
    model = one_line(facts.model.removeprefix("claude-")) if facts.model else ""
    context = f"context {facts.context_used:.0%} used".replace("%", " %") if facts.context_used is not None else ""
    turns = f"{facts.turns:,} {'turn' if facts.turns == 1 else 'turns'}" if facts.turns is not None else ""
    tokens = f"{facts.tokens:,} tokens" if facts.tokens is not None else ""
    paid = " recorded" if facts.played else ""
    cost = f"{dollars(facts.cost_usd)}{paid}" if facts.cost_usd is not None else ""
    listed = (
        ("session", one_line(facts.session_id)),
        ("name", one_line(clean_line(facts.name or ""))),
        ("directory", one_line(shorten_home(facts.directory or ""), 200)),
        ("model", " · ".join(filter(None, (model, context)))),
        ("so far", " · ".join(filter(None, (turns, tokens, cost)))),
        ("a request", one_line(clean_line(context_line(facts.request)), 200)),
        ("still running", "; ".join(one_line(clean_line(work.about), 60) for work in facts.work)),
        ("servers", "; ".join(one_line(clean_line(server), 200) for server in facts.servers)),
        ("in a terminal", "" if facts.played else one_line(facts.command, 400)),
    )
    return [(name, value) for name, value in listed if value]


def _facts_html(facts: SessionFacts | None) -> str:
    if facts is None:
        return f'<p class="claude-remark">{escape(_NO_SESSION)}</p>\n'
    copyable = '<code class="claude-copy" title="A click selects all of it">{}</code>'
    cells = ((name, (copyable if name in _COPYABLE else "{}").format(escape(value))) for name, value in _facts(facts))
    lines = (f'<tr><th class="claude-fact">{name}</th><td>{cell}</td></tr>\n' for name, cell in cells)
    return f"<table>\n{''.join(lines)}</table>\n"


def _label(row: SessionRow) -> str:
    return " · ".join(filter(None, cells(row)[:3]))


def _table_html(rows: Sequence[SessionRow]) -> str:
    table = Table(_HEADINGS, [cells(row) for row in rows[:ROWS_SHOWN]], "" if rows else NO_ROWS)
    return table.html().replace("<table>", '<table class="claude-sessions">', 1)


def _rest_html(rows: Sequence[SessionRow]) -> str:
    words = (rest(len(rows) - ROWS_SHOWN), "%claude_session resume ID continues one of them." if len(rows) > 1 else "")
    return "".join(f'<p class="claude-remark">{escape(line)}</p>\n' for line in words if line)
