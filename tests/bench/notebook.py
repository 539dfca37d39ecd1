"""What it costs to know the notebook: the outline of many cells, and the memory of a cell that prints without end.

    python tests/bench/notebook.py [CELLS] [MEGABYTES]

Both run in this process: a shell, with and without the extension's notes. IPython (9) keeps what a cell prints by itself; what
is told here is what comes on top.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import tracemalloc

from common import median, table
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import claude_magic._kernel.notebook as noted
from claude_magic._kernel.notebook.outline import Outline
from claude_magic._kernel.notebook.ran_cells import RanCells

TIMES = 25


def ran(shell: InteractiveShell, cells: RanCells, code: str) -> None:
    """Run a cell that is noted."""
    cells.begin(code)
    with contextlib.redirect_stdout(io.StringIO()):
        cells.end(shell.run_cell(code, store_history=True))
    cells.begin()


def outline_ms(count: int) -> float:
    """Return the time for the outline of so many cells, each with a variable and a value."""
    shell = quiet_shell()
    cells = RanCells(shell)
    outline = Outline(shell, cells)
    for number in range(count):
        ran(shell, cells, f"value_{number} = {number}\nvalue_{number}")
    spent = []
    for _ in range(TIMES):
        began = time.thread_time()
        outline.since((), "outline", 4000)
        spent.append(time.thread_time() - began)
    return median(spent) * 1000


def own_kilobytes(megabytes: int) -> float:
    """Return the memory that our own modules hold when a cell has printed so much, and its outline was made."""
    shell = quiet_shell()
    cells = RanCells(shell)
    outline = Outline(shell, cells)
    place = f"{noted.__path__[0]}/*"
    tracemalloc.start()
    ran(shell, cells, f"for _ in range({megabytes}): print('y' * 1_000_000)")
    outline.since((), "outline", 4000)
    outline.since((), "full", 4000)
    outline.read([1], 4000)
    found = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, place)])
    tracemalloc.stop()
    return sum(trace.size for trace in found.traces) / 1000


def quiet_shell() -> InteractiveShell:
    config = Config()
    config.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    return InteractiveShell(config=config)


def main(count: int = 200, megabytes: int = 100) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        outline, kilobytes = outline_ms(count), own_kilobytes(megabytes)
    rows = [(f"outline of {count} cells", f"{outline:.1f} ms"), (f"a cell that prints {megabytes} MB", f"{kilobytes:.1f} kB")]
    table("Knowing the notebook", ("what", "cost"), rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
