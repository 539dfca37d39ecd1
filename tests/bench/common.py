"""What the benchmarks share: an isolated place, a scripted API in a process of its own, the bare SDK to compare with, a table.

Nothing here knows what is measured. Every benchmark measures in pairs: what is compared runs in turns within one run, and
medians are compared, because the machine is seldom alone.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from messages_api import MessagesAPI
from rig.environment import isolated_environment
from rig.kernel import Kernel

__all__ = ["Bench", "Kernel", "SDKClient", "bench", "cpu_s", "median", "table"]


@dataclass(frozen=True, slots=True)
class Bench:
    """A place to measure in: `environment` for every process, `directory(name)` for each way of asking."""

    root: Path
    environment: dict[str, str]

    def directory(self, name: str) -> Path:
        directory = self.root / name
        directory.mkdir(exist_ok=True)
        return directory


PROSE = """\
## What the numbers say

The **median** of a list is the value in its middle: half of the others are smaller, half are larger. Unlike the mean it does
not care how far away an outlier lies, see [the manual](https://example.org/median) and `numpy.median`.

- sort the values, *then* count
- with an even number of values, take the mean of the two in the middle
- for $n$ values that is $O(n \\log n)$

| column | median | mean |
| --- | ---: | ---: |
| age | 28 | 29.7 |
| fare | 14.45 | 32.2 |

```python
def median(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
```

1. Read the file.
2. Drop what is missing; say how much that was.

"""


class ProseAPI(MessagesAPI):
    """Stream Markdown as a model writes it, where `MessagesAPI` streams one paragraph without end."""

    replies = 0

    def paced(self, count: int, size: int, rate_hz: float) -> Iterator[dict[str, Any]]:
        # No section and no reply is like another one, or a cache would make them look cheap.
        self.replies += 1
        sections = range(count * size // len(PROSE) + 1)
        text = "".join(PROSE.replace("value", f"value{self.replies}.{section}") for section in sections)
        for number, delta in enumerate(super().paced(count, size, rate_hz)):
            yield {**delta, "text": text[number * size : (number + 1) * size]}


@contextmanager
def bench(*, prose: bool = False) -> Iterator[Bench]:
    """Open a home of its own and a scripted API that shares no interpreter lock with the frontend's side.

    :param prose: `<<stream>>` writes Markdown prose instead of one paragraph.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(there, ProseAPI if prose else MessagesAPI), name="messages-api")
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="claude-bench-", ignore_cleanup_errors=True) as root:
            home = Path(root, "home")
            home.mkdir()
            yield Bench(Path(root), isolated_environment(home, here.recv()))
    finally:
        here.send(None)
        server.join()


def _serve(pipe: Any, kind: type[MessagesAPI]) -> None:
    with kind() as api:
        pipe.send(api.url)
        pipe.recv()


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process, without its children; the kernel counts it in nanoseconds."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3), which Python does not wrap


@dataclass(frozen=True, slots=True)
class SDKTurn:
    """What one turn of the bare SDK took: `first_s` until its first delta, `cpu_s` of the script's process."""

    wall_s: float
    first_s: float
    cpu_s: float
    api_s: float
    length: int


class SDKClient:
    """A plain script with a bare `ClaudeSDKClient`, or another client, that runs a turn whenever it is asked to."""

    def __init__(self, bench: Bench, directory: Path, script: str = "sdk_script.py") -> None:
        self._environment, self._directory, self._script = bench.environment, directory, script

    def __enter__(self) -> Self:
        script = str(Path(__file__).with_name(self._script))
        self._process = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._directory,
            env=self._environment,
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def turn(self, prompt: str) -> SDKTurn:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(prompt) + "\n")
        self._process.stdin.flush()
        return SDKTurn(**json.loads(self._process.stdout.readline()))


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """Give the middle half of the values in milliseconds: how noisy it was."""
    if len(values) < 4:
        return f"{min(values) * 1000:.0f}-{max(values) * 1000:.0f}"
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low * 1000:.0f}-{high * 1000:.0f}"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a small table, with the load of the last minute: it says how far to trust the figures."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}   (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    for row in [head, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), flush=True)
