"""Forked children of a kernel: nothing in them waits for what only their parent has, and their end disturbs nobody."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from messages_api import MessagesAPI
from rig.kernel import Kernel

WORKERS = """
import concurrent.futures, multiprocessing, os
from claude_magic import ask

def asks(number):
    return ask(f"question {number}").content

def streams(number):
    return "".join(ask.stream(f"question {number}"))

def types(number):
    get_ipython().run_line_magic("claude", f"question {number}")

def resumes(number):
    get_ipython().run_line_magic("claude_session", "list")

def failure_of(work):
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        error = pool.submit(work, 1).exception()
    return type(error).__name__ + ": " + str(error)
"""


@pytest.fixture
def forking_kernel(loaded_kernel: Kernel, api: MessagesAPI) -> Kernel:
    """A kernel with a warm session, and functions for workers."""
    assert loaded_kernel.run(WORKERS).ok
    assert loaded_kernel.run("%%claude\nhello").ok
    return loaded_kernel


@pytest.mark.parametrize("work", ["asks", "streams", "types", "resumes"])
def test_worker_is_told(forking_kernel: Kernel, api: MessagesAPI, work: str) -> None:
    """What a forked worker asks fails at once and names threads; the kernel's session goes on."""
    assert forking_kernel.run(f"failure = failure_of({work})").ok
    failure = forking_kernel.value("failure")
    assert failure.startswith("ConfigError: This process was forked from the kernel")
    assert "Use threads: ThreadPoolExecutor" in failure
    cell = forking_kernel.run("%%claude\n<<history>>")
    assert cell.ok
    assert "- hello" in cell.text
    assert len(api.requests) == 2


def test_threads_do_it(forking_kernel: Kernel, api: MessagesAPI) -> None:
    """What the error names does work: the same function on threads."""
    cell = forking_kernel.run(
        "with concurrent.futures.ThreadPoolExecutor(2) as pool:\n    found = sorted(pool.map(asks, range(2)))"
    )
    assert cell.ok
    assert forking_kernel.value("found") == ["You said: question 0", "You said: question 1"]


def test_own_client_in_a_worker(forking_kernel: Kernel, api: MessagesAPI) -> None:
    """A forked worker that makes a client of its own is answered, and leaves no CLI."""
    before = {process.pid for process in forking_kernel.children()}
    cell = forking_kernel.run(
        textwrap.dedent("""
        def own(number):
            import asyncio
            from claude_magic.sdk import ClaudeClient
            async def main():
                async with ClaudeClient() as client:
                    return (await client.query(f"question {number}")).content
            return asyncio.run(main())
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            answer = pool.submit(own, 1).result()
        """)
    )
    assert cell.ok
    assert forking_kernel.value("answer") == "You said: question 1"
    assert {process.pid for process in forking_kernel.children()} <= before


@pytest.mark.parametrize("ending", ["atexit._run_exitfuncs()", "get_ipython().run_line_magic('unload_ext', 'claude_magic')"])
def test_exit_of_a_child(forking_kernel: Kernel, api: MessagesAPI, ending: str) -> None:
    """A forked child that exits in order, or unloads the extension, ends at once and ends nothing of its parent's."""
    cell = forking_kernel.run(
        textwrap.dedent(f"""
        import atexit, threading
        child = os.fork()
        if child == 0:
            try:
                threading._shutdown()
                {ending}
            finally:
                __import__("os")._exit(7)  # an exiting shell has emptied its namespace
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        """)
    )
    assert cell.ok
    assert forking_kernel.value("status") == 7
    state = "get_ipython().magics_manager.registry['ClaudeMagics'].state"
    assert forking_kernel.value(f"{state}.client.is_warm({state}.current.session_id)")
    assert forking_kernel.run("%%claude\nonce more").ok


def test_spawned_worker(forking_kernel: Kernel, api: MessagesAPI) -> None:
    """A worker that is a fresh interpreter is told what to use there."""
    Path(forking_kernel.notebook_dir, "worker_of_mine.py").write_text(
        "from claude_magic import ask\n\n\ndef asks(number):\n    return ask('question')\n"
    )
    cell = forking_kernel.run(
        textwrap.dedent("""
        import worker_of_mine
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            error = str(pool.submit(worker_of_mine.asks, 1).exception())
        # Python's own helper, which would wait for the kernel's end.
        from multiprocessing import resource_tracker
        resource_tracker._resource_tracker._stop()
        """)
    )
    assert cell.ok
    assert "in a worker process of a notebook, use claude_magic.sdk" in forking_kernel.value("error")


SCRIPT = """
import asyncio, os
from claude_magic.errors import ConfigError
from claude_magic.sdk import SessionAwareClient

async def main():
    async with SessionAwareClient() as client:
        await client.query("hello")
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(use(client))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        print((await client.query_with_session("once more", auto_resume_last=True)).content, flush=True)

async def use(client):
    try:
        await client.query("from the child")
    except ConfigError as error:
        print(error, flush=True)
    await client.aclose()

asyncio.run(main())
"""


def test_client_of_the_parent(tmp_path: Path, environment: dict[str, str], api: MessagesAPI) -> None:
    """In a script, a forked child that uses the parent's client is told so, and closing it there leaves the parent's CLI."""
    command = [sys.executable, "-c", SCRIPT]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "This ClaudeClient belongs to the parent of this process.",
        "Use threads instead of processes, or make a ClaudeClient in the forked process itself.",
        "You said: once more",
    ]
    assert len(api.requests) == 2
