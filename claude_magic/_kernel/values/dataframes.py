"""DataFrames and Series as Markdown: shape, dtypes, and the first rows as a table.

This module does not import pandas or polars: the caller has recognised their objects by the names of their types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

MAX_ROWS: Final = 10

MAX_COLUMNS: Final = 20

MAX_CELL_CHARACTERS: Final = 200
"""The most characters of one cell: a column may hold whole documents."""


def pandas_frame(frame: Any) -> str:
    """Return a DataFrame of pandas as Markdown."""
    head = frame.iloc[:MAX_ROWS, :MAX_COLUMNS]
    index = _label(name for name in frame.index.names if name is not None)
    rows = [(_label_of(row[0]), *row[1:]) for row in head.itertuples(index=True, name=None)]
    names = [_label_of(name) for name in head.columns]
    return _frame(frame, names, head.dtypes, [index, *names], rows)


def pandas_series(series: Any) -> str:
    """Return a Series of pandas as Markdown."""
    index = _label(name for name in series.index.names if name is not None)
    rows = [(_label_of(label), value) for label, value in series.iloc[:MAX_ROWS].items()]
    return _series(series, [index, "" if series.name is None else _label_of(series.name)], rows)


def polars_frame(frame: Any) -> str:
    """Return a DataFrame of polars as Markdown."""
    head = frame[:MAX_ROWS, :MAX_COLUMNS]
    return _frame(frame, head.columns, head.dtypes, head.columns, head.rows())


def polars_series(series: Any) -> str:
    """Return a Series of polars as Markdown."""
    return _series(series, [series.name], [(value,) for value in series.head(MAX_ROWS).to_list()])


def _frame(
    frame: Any, names: Iterable[object], dtypes: Iterable[object], header: Sequence[object], rows: Sequence[Sequence[object]]
) -> str:
    n_rows, n_columns = frame.shape
    typed = [f"{_cell(name)} {_cell(dtype)}" for name, dtype in zip(names, dtypes, strict=True)]
    missing = [f"… {n_columns - len(typed):,} more"] if n_columns > len(typed) else []
    parts = [f"{type(frame).__name__}: {_counted(n_rows, 'row')} × {_counted(n_columns, 'column')}"]
    if typed:
        parts.append(f"dtypes: {', '.join([*typed, *missing])}")
    if n_rows and n_columns:
        parts.append(markdown_table(header, rows))
        parts += _left_out(n_rows - len(rows), n_columns - len(typed))
    return "\n\n".join(parts)


def _series(series: Any, header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    name = header[-1]
    parts = [
        f"{type(series).__name__}{f' {_cell(name)}' if name else ''}: {_counted(len(series), 'row')}, dtype {series.dtype}"
    ]
    if rows:
        parts.append(markdown_table(header, rows))
    return "\n\n".join([*parts, *_left_out(len(series) - len(rows), 0)])


def markdown_table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a long text in a cell is cut."""
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    text = str(value)
    missing = len(text) - MAX_CELL_CHARACTERS
    if missing > 0:
        text = f"{text[:MAX_CELL_CHARACTERS]}… ({missing:,} more characters)"
    return "<br>".join(text.replace("|", r"\|").splitlines())


def _label_of(label: object) -> str:
    """Return a label of an index as text. With several levels the label is a tuple."""
    return _label(label) if isinstance(label, tuple) else str(label)


def _label(levels: Iterable[object]) -> str:
    return " / ".join(map(str, levels))


def _left_out(rows: int, columns: int) -> list[str]:
    missing = [_counted(count, f"more {noun}") for count, noun in ((rows, "row"), (columns, "column")) if count > 0]
    return [f"… {' and '.join(missing)}"] if missing else []


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
