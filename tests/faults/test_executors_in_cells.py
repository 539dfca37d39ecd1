"""Rows that an executor's workers ask for a cell: an interrupt reaches them, too, and what they have answered is kept."""

from __future__ import annotations

from messages_api import MessagesAPI
from rig.kernel import Kernel

BEGIN = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import resource_tracker
from claude_magic import ask_each

pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
assert pool.submit(int).result() == 0
rows = ["one", "two", "<<wait>><<say three>>", "four"]
"""
END = """
pool.shutdown()
resource_tracker._resource_tracker._stop()  # Python's own helper, which would wait for the kernel's end
"""


def clis(kernel: Kernel) -> set[int]:
    """Return the CLIs below a kernel."""
    return {child.pid for child in kernel.children() if "stream-json" in child.cmdline()}


def test_interrupt(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """An interrupt stops workers that are processes, and gives back what they have answered; no CLI stays."""
    assert loaded_kernel.run(BEGIN).ok
    assert loaded_kernel.run("%%claude\nhello").ok
    before = clis(loaded_kernel)
    api.begin()
    running = loaded_kernel.start("out = ask_each('{{ row }}', rows, executor=pool, concurrency=2)")
    api.wait_for_requests(3)
    loaded_kernel.interrupt()
    result = running.wait()
    assert result.ok, result
    assert loaded_kernel.value("out.stopped") == "interrupted"
    assert loaded_kernel.value("out.values[:2]") == ["You said: one", "You said: two"]
    assert loaded_kernel.run(END).ok
    assert clis(loaded_kernel) <= before
