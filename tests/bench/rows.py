"""Measure rows a second and memory: `python tests/bench/rows.py [ROWS] [CONCURRENCY]`, against a loop over `claude -p`.

Prints multiples of the loop, as a busy machine slows both alike, and the memory of Python and of the processes at a tenth of
the rows and at the end.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from messages_api import MessagesAPI
from rig.environment import isolated_environment, own_variables

from claude_magic.sdk import ClaudeConfig, RowsRequest, stream_each
from claude_magic.sdk._cli.command_line import find_cli

LOOP_ROWS = 6


def loop_rate(env: dict[str, str], directory: Path) -> float:
    """Return how many rows a second a loop over `claude -p` takes."""
    began = time.monotonic()
    for number in range(LOOP_ROWS):
        subprocess.run(
            [find_cli(None), "-p", f"row {number}"], cwd=directory, env=env, stdin=-3, capture_output=True, check=True
        )
    return LOOP_ROWS / (time.monotonic() - began)


def megabytes() -> tuple[int, int]:
    """Return what this process holds, and what its children hold."""
    own = psutil.Process()
    children = sum(child.memory_info().rss for child in own.children(recursive=True))
    return own.memory_info().rss // 10**6, children // 10**6


async def rows_rate(config: ClaudeConfig, count: int, concurrency: int, api: MessagesAPI) -> float:
    """Return how many rows a second a run takes, once it is under way."""

    def rows() -> Iterator[str]:
        for number in range(count):
            if number % 50 == 0:
                api.requests.clear()  # the log of the API is no memory of ours
            yield f"row {number}"

    done, began = 0, 0.0
    async for _ in stream_each(RowsRequest(template="{{ row }}", rows=rows(), concurrency=concurrency), config):
        done += 1
        began = began or time.monotonic()
        if done in (count // 10, count - concurrency):
            print(f"  after {done} rows: {megabytes()} MB here and in the processes")
    return (done - 1) / (time.monotonic() - began)


def main() -> None:
    """Measure, and print."""
    count, concurrency = (*map(int, sys.argv[1:]), *(400, 2)[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory() as home, MessagesAPI() as api:
        directory = Path(home, "work")
        directory.mkdir()
        os.chdir(directory)
        before = loop_rate(isolated_environment(Path(home), api.url), directory)
        rate = asyncio.run(rows_rate(ClaudeConfig(env=own_variables(Path(home), api.url)), count, concurrency, api))
        after = loop_rate(isolated_environment(Path(home), api.url), directory)
        loop = (before + after) / 2
        print(f"{rate:.1f} rows a second with {concurrency} at once, {rate / loop:.0f} times the loop ({loop:.2f})")
        os.chdir("/")


if __name__ == "__main__":
    main()
