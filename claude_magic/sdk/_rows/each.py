"""`ask_each` collects the outcomes of a run over many rows, `stream_each` hands them on as they come and keeps none."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import Executor
from typing import Any

import anyio

from claude_magic.errors import ClaudeError
from claude_magic.sdk._rows.limits import Progress
from claude_magic.sdk._rows.request import CONCURRENCY, OnError, RowsRequest
from claude_magic.sdk._rows.results import Results, RowOutcome
from claude_magic.sdk._rows.run import RowRun
from claude_magic.sdk.config import ClaudeConfig, TurnOptions
from claude_magic.sdk.schema import Schema


async def ask_each(
    template: str,
    rows: object,
    *,
    schema: object = None,
    model: str | None = None,
    system: str | None = None,
    bare: bool = True,
    tools: Iterable[str] = (),
    concurrency: int = CONCURRENCY,
    executor: Executor | Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    budget_usd: float | None = None,
    max_retries: int = 3,
    on_error: OnError = "return",
    config: ClaudeConfig | None = None,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> Results:
    """Ask the same of every row, each in a conversation of its own, and return the outcomes in the order of the rows.

    :param template: the prompt, with `{{ column }}` for what a row holds and `{{ row }}` for the row itself.
    :param rows: a DataFrame of pandas or polars, a list of dicts or texts, or any iterable.
    :param schema: what each reply must be, as for a turn.
    :param bare: ask without Claude Code's prompt, tools, settings and memory.
    :param tools: rules for tools that rows may use.
    :param concurrency: how many rows are asked at once, each by a process of about 220 MB.
    :param executor: whose workers ask the rows, of `concurrent.futures` or a client of Dask; `concurrency` is then for each
        worker process. All but prompts and replies stays here.
    :param checkpoint: an SQLite file that keeps answered rows: a run that is started again does not ask them anew.
    :param budget_usd: US dollars; the run stops before the row that would exceed it.
    :param max_retries: how often a row is asked again when the API refuses it for a while, or the CLI dies.
    :param on_error: `return` puts the error in the row's place, `raise` ends the run with it.
    :param on_progress: called after each row.
    :raises ConfigError: for arguments that cannot be meant; nothing was sent.
    :raises ClaudeError: why the run could not go on; its `results` holds what there is.
    """
    request = RowsRequest(
        template=template,
        rows=rows,
        options=TurnOptions(model=model, system=system, bare=bare, allowed_tools=tuple(tools) or None),
        schema=Schema.of(schema) if schema is not None else None,
        concurrency=concurrency,
        executor=executor,
        checkpoint=checkpoint,
        budget_usd=budget_usd,
        max_retries=max_retries,
        on_error=on_error,
    )
    run = RowRun(request, config)
    results = Results(run.rows.frame)

    async def take(outcome: RowOutcome) -> None:
        results.add(outcome)
        on_progress(run.progress)

    try:
        await run.run(take)
    except ClaudeError as error:
        error.results = results
        raise
    finally:
        results.stopped, results.remarks = run.stopped, run.remarks
    return results


async def stream_each(request: RowsRequest, config: ClaudeConfig | None = None) -> AsyncGenerator[RowOutcome, None]:
    """Yield the outcome of each row as it comes, not in order, and keep none: memory does not grow with the rows.

    Leaving early stops the run. Parameters and errors as of `ask_each`.
    """
    run = RowRun(request, config)
    # A slow reader holds the run back.
    send, receive = anyio.create_memory_object_stream[RowOutcome](request.concurrency)

    async def hand_on(outcome: RowOutcome) -> None:
        with contextlib.suppress(anyio.BrokenResourceError):  # nobody reads any more
            await send.send(outcome)

    async def feed() -> None:
        async with send:
            await run.run(hand_on)

    task = asyncio.create_task(feed())
    try:
        async with receive:
            async for outcome in receive:
                yield outcome
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
