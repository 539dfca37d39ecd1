"""Rows that the workers of an executor ask: processes, threads, and executors that fail in all the ways they can."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import pkgutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from rig.leaks import Ledger
from watching import MakeConfig, Run, arrived, cli_pids

from claude_magic import errors
from claude_magic.errors import APIError, ClaudeError, ConfigError, ExecutorError, SessionLostError
from claude_magic.sdk import ClaudeConfig, Results, TurnOptions, ask_each
from claude_magic.sdk._rows.checkpoint import Answer
from claude_magic.sdk._rows.executor import START_CHUNKS
from claude_magic.sdk._rows.warm_pool import ChunkReply, WarmPool, answer_chunk
from claude_magic.sdk._rows.workers import Busy, RowWork

HOLD_S = 0.3
SLOW_S = 60.0
"""What a row takes: chunks are of one row then."""


@pytest.fixture
def each(make_config: MakeConfig, run_async: Run) -> Callable[..., Results]:
    """Run `ask_each` to its end, with the scripted API."""

    def ask(template: str, rows: Any, **choices: Any) -> Results:
        return run_async(ask_each(template, rows, config=make_config(), **choices), timeout_s=240)

    return ask


@contextmanager
def spawned(ledger: Ledger, count: int, **choices: Any) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, each a fresh interpreter, and Python's own helper, which would wait for our end."""
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), **choices) as pool:
        for future in [pool.submit(os.getpid) for _ in range(count)]:
            future.result()
        with ledger.adopt_all([*pool._processes, resource_tracker._resource_tracker._pid]):  # type: ignore[attr-defined]
            yield pool
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Two workers that are threads of this process."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Losing(ThreadPoolExecutor):
    """Loses the first chunks, as an executor does whose workers die: the calls never return."""

    def __init__(self, losses: int) -> None:
        super().__init__(1)
        self.losses = losses

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if function is not answer_chunk or self.losses == 0:
            return super().submit(function, *args, **kwargs)
        self.losses -= 1
        lost: Future[Any] = Future()
        lost.set_exception(OSError("the worker was killed"))
        return lost


class Breaking(ThreadPoolExecutor):
    """Takes a chunk, and then no more work."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if function is answer_chunk and "three" in args[4]:
            raise BrokenExecutor("a process was terminated")
        return super().submit(function, *args, **kwargs)


class Scripted(Executor):
    """Answers each row, but for the first time that it is called: then the API was busy. Knows when it was called."""

    def __init__(self) -> None:
        self.called: list[float] = []

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if function is answer_chunk:
            self.called.append(time.monotonic())
            one, hold_s = (Busy(429), HOLD_S) if len(self.called) == 1 else (Answer("said"), 0.0)
            future.set_result(ChunkReply((one,) * len(args[4]), SLOW_S, hold_s, ("elsewhere", 1), 1))
        else:
            future.set_result(function("claude_magic:__version__") if function is pkgutil.resolve_name else ("elsewhere", 1))
        return future


def last_prompts(api: MessagesAPI) -> list[str]:
    """Return what each request asked."""
    return [prompts[-1] for prompts in api.prompts()]


def test_processes(each: Any, api: MessagesAPI, ledger: Ledger, tmp_path: Path) -> None:
    """Worker processes ask the rows; order, checkpoint and rows that cannot be pickled stay here; no CLI is left."""
    rows = [{"text": f"row {number}", "mine": lambda: None} for number in range(12)]
    checkpoint = tmp_path / "c.sqlite"
    with spawned(ledger, 2) as processes:
        results = each("{{ text }}", rows, executor=processes, concurrency=1, checkpoint=checkpoint)
        assert cli_pids() == set()
    assert results.values == [f"You said: row {number}" for number in range(12)]
    assert Counter(last_prompts(api)) == Counter(f"row {number}" for number in range(12))
    again = each("{{ text }}", rows, checkpoint=checkpoint)
    assert (again.values, again.cost_usd, len(api.requests)) == (results.values, 0, 12)


def test_errors_and_a_busy_api(each: Any, api: MessagesAPI, threads: ThreadPoolExecutor) -> None:
    """A row that the API is too busy for is given back and asked again; one that it refuses is an error in its place."""
    rows = ["<<status 429 1 1>><<say one>>", "two", "<<status 400>>", "<<status 529>>"]
    results = each("{{ row }}", rows, executor=threads, concurrency=2, max_retries=1)
    assert results.values[:2] == ["one", "You said: two"]
    refused, busy = results.values[2:]
    assert (type(refused), type(busy), busy.status) == (APIError, APIError, 529)
    asked = Counter(last_prompts(api))
    assert (asked[rows[0]], asked[rows[1]], asked[rows[3]]) == (2, 1, 2)


def test_busy_for_one_is_busy_for_all(each: Any) -> None:
    """When the API has told one worker to wait, no worker gets one more row before that."""
    executor = Scripted()
    assert each("{{ row }}", range(6), executor=executor, concurrency=1).values == ["said"] * 6
    assert len(executor.called) == 7
    # What was out already is out.
    assert executor.called[START_CHUNKS] - executor.called[0] >= HOLD_S


def test_executor_that_loses_all(each: Any) -> None:
    """Where chunk after chunk is lost, the run ends, and does not go through all rows."""
    with Losing(1_000) as executor, pytest.raises(ExecutorError, match="the worker was killed"):
        each("{{ row }}", range(1_000), executor=executor, concurrency=1)
    assert executor.losses >= 980


def test_budget(each: Any, api: MessagesAPI, threads: ThreadPoolExecutor) -> None:
    """A budget stops before the row that would exceed it, whoever asks."""
    price = each("{{ row }}", ["price"], executor=threads).cost_usd
    results = each("{{ row }}", [f"row {number}" for number in range(9)], executor=threads, budget_usd=price * 4.5)
    assert (len(api.requests), results.cost_usd) == (5, pytest.approx(4 * price))
    assert "budget" in results.stopped


def test_lost_chunks(each: Any, api: MessagesAPI) -> None:
    """The rows of a chunk that is lost with its worker are asked again, and no other row."""
    rows = [f"row {number}" for number in range(5)]
    with Losing(2) as executor:
        assert each("{{ row }}", rows, executor=executor, concurrency=2).values == [f"You said: {row}" for row in rows]
    assert Counter(last_prompts(api)) == Counter(rows)


def test_chunk_that_is_always_lost(each: Any, api: MessagesAPI) -> None:
    """A row whose worker dies each time is an error that says so."""
    with Losing(100) as executor:
        results = each("{{ row }}", ["one"], executor=executor, max_retries=1)
    assert executor.losses == 98
    assert "OSError: the worker was killed" in str(results.errors[0])
    assert api.requests == []


def test_executor_that_breaks(each: Any) -> None:
    """An executor that takes no more work ends the run with an error that says what to do, and holds what there is."""
    with Breaking(1) as executor, pytest.raises(ExecutorError, match="a process was terminated") as caught:
        each("{{ row }}", ["one", "two", "three", "four"], executor=executor, concurrency=1)
    assert "Make a new one" in caught.value.next_step
    assert caught.value.results.values[0] == "You said: one"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.modules['claude_magic'] = None", "cannot use claude_magic"),
        ("import claude_magic; claude_magic.__version__ = '0.0.1'", "has claude_magic 0.0.1"),
    ],
)
def test_workers_without_the_package(each: Any, api: MessagesAPI, ledger: Ledger, code: str, said: str) -> None:
    """Workers that lack the package, or have another version of it, are said to before anything is sent."""
    executors = spawned(ledger, 1, initializer=exec, initargs=(code,))
    with executors as executor, pytest.raises(ExecutorError, match=said) as caught:
        each("{{ row }}", ["one"], executor=executor)
    assert f"pip install claude_magic=={claude_version()}" in caught.value.next_step
    assert api.requests == []


def claude_version() -> str:
    from claude_magic import __version__

    return __version__


class NoFutures(Executor):
    """An executor of another kind."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return function(*args)


class AsyncClient:
    """A client of a cluster that cannot be used from a function that waits."""

    def get_executor(self) -> Executor:
        raise TypeError("asynchronous clients have none")


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        (5, "cannot be of type int"),
        (NoFutures(), "not a future of"),
        (AsyncClient(), "asynchronous clients have none"),
    ],
)
def test_no_executor(each: Any, api: MessagesAPI, executor: Any, said: str) -> None:
    """What is no executor is said to be none before anything is sent."""
    with pytest.raises(ConfigError, match=said):
        each("{{ row }}", ["one"], executor=executor)
    assert api.requests == []


def test_config_that_cannot_travel(run_async: Run, api: MessagesAPI, sdk_env: dict[str, str], threads: Executor) -> None:
    """A config that cannot be pickled is refused before anything is sent."""

    class Local(str):
        __slots__ = ()

    config = ClaudeConfig(env=sdk_env | {"NAME": Local("value")})
    with pytest.raises(ConfigError, match="cannot be sent to the executor's workers"):
        run_async(ask_each("{{ row }}", ["one"], executor=threads, config=config))
    assert api.requests == []


def test_cancelled(make_config: MakeConfig, run_async: Run, each: Any, api: MessagesAPI, tmp_path: Path) -> None:
    """A run that is cancelled leaves no process, keeps what was answered, and goes on there."""
    checkpoint, rows = tmp_path / "c.sqlite", ["one", "two", "<<wait>><<say three>>"]

    async def cancel(executor: Executor) -> None:
        run = ask_each("{{ row }}", rows, executor=executor, concurrency=2, checkpoint=checkpoint, config=make_config())
        task = asyncio.create_task(run)
        await arrived(api, 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ThreadPoolExecutor(1) as executor:
        run_async(cancel(executor))
    assert cli_pids() == set()
    api.go_on.set()
    assert each("{{ row }}", rows, checkpoint=checkpoint).values == ["You said: one", "You said: two", "three"]
    assert sorted(last_prompts(api)) == sorted([*rows, rows[2]])


def test_pool_ends_when_nobody_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool whose caller has gone ends by itself, and takes no more work then."""
    work = RowWork(ClaudeConfig(), TurnOptions(bare=True), 1, 0, None)
    monkeypatch.setattr("claude_magic.sdk._rows.warm_pool.IDLE_S", 0.0)
    pool = WarmPool(pickle.dumps(work))
    assert pool.enter()
    thread = pool._thread
    assert thread is not None
    pool.leave()
    thread.join(60)
    assert not thread.is_alive()
    assert not pool.enter()


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ClaudeError)]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_travel(kind: type[ClaudeError]) -> None:
    """Every error arrives in another process as it was, whatever it is made of."""
    error = SessionLostError("an ID", "is gone") if kind is SessionLostError else kind("what happened", next_step="what to do")
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), vars(found)) == (kind, str(error), vars(error))
