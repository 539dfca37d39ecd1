"""What going back costs: `--redo` of a cell once more, next to a warm cell that continues and to a branch started cold.

    python tests/bench/branching.py [ROUNDS]

Target: under 0.1 s on the client side when the process was prepared ahead. That is the whole cell without what the CLI takes
for the turn itself; the table also gives the whole, as the first turn of any CLI process takes longer than a later one.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import psutil
from common import Bench, Kernel, bench, median, spread, table

WARM, AGAIN, COLD = "continues, warm", "--redo once more, prepared", "--fork, cold"
PROMPT = "%%claude {}\nhello there"
READ_S = 1.0
"""How long a person reads before asking again: the CLI goes on with its start in that time, after it listens."""


def branches(place: Bench, rounds: int) -> None:
    wall: defaultdict[str, list[float]] = defaultdict(list)
    client: defaultdict[str, list[float]] = defaultdict(list)
    with Kernel(place.directory("cell"), place.environment) as kernel:

        def cell(name: str, options: str, cell_id: str) -> None:
            began = time.perf_counter()
            result = kernel.run(PROMPT.format(options), cell_id=cell_id)
            took = time.perf_counter() - began
            assert result.ok, result
            wall[name].append(took)
            client[name].append(took - result.metadata["claude_magic"]["duration_s"])

        def rest() -> None:
            """Wait until every CLI that was started has listened for a while."""
            while any(time.time() - child.create_time() < READ_S + 1 for child in living(kernel)):
                time.sleep(0.05)

        assert kernel.run("%load_ext claude_magic").ok
        cell(WARM, "", "first")
        for number in range(-1, rounds):
            cell("--redo", "--redo" if number >= 0 else "", "redone")
            rest()
            if number >= 0:
                cell(AGAIN, "--redo", "redone")
                rest()
            cell(WARM, "", "other")
            cell(COLD, "--fork", "other")
            rest()
            if number < 0:
                wall.clear(), client.clear()
    rows = [
        [
            name,
            f"{median(client[name]) * 1000:.0f}",
            spread(client[name]),
            f"{median(wall[name]) * 1000:.0f}",
            spread(wall[name]),
            f"{(median(wall[name]) - median(wall[WARM])) * 1000:+.0f}",
            str(len(wall[name])),
        ]
        for name in (WARM, AGAIN, COLD)
    ]
    head = ["way", "client ms (< 100)", "middle half", "whole cell ms", "middle half", "over warm ms", "n"]
    table("Going back", head, rows)


def living(kernel: Kernel) -> list[psutil.Process]:
    return [child for child in kernel.children() if child.is_running() and child.name() == "claude"]


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    with bench() as place:
        branches(place, int(sys.argv[1]) if len(sys.argv) > 1 else 15)
