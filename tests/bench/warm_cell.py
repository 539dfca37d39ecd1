"""What a warm `%%claude` cell costs, next to a cell that runs `claude -p ... -c` and to a warm turn of the bare SDK.

    python tests/bench/warm_cell.py [ROUNDS]

Targets: at least 10 times less than the former, at most 1.6 times the latter; `%load_ext claude_magic` under 0.1 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import claude_agent_sdk
from common import Bench, Kernel, SDKClient, bench, cpu_s, median, spread, table

CLI = Path(claude_agent_sdk.__file__).with_name("_bundled") / "claude"
CELLS = {"%%claude, widgets": True, "%%claude, no widgets": False}
SHELL, SDK = "!claude -p ... -c", "bare SDK, warm"
COMMAND_ROUNDS = 7
LOADS = 7

LOAD = """
import sys, time
import builtins, threading
main, real, loaded = threading.main_thread(), builtins.__import__, set()
def watched(name, *args, **kwargs):
    if threading.current_thread() is main:
        loaded.add(name.partition(".")[0])
    return real(name, *args, **kwargs)
builtins.__import__ = watched
began = time.perf_counter()
get_ipython().run_line_magic("load_ext", "claude_magic")
took = time.perf_counter() - began
builtins.__import__ = real
heavy = sorted({"claude_agent_sdk", "ipywidgets"} & loaded)
"""


def warm_cells(place: Bench, rounds: int) -> None:
    wall: defaultdict[str, list[float]] = defaultdict(list)
    cpu: defaultdict[str, list[float]] = defaultdict(list)
    first: list[float] = []
    directory = place.directory("command")
    command = f"!cd {directory} && {CLI} -p 'hello there' {{}} --output-format text"
    with Kernel(place.directory("cell"), place.environment) as kernel, SDKClient(place, place.directory("sdk")) as sdk:

        def cell(name: str, code: str, allow_stdin: bool) -> None:
            cpu_before, began = cpu_s(kernel.pid), time.perf_counter()
            result = kernel.run(code, allow_stdin=allow_stdin)
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(cpu_s(kernel.pid) - cpu_before)
            assert result.ok, result
            assert "hello there" in (result.stdout or result.text), result

        assert kernel.run("%load_ext claude_magic").ok
        assert kernel.run(command.format("")).ok
        for number in range(-2, rounds):
            for name, allow_stdin in CELLS.items():
                cell(name, "%%claude\nhello there", allow_stdin)
            turn = sdk.turn("hello there")
            wall[SDK].append(turn.wall_s)
            cpu[SDK].append(turn.cpu_s)
            first.append(turn.first_s)
            if 0 <= number < COMMAND_ROUNDS:
                cell(SHELL, command.format("-c"), False)
            if number < 0:
                wall.clear(), cpu.clear(), first.clear()
    rows = [
        [
            name,
            f"{median(wall[name]) * 1000:.1f}",
            spread(wall[name]),
            f"{median(cpu[name]) * 1000:.1f}",
            f"{median(wall[name]) / median(wall[SDK]):.2f}",
            f"{median(wall[SHELL]) / median(wall[name]):.1f}",
            str(len(wall[name])),
        ]
        for name in (*CELLS, SDK, SHELL)
    ]
    head = ["way", "median ms", "middle half", "CPU ms", "x bare SDK (<= 1.6)", "cheaper than !claude (>= 10)", "n"]
    table(f"Warm cell; first delta of the bare SDK after {median(first) * 1000:.1f} ms", head, rows)


def load_times(place: Bench) -> None:
    took, heavy = [], set()
    for _ in range(LOADS):
        with Kernel(place.directory("load"), place.environment) as kernel:
            assert kernel.run(LOAD).ok
            took.append(float(kernel.value("took")))
            heavy |= set(kernel.value("heavy"))
            kernel.run("%unload_ext claude_magic")
    took = took[1:]  # the first one compiles what nobody has compiled yet
    row = [f"{median(took) * 1000:.0f}", f"{min(took) * 1000:.0f}", spread(took), ", ".join(heavy) or "-"]
    head = ["median ms", "least", "middle half", "SDK, ipywidgets on the main thread"]
    table("%load_ext claude_magic in a fresh kernel (< 100 ms)", head, [row])


def imports(place: Bench, count: int = 15) -> None:
    """Print which imports of `%load_ext` cost most, beyond what a kernel has imported anyway."""
    code = (
        "import ipykernel.ipkernel, ipykernel.zmqshell, claude_magic._kernel.extension, anyio._backends._asyncio, nest_asyncio2"
    )
    run = [sys.executable, "-X", "importtime", "-c", code]
    lines: list[tuple[int, int, str]] = []
    for _ in range(2):
        errors = subprocess.run(run, capture_output=True, text=True, env=place.environment, check=True).stderr
        lines = []
        for line in errors.splitlines():
            own, total, name = line.removeprefix("import time:").split("|")
            if own.strip().isdigit():
                lines.append((int(own), int(total), name))
    names = [name.strip() for _, _, name in lines]
    base = names.index("ipykernel.zmqshell")
    after = [line for line in lines[base + 1 :] if not line[2].strip().startswith(("IPython", "ipykernel"))]
    rows = [
        [f"{total / 1000:.1f}", f"{own / 1000:.1f}", name.rstrip()]
        for own, total, name in sorted(after, key=lambda line: -line[1])[:count]
    ]
    table("Imports of %load_ext beyond the kernel's own", ["total ms", "own ms", "module"], rows)


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    with bench() as place:
        warm_cells(place, int(sys.argv[1]) if len(sys.argv) > 1 else 40)
        load_times(place)
        imports(place)
