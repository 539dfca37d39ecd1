"""Ask many rows in a kernel that is killed at half, go on in another one: `python tests/bench/rows_killed.py [ROWS] [AT_ONCE]`.

Prints requests a row in the API's log, rows that were answered other than once, the rate, and the memory of kernel and CLIs.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from messages_api import MessagesAPI
from rig.environment import isolated_environment
from rig.kernel import Kernel

ASK = """
from claude_magic import ask_each
rows = (f"row {{number}}" for number in range({rows}))
results = ask_each("{{{{ row }}}}", rows, concurrency={at_once}, checkpoint="rows.sqlite", progress=False)
right = results.values == [f"You said: row {{number}}" for number in range({rows})]
kept = sum(outcome.from_checkpoint for outcome in results)
"""
HOURS_S = 4 * 3600.0


def megabytes(kernel: Kernel) -> str:
    """Say what the kernel holds, and what its CLIs hold."""
    below = sum(child.memory_info().rss for child in kernel.children())
    return f"{psutil.Process(kernel.pid).memory_info().rss // 10**6} MB in the kernel, {below // 10**6} MB below it"


def main() -> None:
    """Measure, and print."""
    rows, at_once = (*map(int, sys.argv[1:]), *(400, 2)[len(sys.argv) - 1 :])
    code = ASK.format(rows=rows, at_once=at_once)
    with tempfile.TemporaryDirectory() as home, MessagesAPI() as api:
        directory, environment = Path(home, "work"), isolated_environment(Path(home), api.url)
        directory.mkdir()
        began = time.monotonic()
        with Kernel(directory, environment) as kernel:
            kernel.start(code)
            api.wait_for_requests(rows // 20, HOURS_S)
            print(f"after {len(api.requests):,} requests: {megabytes(kernel)}", flush=True)
            api.wait_for_requests(rows // 2, HOURS_S)
            print(f"killed after {len(api.requests):,} requests: {megabytes(kernel)}", flush=True)
            os.kill(kernel.pid, signal.SIGKILL)
        with Kernel(directory, environment) as kernel:
            cell = kernel.start(code)
            api.wait_for_requests(rows * 19 // 20, HOURS_S)
            print(f"near the end: {megabytes(kernel)}", flush=True)
            cell.wait(HOURS_S)
            took_s = time.monotonic() - began
            print(f"all replies right: {kernel.value('right')}, {kernel.value('kept'):,} from the checkpoint")
        asked = Counter(prompts[-1] for prompts in api.prompts())
        twice = sum(count > 1 for count in asked.values())
        print(f"{len(asked):,} of {rows:,} rows asked, {twice} of them twice: {len(api.requests) / rows:.4f} requests a row")
        print(f"{rows / took_s:.1f} rows a second with {at_once} at once, starting twice included; {took_s:.0f} s")


if __name__ == "__main__":
    main()
