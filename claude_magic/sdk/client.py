"""The async client: prompts in, replies or events out.

`ClaudeClient` puts together what a turn needs (session, options, process, timeout, retries) and adds its events up; every way
of asking, also the notebook's, goes through `run_turn`. Which process serves a turn is the pool's business.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import anyio

from claude_magic.errors import APIError, ClaudeError, CLIDiedError, TurnTimeoutError
from claude_magic.sdk import events
from claude_magic.sdk.command import Launch, environment, find_cli
from claude_magic.sdk.config import ClaudeConfig, OutputFormat, TurnOptions
from claude_magic.sdk.events import Event
from claude_magic.sdk.pool import ProcessPool
from claude_magic.sdk.process import LiveProcess, Prompt
from claude_magic.sdk.response import SessionAwareResponse, fold

logger = logging.getLogger("claude_magic")


class ClaudeClient:
    """Ask Claude through the CLI. An async context manager: leaving it ends every process it started."""

    def __init__(self, config: ClaudeConfig | None = None) -> None:
        self.config = config or ClaudeConfig()
        self._pool = ProcessPool(
            self._make,
            max_processes=self.config.max_concurrent_processes,
            max_warm=self.config.max_warm,
            idle_timeout_s=self.config.idle_timeout,
        )
        self._chosen_models: set[str] = set()
        """Sessions that a turn has chosen a model for: on resume the CLI would go on with it unasked."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every CLI process of this client, letting transcripts be written; bounded by `process_cleanup_timeout`."""
        await self._pool.aclose()

    def prepare(self, directory: str | None = None, options: TurnOptions | None = None) -> None:
        """Start a process ahead of the first turn of a new session, so that the turn need not wait for it."""
        self._pool.prepare(self._launch(None, options, directory, fork=False))

    def warm(self, session_id: str) -> LiveProcess | None:
        """Return the live process of a session, `None` when there is none."""
        return self._pool.warm(session_id)

    async def run_turn(
        self,
        prompt: Prompt | str,
        emit: Callable[[Event], None] = lambda event: None,
        *,
        session_id: str | None = None,
        fork: bool = False,
        options: TurnOptions | None = None,
        directory: str | None = None,
        timeout: float | None = None,
    ) -> SessionAwareResponse:
        """Run one turn, hand every event to `emit` as it comes, and return what they add up to.

        :param session_id: the session to continue, `None` for a new one; `fork` continues a branch of it instead.
        :param directory: where the session lives; the current one by default.
        :param timeout: seconds for the whole turn, `None` for the config's `default_timeout`.
        :raises TurnTimeoutError: after `timeout`; the turn is interrupted.
        :raises ClaudeError: of the kind that says why; it carries the session ID and the text that had arrived.
        """
        if isinstance(prompt, str):
            prompt = Prompt(prompt)
        launch = self._launch(session_id, options, directory, fork=fork)
        limit = self.config.default_timeout if timeout is None else timeout
        attempts_left = self.config.max_retries
        while True:
            response = SessionAwareResponse(session_id=None if fork else session_id)
            seen: list[Event] = []

            def receive(event: Event, response: SessionAwareResponse = response, seen: list[Event] = seen) -> None:
                if not seen:
                    seen.append(event)
                fold(response, event)
                emit(event)

            try:
                with anyio.fail_after(limit):
                    await self._attempt(launch, prompt, receive, seen)
            except TimeoutError as error:
                message = f"The turn took longer than {limit:g} s."
                raise TurnTimeoutError(message, session_id=response.session_id, content=response.text) from error
            except ClaudeError as error:
                error.session_id = error.session_id or response.session_id
                error.content = response.text
                if attempts_left == 0 or response.blocks or not _worth_repeating(error):
                    raise
                attempts_left -= 1
                logger.info("retrying in %s s: %s", self.config.retry_delay, error.message)
                await asyncio.sleep(self.config.retry_delay)
            else:
                self._remember_model(response.session_id, options)
                return response

    async def _attempt(
        self, launch: Launch, prompt: Prompt, receive: Callable[[Event], None], seen: list[Event]
    ) -> None:
        for _ in range(2):
            async with self._pool.lease(launch) as process:
                was_warm = process.turns > 0
                try:
                    await process.run_turn(prompt, launch.options, receive)
                except CLIDiedError:
                    # It had died while nobody looked, and this turn never reached it: a fresh one resumes the session.
                    if seen or not was_warm:
                        raise
                else:
                    return

    async def stream_events(
        self,
        prompt: str,
        *,
        session_id: str | None = None,
        timeout: float | None = None,
        options: TurnOptions | None = None,
    ) -> AsyncIterator[Event]:
        """Yield every event of a turn as it comes; leaving the iteration early interrupts the turn."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        turn = asyncio.create_task(
            self.run_turn(prompt, queue.put_nowait, session_id=session_id, timeout=timeout, options=options)
        )
        turn.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await turn
        finally:
            if not turn.done():
                turn.cancel()
                await asyncio.wait([turn])

    async def stream_query(
        self, prompt: str, *, session_id: str | None = None, timeout: float | None = None
    ) -> AsyncIterator[str]:
        """Yield the answer's text as it arrives."""
        stream = self.stream_events(prompt, session_id=session_id, timeout=timeout)
        try:
            async for event in stream:
                if isinstance(event, events.TextDelta):
                    yield event.text
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def query(
        self,
        prompt: str,
        *,
        session_id: str | None = None,
        output_format: OutputFormat = OutputFormat.TEXT,
        timeout: float | None = None,
    ) -> SessionAwareResponse:
        """Ask and return the whole reply."""
        response = await self.run_turn(prompt, session_id=session_id, timeout=timeout)
        response.raw_json = raw_json(response, output_format)
        return response

    def _launch(
        self, session_id: str | None, options: TurnOptions | None, directory: str | None, *, fork: bool
    ) -> Launch:
        chosen = self.config.options(options)
        if chosen.model is None and session_id in self._chosen_models:
            chosen = replace(chosen, model="default")
        return Launch(
            directory=directory or os.getcwd(),
            options=chosen,
            safe_mode=self.config.safe_mode,
            resume=session_id,
            fork=fork,
        )

    def _remember_model(self, session_id: str | None, options: TurnOptions | None) -> None:
        model = self.config.options(options).model
        if session_id is not None and model is not None:
            self._chosen_models.add(session_id)

    def _make(self, launch: Launch) -> LiveProcess:
        return LiveProcess(
            find_cli(self.config.cli_path),
            launch,
            env=environment(self.config.env, launch.directory),
            close_timeout_s=self.config.process_cleanup_timeout,
        )


def raw_json(response: SessionAwareResponse, output_format: OutputFormat) -> dict[str, Any] | None:
    """Return what the CLI itself would have printed in this format."""
    if response.ended is None or output_format is OutputFormat.TEXT:
        return None
    if output_format is OutputFormat.JSON:
        return response.ended.raw
    return {"session_id": response.session_id, "messages": list(response.ended.messages)}


def _worth_repeating(error: ClaudeError) -> bool:
    match error:
        case CLIDiedError():
            return True
        case APIError(status=status):
            return status is None or status == 429 or status >= 500
    return False
