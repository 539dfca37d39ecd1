"""The results of a run over many rows as a table: settled HTML, Markdown and text, small whatever the run was.

Failed rows come first, as they want looking at; of the others the first few stand for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from claude_magic._characters import in_reading_order
from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic._render.settled.session_list import text_table
from claude_magic.sdk._rows.results import Results

SHOWN_ROWS: Final = 8
SHOWN_FAILURES: Final = 4
_CELL_LENGTH: Final = 80
_COLUMNS: Final = 8


def results_bundle(results: Results, *, with_rows: bool = True) -> dict[str, str]:
    """Give the table in the three forms that a notebook stores.

    :param with_rows: whether rows are shown, or only the line that sums them up.
    """
    head, lines = _table(results) if with_rows else ([], [])
    summary = in_reading_order(clean_line("; ".join([results.summary(), *results.remarks])))
    more = f"{len(results) - len(lines):,} more rows" if with_rows and len(results) > len(lines) else ""
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>\n" for line in lines)
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    table = f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n" if lines else ""
    remark = f'<p class="claude-remark">{escape(more)}</p>\n' if more else ""
    marked = [f"| {' | '.join(map(safe_markdown.escape, line))} |" for line in (head, *lines)]
    marked.insert(1, f"| {' | '.join(['---'] * len(head))} |")
    limits = [24] * len(head)
    return {
        "text/html": styled_html(f'{table}{remark}<p class="claude-footer">{escape(summary)}</p>'),
        "text/markdown": "\n\n".join(filter(None, ["\n".join(marked) if lines else "", more, safe_markdown.escape(summary)])),
        "text/plain": "\n".join(filter(None, [*(text_table((head, *lines), limits) if lines else ()), more, summary])),
    }


def _table(results: Results) -> tuple[list[str], list[list[str]]]:
    failed = list(islice(results.errors, SHOWN_FAILURES))
    first = [position for position in range(min(SHOWN_ROWS, len(results))) if position not in failed]
    places = [*failed, *first][:SHOWN_ROWS]
    records = [results.records(slice(place, place + 1))[0] for place in places]
    names = list(dict.fromkeys(name for record in records for name in record))
    # What was replied stands last, and is what one looks for.
    chosen = names if len(names) <= _COLUMNS else [*names[: _COLUMNS // 2], *names[-_COLUMNS // 2 :]]
    lines = [
        [f"{place:,}", *(_cell(record.get(name)) for name in chosen)] for place, record in zip(places, records, strict=True)
    ]
    return ["", *(clean_line(one_line(name, _CELL_LENGTH)) for name in chosen)], lines


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return one_line(clean_line(_short(value)), _CELL_LENGTH)


def _short(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return str(list(value[:10]))
    return str(value)
