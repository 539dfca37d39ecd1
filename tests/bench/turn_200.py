"""What turn 200 of a session costs on the client's side, next to turn 10.

    python tests/bench/turn_200.py [BLOCKS]

Target: at most 1.3 times. What the CLI and the API take is theirs (they read the whole conversation at every turn), so the
CPU time of the client's own process is compared, and what it takes beyond the turn inside. A client that has come to turn
200 and one that is about turn 10 take turns, so that a busy machine is as busy for both.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common import Bench, Kernel, SDKClient, bench, cpu_s, median, table

EARLY_FROM, LATE_FROM, PAIRS = 8, 196, 8


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one turn: CPU of the client's process, wall time without what the CLI says it took, wall time."""

    cpu_s: float
    beyond_s: float
    wall_s: float


class Client(Protocol):
    def turn(self) -> Cost: ...

    def renew(self) -> None:
        """Begin another session."""


class Cell:
    def __init__(self, kernel: Kernel, allow_stdin: bool) -> None:
        self._kernel, self._allow_stdin = kernel, allow_stdin
        assert kernel.run("%load_ext claude_magic").ok

    def turn(self) -> Cost:
        cpu_before, began = cpu_s(self._kernel.pid), time.perf_counter()
        result = self._kernel.run("%%claude\nhello there", allow_stdin=self._allow_stdin)
        wall_s = time.perf_counter() - began
        assert result.ok, result
        turn_s = result.metadata["claude_magic"]["duration_s"]
        return Cost(cpu_s(self._kernel.pid) - cpu_before, wall_s - turn_s, wall_s)

    def renew(self) -> None:
        assert self._kernel.run("%claude_session new").ok


class Script:
    def __init__(self, client: SDKClient) -> None:
        self._client = client

    def turn(self) -> Cost:
        turn = self._client.turn("hello there")
        return Cost(turn.cpu_s, turn.wall_s - turn.api_s, turn.wall_s)

    def renew(self) -> None:
        self._client.turn("/clear")


def client(way: str, place: Bench, name: str, stack: ExitStack) -> Client:
    directory = place.directory(name)
    match way:
        case "%%claude, widgets" | "%%claude, no widgets":
            return Cell(stack.enter_context(Kernel(directory, place.environment)), way == "%%claude, widgets")
        case "ClaudeClient, script":
            return Script(stack.enter_context(SDKClient(place, directory, script="client_script.py")))
    return Script(stack.enter_context(SDKClient(place, directory)))


def main(blocks: int) -> None:
    rows = []
    for way in ("%%claude, widgets", "%%claude, no widgets", "ClaudeClient, script", "bare SDK, script"):
        costs: defaultdict[str, list[Cost]] = defaultdict(list)
        with bench() as place, ExitStack() as stack:
            early, late = (client(way, place, name, stack) for name in ("early", "late"))
            for _ in range(1, LATE_FROM):
                late.turn()
            for _ in range(blocks):
                early.renew()
                for _ in range(1, EARLY_FROM):
                    early.turn()
                for pair in range(PAIRS):
                    both = {"early": early, "late": late}
                    for name in sorted(both, reverse=pair % 2 == 1):
                        costs[name].append(both[name].turn())
        row = [way]
        for figure in ("cpu_s", "beyond_s", "wall_s"):
            first, second = (median([getattr(cost, figure) for cost in costs[name]]) * 1000 for name in ("early", "late"))
            row += [f"{first:.1f} / {second:.1f}", f"{second / first:.2f}"]
        rows.append([*row, str(blocks * PAIRS)])
    head = ["way", "CPU ms, turn 10 / 200", "ratio (<= 1.3)", "beyond the CLI ms", "ratio", "whole turn ms", "ratio", "pairs"]
    table("Turn 200 of a session next to turn 10", head, rows)


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
