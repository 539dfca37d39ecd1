"""A notebook that logs at DEBUG stays readable, and its logging is as the person has set it up."""

from __future__ import annotations

import logging
import threading

import pytest
from messages_api import MessagesAPI
from rig.kernel import Kernel

from claude_magic._libraries import quiet_library
from claude_magic._markdown import code_in

REPLY = "\n\n".join(
    f"# Part {number}\n\nA *paragraph* with `code`.\n\n- one\n- two\n\n```python\nx = {number}\n```\n\n| a |\n|---|\n| 1 |"
    for number in range(10)
)


def test_in_a_notebook(fresh_kernel: Kernel, api: MessagesAPI) -> None:
    """A long reply in a notebook that logs everything brings a line or two of log, where the parser alone said thousands."""
    assert fresh_kernel.run("import logging\nlogging.basicConfig(level=logging.DEBUG)").ok
    assert "selector" not in fresh_kernel.run("%load_ext claude_magic").stderr
    result = fresh_kernel.run(f"%%claude\n<<say {REPLY}>>")
    assert result.ok
    assert len(result.stderr.splitlines()) < 10, result.stderr
    assert "Part 9" not in result.stderr
    assert "mine" in fresh_kernel.run("logging.debug('mine')").stderr
    levels = "[logging.getLogger(name).level for name in ('root', 'asyncio', 'markdown_it')]"
    assert fresh_kernel.value(levels) == [logging.DEBUG, logging.NOTSET, logging.NOTSET]


def test_who_asks_for_it_gets_it(caplog: pytest.LogCaptureFixture) -> None:
    """The parser says what it does where somebody has given its logger a level, and not for the root's level."""
    with caplog.at_level(logging.DEBUG):
        assert code_in("```\nx\n```")
        assert not caplog.records
        with caplog.at_level(logging.DEBUG, "markdown_it"):
            assert code_in("```\nx\n```")
            assert caplog.records


def test_in_several_threads(caplog: pytest.LogCaptureFixture) -> None:
    """Blocks that overlap in two threads are quiet to the end of the later one; then the logger is as it was."""
    logger = logging.getLogger("a library")
    entered, leave = threading.Event(), threading.Event()

    def use() -> None:
        with quiet_library("a library"):
            entered.set()
            leave.wait()
            logger.debug("in the thread")

    thread = threading.Thread(target=use)
    with caplog.at_level(logging.DEBUG):
        with quiet_library("a library"):
            thread.start()
            entered.wait()
        leave.set()
        thread.join()
        assert not caplog.records
        assert logger.level == logging.NOTSET
        logger.debug("afterwards")
        assert [record.message for record in caplog.records] == ["afterwards"]


def test_a_parser_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The logger is as it was when the block raises."""
    with caplog.at_level(logging.DEBUG), pytest.raises(MemoryError), quiet_library("a library"):
        raise MemoryError
    assert logging.getLogger("a library").level == logging.NOTSET
