"""The progress of a run over many rows: a bar in a notebook or a terminal, lines of text elsewhere.

The bar in a notebook is removed when the run has ended, so that a saved notebook holds no dead widget.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm.std import tqdm

from claude_magic._render.place import Place
from claude_magic._render.settled.row_table import settled_rows
from claude_magic.sdk._rows.limits import Progress
from claude_magic.sdk._rows.results import Results

LINES = 10
"""About how many lines a run prints if there is no bar."""

LINE_EVERY_ROWS = 500
"""The number of rows between two lines if the total is unknown."""


class RowProgress:
    """Shows the progress of a run, and its results at the end.

    This class shows no progress, and at the end only if the run stopped early or rows failed; the others derive from it.

    :param with_table: whether a table of the results was wanted; without it, this class shows nothing at all.
    """

    def __init__(self, *, with_table: bool) -> None:
        self._with_table = with_table

    def update(self, progress: Progress) -> None:
        """Show the progress."""

    def close(self, results: Results) -> None:
        """Replace the progress by the results."""
        if self._with_table and (results.stopped or results.errors):
            print(settled_rows(results, with_rows=False)["text/plain"])


class Lines(RowProgress):
    """Prints a line from time to time, by a `clock` in seconds. Rows that come from a checkpoint do not count for that."""

    def __init__(self, total: int | None, *, with_table: bool, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(with_table=with_table)
        self._every = max(1, total // LINES) if total else LINE_EVERY_ROWS
        self._clock = clock
        self._began = clock()
        self._told = 0

    def update(self, progress: Progress) -> None:
        asked = progress.done - progress.kept
        if asked // self._every == self._told // self._every:
            return
        self._told = asked
        took = max(self._clock() - self._began, 1e-9)
        rate = asked / took
        left = f"{tqdm.format_interval((progress.total - progress.done) / rate)} left" if progress.total else ""
        of = f"{progress.done:,} of {progress.total:,} rows" if progress.total else f"{progress.done:,} rows"
        print(", ".join(filter(None, [of, f"{rate:.1f} a second", figures(progress), left])))

    def close(self, results: Results) -> None:
        if self._with_table:
            Place().show(settled_rows(results))
        else:
            print(settled_rows(results, with_rows=False)["text/plain"])


class _Bar(tqdm):  # type: ignore[misc]
    # 0: otherwise tqdm starts a thread that watches for stalled bars, and the thread stays.
    monitor_interval = 0


class _TqdmProgress(RowProgress):
    """Progress that a bar of tqdm shows."""

    _bar: Any

    def update(self, progress: Progress) -> None:
        self._bar.total = progress.total  # it may grow: when all rows are answered, a trial may still have to judge them
        self._bar.set_postfix_str(figures(progress), refresh=False)
        self._bar.update(progress.done - self._bar.n)


class TerminalBar(_TqdmProgress):
    """tqdm's bar, in a terminal.

    :param leave: whether the bar stays at the end. qtconsole (5.7) cannot remove it: the table would begin in its line.
    """

    def __init__(self, total: int | None, *, with_table: bool, leave: bool = False) -> None:
        super().__init__(with_table=with_table)
        self._bar = _Bar(total=total, unit="row", file=sys.stderr, dynamic_ncols=True, leave=leave)

    def close(self, results: Results) -> None:
        self._bar.close()
        sys.stderr.flush()  # a kernel would send the table first
        print(settled_rows(results, with_rows=self._with_table)["text/plain"])


class NotebookBar(_TqdmProgress):
    """tqdm's bar for notebooks, in a display that becomes the results."""

    def __init__(self, total: int | None, *, with_table: bool) -> None:
        from tqdm.notebook import tqdm_notebook

        from claude_magic._render.live.widgets import view_bundle

        bar_type = type("_NotebookBar", (tqdm_notebook,), {"monitor_interval": 0})
        self._bar = bar_type(total=total, unit="row", display=False, leave=False)
        super().__init__(with_table=with_table)
        self._place = Place()
        self._place.show(view_bundle(self._bar.container))

    def close(self, results: Results) -> None:
        from claude_magic._render.live.widgets import close_tree

        # The display first, or the notebook would jump.
        self._place.show(settled_rows(results, with_rows=self._with_table))
        self._bar.close()
        close_tree(self._bar.container)


def row_progress(kind: str, total: int | None, *, with_table: bool) -> RowProgress:
    """Return the progress of a run. `kind`: `notebook`, `terminal`, `console` (the bar stays), `script`, `lines` or `none`.

    :param with_table: whether a table of the results replaces it at the end, or only a line that sums them up. With `none`, the
        line comes only if the run stopped early or rows failed, and only if a table was wanted.
    """
    if kind == "script":
        kind = "terminal" if sys.stderr.isatty() else "lines"
    match kind:
        case "notebook":
            return NotebookBar(total, with_table=with_table)
        case "terminal" | "console":
            return TerminalBar(total, with_table=with_table, leave=kind == "console")
        case "lines":
            return Lines(total, with_table=with_table)
    return RowProgress(with_table=with_table)


def figures(progress: Progress) -> str:
    """Return how many rows failed, the cost so far, and the expected cost of all rows."""
    projected = progress.projected_usd
    cost = f"${progress.cost_usd:.4f}" + (f" of about ${projected:.4f}" if projected is not None else "")
    return ", ".join(filter(None, [f"{progress.failed:,} failed" if progress.failed else "", cost]))
