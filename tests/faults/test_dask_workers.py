"""Rows on a cluster of Dask, with workers that are processes of their own, one of them killed in the middle of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
from messages_api import MessagesAPI
from rig.leaks import running

ROWS = 80

SCRIPT = f"""
import asyncio, os, sys
from distributed import Client, LocalCluster
from claude_magic.sdk import ask_each

def main():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print(*client.run(os.getpid).values(), flush=True)
        rows = [f"row {{number}}" for number in range({ROWS})]
        results = asyncio.run(ask_each("{{{{ row }}}}", rows, executor=client, concurrency=2, checkpoint="c.sqlite"))
        assert results.values == [f"You said: row {{number}}" for number in range({ROWS})], results.errors
        print("answered", flush=True)
        sys.stdin.readline()

if __name__ == "__main__":
    main()
"""


def clis(pid: int) -> list[psutil.Process]:
    """Return the CLIs below a process."""
    return running(psutil.Process(pid).children(recursive=True), "stream-json")


@pytest.mark.timeout(900)
def test_a_worker_is_killed(tmp_path: Path, environment: dict[str, str], api: MessagesAPI) -> None:
    """Every row is answered though a worker dies; only its last chunk is asked twice; no CLI outlives worker or run."""
    pytest.importorskip("distributed")
    script = tmp_path / "on_dask.py"
    script.write_text(SCRIPT)
    env = environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(script)], cwd=tmp_path, env=env, **pipes) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        workers = [int(pid) for pid in running.stdout.readline().split()]
        api.wait_for_requests(ROWS // 4, 240)
        below = clis(workers[0])
        os.kill(workers[0], signal.SIGKILL)
        assert psutil.wait_procs(below, timeout=30)[1] == []
        assert running.stdout.readline() == "answered\n"
        assert clis(running.pid) == []
        print(file=running.stdin, flush=True)
        assert running.wait(120) == 0
    asked = Counter(prompts[-1] for prompts in api.prompts())
    assert asked.keys() == {f"row {number}" for number in range(ROWS)}
    assert max(asked.values()) <= 2
    assert len(api.requests) < 1.5 * ROWS
