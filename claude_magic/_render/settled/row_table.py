"""The results of a run over many rows as a table: settled HTML, Markdown and text, small for any number of rows.

Failed rows come first, because they need attention. Of the others only the first few are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from claude_magic._characters import in_reading_order
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.settled.plain_tables import Table, tables_bundle
from claude_magic.sdk._rows.results import Results

SHOWN_ROWS: Final = 8
SHOWN_FAILURES: Final = 4
_CELL_LENGTH: Final = 80
_COLUMNS: Final = 8


def results_bundle(results: Results, *, with_rows: bool = True) -> dict[str, str]:
    """Return the table in the three forms that a notebook stores.

    :param with_rows: whether rows are shown, or only the line that sums them up.
    """
    head, lines = _table(results) if with_rows else ([], [])
    more = f"{len(results) - len(lines):,} more rows" if with_rows and len(results) > len(lines) else ""
    return tables_bundle([Table(head, lines, more)], summary_of(results))


def summary_of(results: Results) -> str:
    """Return a line that sums up a run, with its remarks."""
    return in_reading_order(clean_line("; ".join([results.summary(), *results.remarks])))


def _table(results: Results) -> tuple[list[str], list[list[str]]]:
    failed = list(islice(results.errors, SHOWN_FAILURES))
    first = [position for position in range(min(SHOWN_ROWS, len(results))) if position not in failed]
    places = [*failed, *first][:SHOWN_ROWS]
    records = [results.records(slice(place, place + 1))[0] for place in places]
    names = list(dict.fromkeys(name for record in records for name in record))
    # The replies are in the last columns, and matter most.
    chosen = names if len(names) <= _COLUMNS else [*names[: _COLUMNS // 2], *names[-_COLUMNS // 2 :]]
    lines = [
        [f"{place:,}", *(short_cell(record.get(name)) for name in chosen)]
        for place, record in zip(places, records, strict=True)
    ]
    return ["", *(clean_line(one_line(name, _CELL_LENGTH)) for name in chosen)], lines


def short_cell(value: Any) -> str:
    """Write a value on one line, cut and without credentials."""
    if value is None:
        return ""
    return one_line(clean_line(_short(value)), _CELL_LENGTH)


def _short(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return str(list(value[:10]))
    return str(value)
