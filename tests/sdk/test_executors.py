"""Rows that the workers of an executor ask: processes, threads, a cluster of Dask."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib.util
import multiprocessing
import os
import pickle
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import psutil
import pytest
from messages_api import MessagesAPI
from rig.leaks import Ledger
from watching import MakeConfig, Run, cli_pids

import claude_magic.errors
from claude_magic._version import __version__
from claude_magic.errors import APIError, ClaudeError, ConfigError, ExecutorError, SessionLostError
from claude_magic.sdk import Results, ask_each
from claude_magic.sdk._rows import warm_pool


@pytest.fixture
def each(make_config: MakeConfig, run_async: Run) -> Callable[..., Results]:
    """Run `ask_each` to its end, with the scripted API."""

    def ask(template: str, rows: Any, **choices: Any) -> Results:
        return run_async(ask_each(template, rows, config=make_config(), **choices), timeout_s=240)

    return ask


@pytest.fixture(scope="module")
def processes(ledger: Ledger) -> Iterator[ProcessPoolExecutor]:
    """Two worker processes of the module, each a fresh interpreter."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(os.getpid) for _ in range(2)]:
            future.result()
        # Python's own helper would wait for our end.
        with ledger.adopt_all([*pool._processes, resource_tracker._resource_tracker._pid]):  # type: ignore[attr-defined]
            yield pool
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


def last_prompts(api: MessagesAPI) -> list[str]:
    """Return what each request asked."""
    return [prompts[-1] for prompts in api.prompts()]


def test_processes(each: Any, api: MessagesAPI, processes: ProcessPoolExecutor, tmp_path: Path) -> None:
    """Worker processes ask the rows; order, checkpoint and rows that cannot be pickled stay here; no CLI is left."""
    rows = [{"text": f"row {number}", "mine": lambda: None} for number in range(40)]
    checkpoint = tmp_path / "c.sqlite"
    results = each("{{ text }}", rows, executor=processes, concurrency=2, checkpoint=checkpoint)
    assert results.values == [f"You said: row {number}" for number in range(40)]
    assert Counter(last_prompts(api)) == Counter(f"row {number}" for number in range(40))
    assert cli_pids() == set()
    again = each("{{ text }}", rows, executor=processes, checkpoint=checkpoint)
    assert (again.values, again.cost_usd, len(api.requests)) == (results.values, 0, 40)
