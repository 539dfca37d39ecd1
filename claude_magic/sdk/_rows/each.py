"""`stream_each` yields the outcomes of a run over many rows as they come, and keeps none; `_trials.asking` collects them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import anyio

from claude_magic.sdk._rows.request import RowsRequest
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk._rows.run import RowRun
from claude_magic.sdk.config import ClaudeConfig


async def stream_each(request: RowsRequest, config: ClaudeConfig | None = None) -> AsyncGenerator[RowOutcome, None]:
    """Yield the outcome of each row as it comes, in any order, and keep none: memory does not grow with the rows.

    Leaving early stops the run. Parameters and errors are those of `ask_each`.
    """
    run = RowRun(request, config)
    # A slow reader slows down the run.
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
