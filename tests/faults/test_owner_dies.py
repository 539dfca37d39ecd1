"""When the process that started a CLI dies, however it dies, the CLI and its tools die within moments and ask nothing more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from messages_api import MessagesAPI
from rig.kernel import Kernel
from rig.leaks import running, tree

GONE_S = 20.0
"""A bound for a busy machine; a quiet one needs less than one second."""

BASH = "<<tool Bash {}>><<say late>>"

MOMENTS = {
    "idle": ("hello", lambda kernel, api, cell: cell.wait()),
    "before the first byte": ("<<hang>>", lambda kernel, api, cell: api.wait_for_requests(1)),
    "in text": ("<<say part>><<hang>>", lambda kernel, api, cell: cell.wait_for(lambda _: "part" in page(kernel))),
    "in a retry": ("<<status 529>>", lambda kernel, api, cell: cell.wait_for(lambda _: "Retrying" in page(kernel))),
    "in a tool": (BASH, lambda kernel, api, cell: wait_for_file(kernel)),
}


def page(kernel: Kernel) -> str:
    return "\n".join(str(state.get("value")) for state in kernel.widgets.values())


def wait_for_file(kernel: Kernel) -> None:
    """Return when the command has begun, which says so in a file."""
    kernel.wait_for(Path(kernel.notebook_dir, "begun").exists)


QUICK = [("in a tool", signal.SIGKILL), ("in text", signal.SIGTERM)]
OTHERS = [(moment, ending) for moment in MOMENTS for ending in (signal.SIGKILL, signal.SIGTERM)]
CASES = [*QUICK, *(pytest.param(*case, marks=pytest.mark.long) for case in OTHERS if case not in QUICK)]


@pytest.mark.parametrize(("moment", "ending"), CASES)
def test_kernel(tmp_path: Path, environment: dict[str, str], api: MessagesAPI, moment: str, ending: signal.Signals) -> None:
    """A killed kernel takes its CLI along at any moment of a turn, with the commands that run in sessions of their own."""
    prompt, happened = MOMENTS[moment]
    command = "touch begun; setsid sleep 600 & sleep 600"
    with Kernel(tmp_path, environment) as kernel:
        assert kernel.run("%load_ext claude_magic").ok
        options = '--allow "Bash" --timeout 600'
        cell = kernel.start(f"%%claude {options}\n" + prompt.format(json.dumps({"command": command})))
        happened(kernel, api, cell)
        below = tree(kernel.pid) - {psutil.Process(kernel.pid)}
        assert running(below, "stream-json")
        os.kill(kernel.pid, ending)
        assert psutil.wait_procs(below, timeout=GONE_S)[1] == []
        asked = len(api.requests)
    assert len(api.requests) == asked


SCRIPT = """
    import asyncio, os, sys
    from claude_magic.sdk import ClaudeClient
    async def main():
        async with ClaudeClient() as client:
            async for text in client.stream_query("<<say part>><<hang>>"):
                print(text, flush=True)
    {run}
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_script(tmp_path: Path, environment: dict[str, str], api: MessagesAPI, ending: signal.Signals) -> None:
    """A script that is killed, ended or interrupted in the middle of a turn leaves no CLI."""
    code = textwrap.dedent(SCRIPT).format(run="asyncio.run(main())")
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path, env=environment, text=True)
    with script:
        assert script.stdout is not None
        assert script.stdout.readline() == "part\n"
        below = tree(script.pid) - {psutil.Process(script.pid)}
        assert below
        script.send_signal(ending)
        assert psutil.wait_procs(below, timeout=GONE_S)[1] == []


def test_forked_child_holds_the_pipes(tmp_path: Path, environment: dict[str, str], api: MessagesAPI) -> None:
    """A forked child that lives on, and holds every pipe of its dead parent, keeps no CLI alive."""
    fork = """
    import threading, time
    def fork():
        if os.fork() == 0:
            time.sleep(600)
    threading.Timer(0, fork)
    real = print
    def print(text, **how):
        fork()
        real(text, **how)
    asyncio.run(main())"""
    code = textwrap.dedent(SCRIPT).format(run=textwrap.dedent(fork).strip())
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path, env=environment, text=True)
    with script:
        assert script.stdout is not None
        assert script.stdout.readline() == "part\n"
        below = tree(script.pid) - {psutil.Process(script.pid)}
        (forked,) = [process for process in below if process.cmdline()[1:2] == ["-c"]]
        script.kill()
        try:
            assert psutil.wait_procs(below - {forked}, timeout=GONE_S)[1] == []
            assert forked.is_running()
        finally:
            forked.kill()
