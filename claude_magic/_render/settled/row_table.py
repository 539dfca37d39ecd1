"""The results of a run over many rows as small tables, in settled HTML, Markdown and text.

Only a few rows are shown: first those that failed, because they need attention, then the first others. A trial shows the score
of each way (a variant with a model), its difference from the best, and rows where ways disagree.
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
from claude_magic.sdk._trials.findings import ArmResult, Disagreement
from claude_magic.sdk._trials.trial import Trial

SHOWN_ROWS: Final = 8
SHOWN_FAILURES: Final = 4
_CELL_LENGTH: Final = 80
_COLUMNS: Final = 8

SHOWN_ARMS: Final = 16
SHOWN_DISAGREEMENTS: Final = 4
_LABEL_LENGTH: Final = 60
_REPLY_WIDTH: Final = 50


def settled_rows(results: Results, *, with_rows: bool = True) -> dict[str, str]:
    """Return the results of a run over rows in the three forms that a notebook stores: the rows, or the findings of a trial.

    :param with_rows: whether tables are shown, or only the line that sums them up.
    """
    if not with_rows:
        tables = []
    elif isinstance(results, Trial):
        tables = [_arms(results), _disagreements(results)]
    else:
        tables = [_table(results)]
    summary = in_reading_order(clean_line("; ".join([results.summary(), *results.remarks])))
    return tables_bundle(tables, summary)


def _table(results: Results) -> Table:
    failed = list(islice(results.errors, SHOWN_FAILURES))
    first = [position for position in range(min(SHOWN_ROWS, len(results))) if position not in failed]
    places = [*failed, *first][:SHOWN_ROWS]
    records = [results.records(slice(place, place + 1))[0] for place in places]
    names = list(dict.fromkeys(name for record in records for name in record))
    # The replies are in the last columns, and matter most.
    chosen = names if len(names) <= _COLUMNS else [*names[: _COLUMNS // 2], *names[-_COLUMNS // 2 :]]
    lines = [
        [f"{place:,}", *(_short_cell(record.get(name)) for name in chosen)]
        for place, record in zip(places, records, strict=True)
    ]
    more = len(results) - len(lines)
    head = ["", *(clean_line(one_line(name, _CELL_LENGTH)) for name in chosen)]
    return Table(head, lines, f"{more:,} more rows" if more else "")


def _short_cell(value: Any) -> str:
    """Write a value on one line, cut and without credentials."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = list(value[:10])
    return "" if value is None else one_line(clean_line(str(value)), _CELL_LENGTH)


def _arms(trial: Trial) -> Table:
    found = trial.table
    against = {difference.other: difference for difference in trial.differences if difference.one == found[0].label}
    head = ["variant", "model", "mean", "95 %", "below the best", "n", "errors", "$ a row", "s a row"]
    lines = []
    for arm in found[:SHOWN_ARMS]:
        difference = against.get(arm.label)
        below = f"{_number(difference.difference)} {_interval(difference.low, difference.high)}" if difference else ""
        names = _label(arm.variant), _label(arm.model or "")
        lines.append([*names, _number(arm.mean), _interval(arm.low, arm.high), below.strip(), *_figures(arm)])
    kept = [column for column in range(len(head)) if any(line[column] for line in lines)]
    shown = [[line[column] for column in kept] for line in (head, *lines)]
    return Table(shown[0], shown[1:], clean_line(trial.verdict))


def _disagreements(trial: Trial) -> Table:
    found = trial.disagreements
    if not found:
        return Table([], [])
    head = ["", "row", "highest score", "lowest score"] if trial.is_scored else ["", "row", "one reply", "another"]
    lines = [[f"{row.row:,}", _short_cell(_content(row.content)), *_extremes(row)] for row in found[:SHOWN_DISAGREEMENTS]]
    more = len(found) - len(lines)
    return Table(head, lines, f"{more:,} more rows where they differ" if more else "", _REPLY_WIDTH)


def _extremes(row: Disagreement) -> list[str]:
    """Return the replies with the highest and the lowest score, or without scores two that differ; each with its way."""
    if row.scores:
        ends = max(row.scores, key=row.scores.__getitem__), min(row.scores, key=row.scores.__getitem__)
    else:
        first = next(iter(row.replies))
        ends = first, next(label for label, reply in row.replies.items() if repr(reply) != repr(row.replies[first]))
    scores = [f" ({_number(row.scores[label])})" if label in row.scores else "" for label in ends]
    return [f"{_label(label)}{score}: {_short_cell(row.replies[label])}" for label, score in zip(ends, scores, strict=True)]


def _content(row: object) -> object:
    return " · ".join(f"{name}: {value}" for name, value in row.items()) if isinstance(row, dict) else row


def _figures(arm: ArmResult) -> list[str]:
    cost = "" if arm.cost_usd is None else f"{arm.cost_usd:.5f}"
    return [f"{arm.n:,}", f"{arm.errors:,}" if arm.errors else "", cost, _number(arm.duration_s)]


def _label(text: str) -> str:
    return one_line(clean_line(text), _LABEL_LENGTH)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"({low:,.2f} to {high:,.2f})"
