"""The results of a run over many rows: an outcome for each row, in the order of the rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from claude_magic._libraries import library
from claude_magic.errors import ClaudeError
from claude_magic.sdk._rows.work import columns_of

if TYPE_CHECKING:
    import pandas

REPLY = "reply"
"""The column of the reply in a table of results without a schema."""

ERROR = "error"


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """The outcome of one row. `value` is the reply's text, or an instance of the schema; `error` says why there is none."""

    position: int
    """Its position among the rows, from 0."""
    row: Any = field(repr=False)
    """The row itself."""
    value: Any = None
    error: ClaudeError | None = None
    usage: dict[str, Any] = field(default_factory=dict, repr=False)
    """Tokens, as the API counts them."""
    cost_usd: float = 0.0
    """What it cost, in this run or in an earlier one."""
    duration_s: float | None = None
    """Seconds that the reply took."""
    from_checkpoint: bool = False
    """Whether it was answered in an earlier run."""
    asked: bool = True
    """Whether it was sent; a row may be left out by a budget, an interrupt, or because it lacks a column of the template."""


class Results:
    """The outcomes of a run, in the order of its rows.

    :param frame: the table of the rows, if they come from one.
    :param total: the number of rows, if it is known.
    """

    def __init__(self, frame: Any = None, total: int | None = None) -> None:
        self._frame = frame
        self._total = total
        self._outcomes: dict[int, RowOutcome] = {}
        self._pulled = 0
        """The number of rows up to the last one with an outcome."""
        self.stopped = ""
        """Why the run ended before its last row; empty if it did not."""
        self.remarks: list[str] = []
        """Sentences about the run for the person, such as that a worker was lost."""

    def add(self, outcome: RowOutcome) -> ClaudeError | None:
        """Add the outcome of a row. A subclass scores it, and returns the error if that fails."""
        self._outcomes[outcome.position] = outcome
        self._pulled = max(self._pulled, outcome.position + 1)
        return None

    def __len__(self) -> int:
        return self._pulled

    def __iter__(self) -> Iterator[RowOutcome]:
        return (self[position] for position in range(self._pulled))

    def __getitem__(self, position: int) -> RowOutcome:
        if not -self._pulled <= position < self._pulled:
            raise IndexError(position)
        position %= self._pulled
        missing = ClaudeError(f"Not answered: {self.stopped or 'the run has not ended'}.", next_step="Ask again for this row.")
        return self._outcomes.get(position) or RowOutcome(position, None, error=missing, asked=False)

    @property
    def values(self) -> list[Any]:
        """Return a value for each row, or the error of a row that failed."""
        return [outcome.value if outcome.error is None else outcome.error for outcome in self]

    @property
    def errors(self) -> dict[int, ClaudeError]:
        """Return the error of each failed row, by its position."""
        return {outcome.position: outcome.error for outcome in self if outcome.error is not None}

    @property
    def usage(self) -> dict[str, int]:
        """Return the tokens of all rows together, also of those from a checkpoint, as the API counts them."""
        total: Counter[str] = Counter()
        for outcome in self:
            total.update({name: count for name, count in outcome.usage.items() if isinstance(count, int)})
        return dict(total)

    @property
    def cost_usd(self) -> float:
        """Return the cost of this run, in US dollars. Rows from a checkpoint were paid for earlier."""
        return sum(outcome.cost_usd for outcome in self if not outcome.from_checkpoint)

    def records(self, rows: slice = slice(None)) -> list[dict[str, Any]]:
        """Return each row with its reply, as a dict."""
        return [_record(self[position]) for position in range(self._pulled)[rows]]

    def to_frame(self) -> pandas.DataFrame | Any:
        """Return the rows with the reply, or the schema's fields, as further columns; polars stays polars.

        A column of the reply gets `reply_` before its name if the rows have that column, too. Errors have a column of their
        own.

        :raises ConfigError: if pandas is not installed.
        """
        if self._frame is None or _is_polars(self._frame):
            return new_frame(self.records(), self._frame)
        own, table = new_frame([_reply(outcome) for outcome in self], None), self._frame.iloc[: len(self)].copy()
        for name in own:
            # By position: labels of the table's index may occur more than once.
            table[_free(name, {str(column) for column in table.columns})] = own[name].array
        return table

    def summary(self) -> str:
        """Return the outcome in one line."""
        failed, kept = len(self.errors), sum(outcome.from_checkpoint for outcome in self)
        rows = self._row_count(len(self))
        parts = [rows, f"{failed:,} failed" if failed else "", f"{kept:,} from the checkpoint" if kept else ""]
        return ", ".join(filter(None, [*parts, f"${self.cost_usd:.4f}"])) + self._partial()

    def _row_count(self, count: int) -> str:
        is_short = self._total is not None and count < self._total
        return f"{count:,} of {self._total:,} rows" if is_short else f"{count:,} rows"

    def _partial(self) -> str:
        return f"; partial: {self.stopped}" if self.stopped else ""

    def __repr__(self) -> str:
        return f"<Results: {self.summary()}>"


def new_frame(records: list[dict[str, Any]], like: Any) -> pandas.DataFrame | Any:
    """Return a DataFrame of records: of polars if `like` is a DataFrame of polars, else of pandas.

    :raises ConfigError: if pandas is not installed.
    """
    if not _is_polars(like):
        return library("pandas", "A DataFrame needs").DataFrame(records)
    import polars

    # Polars reads every row for a column's type, as the first error, or the first fraction, may come late.
    return polars.DataFrame(records, infer_schema_length=None)


def _is_polars(frame: Any) -> bool:
    return type(frame).__module__.startswith("polars")


def _record(outcome: RowOutcome) -> dict[str, Any]:
    columns = columns_of(outcome.row) or {"row": outcome.row}
    return columns | {_free(name, columns.keys()): value for name, value in _reply(outcome).items()}


def _reply(outcome: RowOutcome) -> dict[str, Any]:
    value = outcome.value
    if outcome.error is not None:
        return {ERROR: outcome.error.message}
    if dataclasses.is_dataclass(value):
        return {choice.name: getattr(value, choice.name) for choice in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return dict(value.model_dump())
    return dict(value) if isinstance(value, Mapping) else {REPLY: value}


def _free(name: Any, taken: Any) -> str:
    return _free(f"reply_{name}", taken) if str(name) in taken else str(name)
