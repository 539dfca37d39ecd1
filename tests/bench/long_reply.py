"""What a reply of 1 MB in 20,000 deltas costs, next to half and a quarter of it and to the bare SDK; and how fast it stops.

    python tests/bench/long_reply.py [ROUNDS]

Targets: time and CPU grow linearly (four times the reply, four times the cost); an interrupt ends the cell within a second.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from common import Bench, Kernel, SDKClient, bench, cpu_s, median, table

COUNTS = (5_000, 10_000, 20_000)
SIZE = 50
CELLS = {"%%claude, widgets": True, "%%claude, no widgets": False}
SDK = "bare SDK, warm"
STOPPED = ((60_000, 0, 0.3), (60_000, 0, 0.8), (5_000, 400, 1.0))
"""Replies to interrupt: deltas, how many a second (0: as fast as it goes), after how many seconds."""
LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one reply took; `settle_s` is what the cell took beyond the turn, `sent` the bytes on iopub."""

    wall_s: float
    cpu_s: float
    settle_s: float = 0.0
    messages: int = 0
    sent: int = 0


def in_cell(kernel: Kernel, prompt: str, allow_stdin: bool) -> Cost:
    cpu_before, began = cpu_s(kernel.pid), time.perf_counter()
    result = kernel.run(f"%%claude\n{prompt}", allow_stdin=allow_stdin, timeout_s=LIMIT_S)
    wall_s = time.perf_counter() - began
    assert result.ok, result
    turn_s = result.metadata["claude_magic"]["duration_s"]
    published = [message for message in result.messages if message["msg_type"] != "execute_reply"]
    sent = sum(len(json.dumps(message["content"])) for message in published)
    return Cost(wall_s, cpu_s(kernel.pid) - cpu_before, wall_s - turn_s, len(published), sent)


def clear(kernel: Kernel) -> None:
    """Empty the session: what the CLI takes to send a megabyte of history is not ours."""
    assert kernel.run("%%claude --quiet\n/clear").ok


def interrupted(kernel: Kernel, allow_stdin: bool, count: int, rate_hz: int, after_s: float) -> tuple[float, int]:
    cell = kernel.start(f"%%claude\n<<stream {count} {SIZE} {rate_hz}>>", allow_stdin=allow_stdin)
    begins = time.perf_counter() + after_s
    while time.perf_counter() < begins:
        kernel.wait_for(lambda: time.perf_counter() >= begins, after_s + 1.1)
    began = time.perf_counter()
    kernel.interrupt()
    result = cell.wait(LIMIT_S)
    took_s = time.perf_counter() - began
    assert result.errors, "it was over before the interrupt"
    assert result.errors[0]["ename"] == "TurnInterrupted", result.errors
    return took_s, len(result.text)


def long_replies(place: Bench, text: str, rounds: int) -> None:
    costs: defaultdict[tuple[str, int], list[Cost]] = defaultdict(list)
    stops: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    with Kernel(place.directory("cell"), place.environment) as kernel, SDKClient(place, place.directory("sdk")) as sdk:
        assert kernel.run("%load_ext claude_magic").ok
        for allow_stdin in CELLS.values():
            assert kernel.run("%%claude\nhello there", allow_stdin=allow_stdin).ok
        sdk.turn("hello there")
        for _ in range(rounds):
            for count in COUNTS:
                prompt = f"<<stream {count} {SIZE} 0>>"
                for name, allow_stdin in CELLS.items():
                    costs[name, count].append(in_cell(kernel, prompt, allow_stdin))
                    clear(kernel)
                turn = sdk.turn(prompt)
                assert turn.length == count * SIZE
                costs[SDK, count].append(Cost(turn.wall_s, turn.cpu_s))
                sdk.turn("/clear")
        for stopped in STOPPED:
            for name, allow_stdin in CELLS.items():
                stops[name].append(interrupted(kernel, allow_stdin, *stopped))
                clear(kernel)

    def of(name: str, count: int, figure: str) -> float:
        return median([getattr(cost, figure) for cost in costs[name, count]])

    rows = []
    for name in (*CELLS, SDK):
        walls, cpus, settles = ([of(name, count, figure) for count in COUNTS] for figure in ("wall_s", "cpu_s", "settle_s"))
        rows.append(
            [
                name,
                " / ".join(f"{wall:.2f}" for wall in walls),
                f"{walls[-1] / walls[0]:.1f}",
                " / ".join(f"{cpu:.2f}" for cpu in cpus),
                f"{cpus[-1] / cpus[0]:.1f}",
                f"{walls[-1] / of(SDK, COUNTS[-1], 'wall_s'):.2f}",
                " / ".join(f"{settle:.2f}" for settle in settles),
                f"{of(name, COUNTS[-1], 'sent') / 1e6:.2f} in {of(name, COUNTS[-1], 'messages'):.0f}",
                ", ".join(f"{stop_s:.2f} at {length / 1e6:.2f} MB" for stop_s, length in stops[name]),
            ]
        )
    head = [
        "way",
        "5 / 10 / 20 thousand: s",
        "x4 (4)",
        "CPU s",
        "x4 (4)",
        "x SDK",
        "beyond the turn s",
        "iopub MB",
        "stop s (< 1)",
    ]
    table(f"A long reply: {text}; {rounds} rounds", head, rows)


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for text, prose in (("Markdown prose", True), ("one paragraph without end", False)):
        with bench(prose=prose) as place:
            long_replies(place, text, rounds)
