"""What a run over many rows came to: an outcome for each row, in the order of the rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from claude_magic.errors import ClaudeError, ConfigError

if TYPE_CHECKING:
    import pandas

REPLY = "reply"
"""The column of the reply in a table of results, where there is no schema."""

ERROR = "error"


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What one row came to. `value` is the reply's text, or an instance of the schema; `error` says why there is none."""

    position: int
    """Its place among the rows, from 0."""
    row: Any = field(repr=False)
    """The row itself."""
    value: Any = None
    error: ClaudeError | None = None
    usage: dict[str, Any] = field(default_factory=dict, repr=False)
    """Tokens, as the API counts them."""
    cost_usd: float = 0.0
    """What it cost, in whichever run it was asked."""
    duration_s: float | None = None
    """Seconds that the reply took."""
    from_checkpoint: bool = False
    """Whether it was answered in an earlier run."""
    asked: bool = True
    """Whether it was sent; a row may be left out by a budget, an interrupt, or because it does not fill the template."""


class Results:
    """The outcomes of a run, in the order of its rows.

    :param frame: the table that the rows come from, if it is one.
    """

    def __init__(self, frame: Any = None) -> None:
        self._frame = frame
        self._outcomes: dict[int, RowOutcome] = {}
        self._pulled = 0
        self.stopped = ""
        """Why the run ended before its last row; empty when it did not."""
        self.remarks: list[str] = []
        """What one should know of the run beside its outcomes."""

    def add(self, outcome: RowOutcome) -> ClaudeError | None:
        """Take the outcome of a row, and return what goes wrong with it here."""
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
        """Return a value for each row; in the place of a row that failed stands its error."""
        return [outcome.value if outcome.error is None else outcome.error for outcome in self]

    @property
    def errors(self) -> dict[int, ClaudeError]:
        """Return why rows failed, by their places."""
        return {outcome.position: outcome.error for outcome in self if outcome.error is not None}

    @property
    def usage(self) -> dict[str, int]:
        """Return the tokens of all rows together, as the API counts them."""
        total: Counter[str] = Counter()
        for outcome in self:
            total.update({name: count for name, count in outcome.usage.items() if isinstance(count, int)})
        return dict(total)

    @property
    def cost_usd(self) -> float:
        """Return what this run cost, in US dollars; rows of a checkpoint were paid before."""
        return sum(outcome.cost_usd for outcome in self if not outcome.from_checkpoint)

    def records(self, rows: slice = slice(None)) -> list[dict[str, Any]]:
        """Return each row with its reply, as a dict."""
        return [_record(self[position]) for position in range(self._pulled)[rows]]

    def to_frame(self) -> pandas.DataFrame | Any:
        """Make a table: the columns of the rows, and the reply or the schema's fields; polars for rows of polars.

        A column of the reply that the rows have, too, gets `reply_` before its name. Errors stand in a column of their own,
        where there are any.

        :raises ConfigError: when pandas is not there.
        """
        if self._frame is None or _is_polars(self._frame):
            return new_frame(self.records(), self._frame)
        pandas = _pandas()
        own = pandas.DataFrame([_reply(outcome) for outcome in self], index=self._frame.index[: len(self)])
        own.columns = [_free(name, {str(column) for column in self._frame.columns}) for name in own.columns]
        return self._frame.iloc[: len(self)].join(own)

    def summary(self) -> str:
        """Say in a line what came of it."""
        failed, kept = len(self.errors), sum(outcome.from_checkpoint for outcome in self)
        parts = [f"{len(self):,} rows", f"{failed:,} failed" if failed else "", f"{kept:,} from the checkpoint" if kept else ""]
        return ", ".join(filter(None, [*parts, f"${self.cost_usd:.4f}"])) + (f"; {self.stopped}" if self.stopped else "")

    def __repr__(self) -> str:
        return f"<Results: {self.summary()}>"


def new_frame(records: list[dict[str, Any]], like: Any) -> pandas.DataFrame | Any:
    """Make a table of records: of polars, if `like` is a table of polars.

    :raises ConfigError: when pandas is not there.
    """
    if not _is_polars(like):
        return _pandas().DataFrame(records)
    import polars

    # Errors may come late, and numbers that begin whole: every row is looked at for the type of a column.
    return polars.DataFrame(records, infer_schema_length=None)


def _is_polars(frame: Any) -> bool:
    return type(frame).__module__.startswith("polars")


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ConfigError("A DataFrame needs pandas, which is not installed here.", next_step="pip install pandas") from error
    return pandas


def _record(outcome: RowOutcome) -> dict[str, Any]:
    row = outcome.row
    columns = {str(name): value for name, value in row.items()} if isinstance(row, Mapping) else {"row": row}
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
    return f"reply_{name}" if str(name) in taken else str(name)
