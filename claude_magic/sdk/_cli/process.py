"""One live CLI process and the task that owns it.

In claude-agent-sdk the same task must connect and disconnect a client. So every `LiveProcess` has an owner task: it starts the
CLI, serves one turn at a time, and closes it. A second task reads the CLI's output, also between turns. The pool decides which
process serves which turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any

import anyio
import claude_agent_sdk as sdk
from claude_agent_sdk import CLIConnectionError

from claude_magic.errors import ClaudeError, CLIDiedError, NotLoggedInError
from claude_magic.sdk._api_watch import APIWatch
from claude_magic.sdk._cli.command_line import STREAM_FLAGS, Launch, channel_flags, first_request, flags
from claude_magic.sdk._cli.environment import api_address, renews_login
from claude_magic.sdk._cli.failures import CHECK_CLI, bad_schema, cli_died, failure_of, start_failure, translate_exception
from claude_magic.sdk._cli.permission_protocol import PermissionMode, Permissions, server_of
from claude_magic.sdk._cli.transport import CLITransport
from claude_magic.sdk._cli.turn_reader import QueuedTurn, Reading, TurnReader, prompt_messages
from claude_magic.sdk._offers.choices import Choices, choices_in
from claude_magic.sdk._offers.servers import ServerState, ServerWatch
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import SessionStarted
from claude_magic.sdk.host import SERVER, BackgroundWork, ContextPart, Listener, ToolResult, TurnHost

INTERRUPT_REPLY_S = 0.7
"""How long cancelling a turn waits for the CLI to confirm: a person's Stop must act within a second."""

INTERRUPT_LIMIT_S = 5.0
"""How long the CLI may take to end an interrupted turn before we kill it; what it has written to disk stays."""

STOP_LIMIT_S = 3.0
"""How long we wait for the CLI to confirm that background work has stopped."""

CONTEXT_LIMIT_S = 3.0
"""How long the CLI may take to say what fills the context."""


class State(Enum):
    """The states of a process. A process only moves down this list, except between IDLE and BUSY."""

    NEW = auto()
    STARTING = auto()
    IDLE = auto()
    BUSY = auto()
    CLOSING = auto()
    CLOSED = auto()


class LiveProcess:
    """A CLI process for one session.

    :param cli: path of the CLI.
    :param launch: how to start it. `launch.resume` is the session; without it a new session begins.
    :param env: its environment.
    :param close_timeout_s: how long the CLI may take to end by itself; see `aclose`.
    :param begin_own: makes the host for what belongs to none of our turns: a turn that the CLI begins by itself, a late call.
    :param new_prompt_id: makes the UUID of a prompt; the CLI's messages and transcripts refer to it.
    :param note_choices: called with the models and styles that the CLI offers, when it reports them.
    """

    def __init__(
        self,
        cli: str,
        launch: Launch,
        *,
        env: dict[str, str],
        close_timeout_s: float,
        begin_own: Callable[[], TurnHost] = Listener,
        new_prompt_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        note_choices: Callable[[Choices], None] = lambda choices: None,
    ) -> None:
        self._begin_own = begin_own
        self._note_choices = note_choices
        self._new_prompt_id = new_prompt_id
        self.launch = launch
        self.state = State.NEW
        self.turns = 0
        self.is_prepared = False
        """Whether it was started ahead of its first turn, so that it may have died unnoticed; the pool sets it."""
        self.replaced_work: tuple[BackgroundWork, ...] = ()
        """Background work that was lost with the process before this one; the pool sets it."""
        self.had_begun = False
        """Whether an event had come in the turn in which the process died."""
        self.login_refused = False
        """Whether the API refused its login. A running CLI does not notice a later login, so it must be replaced."""
        self.holds_unkept = False
        """Whether closing it loses turns that could not be written to disk; `LiveTurn` sets it."""
        self._cli = cli
        self.close_timeout_s = close_timeout_s
        self._queue: asyncio.Queue[QueuedTurn | None] = asyncio.Queue()
        self._current: QueuedTurn | None = None
        self._ready: asyncio.Future[None] | None = None
        self._owner: asyncio.Task[None] | None = None
        self._interrupts: set[asyncio.Task[None]] = set()
        self._transport = CLITransport(
            [cli, *STREAM_FLAGS, *channel_flags(launch), *flags(launch)],
            directory=launch.directory,
            env=env,
            close_timeout_s=close_timeout_s,
            first_request=first_request(launch),
        )
        self._reader = reader = TurnReader(self._transport.taken, begin_own)
        reader.session_id = None if launch.fork else launch.resume
        options = sdk.ClaudeAgentOptions()
        Permissions(launch, env, self._host_of, lambda: self._mode.now, reader.waited).add_to(options)
        if launch.tools:
            options.mcp_servers = {SERVER: server_of(launch.tools, self._call)}
        self._client = sdk.ClaudeSDKClient(options, self._transport)
        self._mode = PermissionMode(launch.options.permission_mode, self._client.set_permission_mode, self._transport.is_ready)
        self._servers = ServerWatch(self._client.get_mcp_status, launch.servers)
        self._reader_task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<LiveProcess {self.session_id or 'new session'} {self.state.name} pid={self._transport.pid}>"

    @property
    def session_id(self) -> str | None:
        """The session of this process. For a new session or a branch it is `None` until the CLI has reported it."""
        return self._reader.session_id

    @property
    def work(self) -> tuple[BackgroundWork, ...]:
        """What runs in the background."""
        return self._reader.work

    async def context(self) -> tuple[ContextPart, ...]:
        """Return what fills the session's context, by part, with sizes; empty unless the process is idle and answers soon.

        The CLI (2.1.332) lets the API count the tokens, with one request for each tool.
        """
        usage: Any = {}
        if self.state is State.IDLE:
            # The SDK raises plain Exception for what the CLI refuses.
            with anyio.move_on_after(CONTEXT_LIMIT_S), contextlib.suppress(Exception):
                usage = await self._client.get_context_usage()
        parts = usage.get("categories", ())
        return tuple(ContextPart(part["name"], part["tokens"]) for part in parts if part.get("kind") == "used")

    @property
    def servers(self) -> tuple[ServerState, ...]:
        """Its MCP servers other than our own, as last reported."""
        return self._servers.servers

    async def stop_work(self, task_id: str) -> None:
        """Stop background work. Return when `work` no longer lists it, at the latest after `STOP_LIMIT_S`."""
        if not self.alive or not self._goes_on(task_id):
            return
        await self._client.stop_task(task_id)
        with anyio.move_on_after(STOP_LIMIT_S):
            while self._goes_on(task_id):
                self._reader.work_changed.clear()
                await self._reader.work_changed.wait()

    def _goes_on(self, task_id: str) -> bool:
        return any(work.task_id == task_id for work in self.work)

    @property
    def must_stay(self) -> bool:
        """Whether closing it would lose something. The pool then keeps it open, also when it is idle."""
        return bool(self.work) or self.holds_unkept

    @property
    def alive(self) -> bool:
        """Whether it can serve a turn."""
        return self.state is State.STARTING or (self.state in (State.IDLE, State.BUSY) and self._transport.is_ready())

    async def start(self) -> None:
        """Start the CLI if it has not been started; return when it accepts input.

        :raises CLINotFoundError: if the executable does not start.
        :raises CLIDiedError: if it ends before it accepts input, or was closed.
        :raises ClaudeError: for another reason, such as an output style that it does not know.
        """
        if self._ready is None:
            if self.state is State.CLOSED:
                raise self._closed_early()
            self.state = State.STARTING
            self._ready = asyncio.get_running_loop().create_future()
            self._owner = asyncio.create_task(self._run(self._ready), name="claude-process")
        await asyncio.shield(self._ready)

    async def run_turn(self, prompt: Prompt, options: TurnOptions, host: TurnHost) -> None:
        """Run one turn for `host` in a started process; return after its last event. Cancelling it interrupts the turn.

        :raises ClaudeError: the subclass says why the turn failed.
        """
        if self._owner is None or self._owner.done():
            raise CLIDiedError("The Claude CLI has ended.", session_id=self.session_id)
        turn = QueuedTurn(prompt, options, host)
        self._queue.put_nowait(turn)
        try:
            await asyncio.shield(turn.done)
        except CLIDiedError:
            self.had_begun = turn.has_begun
            raise
        except asyncio.CancelledError:
            turn.done.add_done_callback(lambda done: done.cancelled() or done.exception())  # else asyncio warns
            turn.abandoned = True
            # A waiting turn is skipped: an interrupt would stop the running one. A slow interrupt goes on by itself.
            if self._current is turn:
                self._begin_interrupt(turn, INTERRUPT_LIMIT_S)
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([turn.done], timeout=INTERRUPT_REPLY_S)
                if turn.reading is not None and not turn.has_begun and self.session_id is not None:
                    # The CLI has the prompt and may still start on it, so the turn belongs to the session.
                    turn.host.emit(SessionStarted(self.session_id))
            raise

    async def aclose(self) -> None:
        """Let the CLI write its transcript and end, within `close_timeout_s`. Idempotent.

        A running turn is interrupted first, which may add half of `close_timeout_s`.
        """
        if self._owner is not None and not self._owner.done():
            self._queue.put_nowait(None)
            if self._ready is not None and not self._ready.done():
                # It may never accept input, and it has nothing to write.
                self._transport.kill()
                self._owner.cancel()
            if self._current is not None:
                self._begin_interrupt(self._current, self.close_timeout_s / 2)
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._owner, *self._interrupts])
        self.state = State.CLOSED

    async def abandon(self) -> None:
        """End the CLI within `close_timeout_s`. To be called from another event loop, when the process's own has stopped."""
        await self._transport.abandon()

    async def _run(self, ready: asyncio.Future[None]) -> None:
        """Start the CLI, serve turns until the process is to close, and close it: the life of the owner task."""
        try:
            if await self._connect(ready):
                await self._serve_queue()
        finally:
            await self._shut_down(ready)

    async def _connect(self, ready: asyncio.Future[None]) -> bool:
        """Start the CLI and return whether it accepts input. `ready` gets a result, or the error."""
        try:
            await self._client.connect()
        except Exception as error:  # noqa: BLE001 - the SDK raises plain Exception for control requests
            await self._wait_for_exit()
            otherwise, directory = self._translated(error), self.launch.directory
            command, env, stderr = self._transport.command, self._transport.env, self._transport.stderr
            failure = await start_failure(error, otherwise, command, directory=directory, env=env, stderr=stderr)
            ready.set_exception(failure)
            return False
        self._note_choices(choices := choices_in(await self._client.get_server_info()))
        if refused := choices.refusal_of(self.launch.options.style):
            ready.set_exception(refused)
            return False
        self._reader_task = asyncio.create_task(self._read(), name="claude-reader")
        self.state = State.IDLE
        ready.set_result(None)
        return True

    async def _serve_queue(self) -> None:
        while (turn := await self._queue.get()) is not None:
            if turn.abandoned:
                turn.finish(None)
                continue
            self.state, self._current = State.BUSY, turn
            failure: ClaudeError | None = self._closed_early()  # it stays if this task is cancelled
            try:
                await self._serve(turn)
                failure = None
            except ClaudeError as error:
                failure = error
            finally:
                self._current = None
                self.state = State.IDLE if self._transport.is_ready() else State.CLOSING
                turn.finish(failure)
            if self.state is State.CLOSING:
                return

    async def _shut_down(self, ready: asyncio.Future[None]) -> None:
        self.state = State.CLOSING
        await self._client.disconnect()
        if self._reader_task is not None:
            self._reader_task.cancel()
            await asyncio.wait([self._reader_task])
            self._reader.end(CLIConnectionError("the CLI has ended"))
        self.state = State.CLOSED
        while not self._queue.empty():
            if (turn := self._queue.get_nowait()) is not None:
                turn.finish(self._closed_early())
        if not ready.done():
            ready.set_exception(CLIDiedError("The Claude CLI was closed before it was ready.", next_step=CHECK_CLI))
            ready.exception()  # mark it as retrieved, as there may be no waiter

    async def _serve(self, turn: QueuedTurn) -> None:
        """Send the prompt of a turn and wait for its last message; a `ClaudeError` says why the turn failed."""
        self.turns += 1
        env, stop = self._transport.env, partial(self._begin_interrupt, turn, INTERRUPT_LIMIT_S)
        watch = APIWatch(turn.host, address=api_address(env), renews_login=renews_login(env), stop=stop)
        reading = Reading(watch, prompt_id=self._new_prompt_id())
        try:
            await self._servers.before_turn(turn.host.emit, lambda: turn.abandoned)
            if turn.abandoned:
                return
            self._reader.expect(reading, self._transport.kill)  # kills a CLI that never reads the prompt
            await self._mode.choose(turn.options.permission_mode)
            await self._client.query(prompt_messages(turn.prompt, str(reading.prompt_id)))
            turn.reading = reading
            turn.sent.set()
            with watch:
                ended = await reading.done
            await self._servers.after_turn(turn.host.emit, self._reader.servers)
        except ClaudeError:
            raise
        except Exception as error:  # the SDK raises plain Exception when it cannot read on; a host, any exception
            await self._wait_for_exit()
            raise self._translated(error, reading) from error
        if failure := watch.failure or failure_of(ended, self._transport.stderr, structured=turn.options.schema is not None):
            self.login_refused = self.login_refused or isinstance(failure, NotLoggedInError)
            raise failure

    async def _read(self) -> None:
        """Pass messages to the reader while the CLI lives. Note the mode; end a CLI that refuses the schema."""
        try:
            async for message in self._client.receive_messages():
                self._reader.read(message)
                self._mode.note(self._reader.permission_mode)
                if refused := bad_schema(self.launch.options.schema, self._reader.tools):
                    self._reader.end(refused)
                    self._transport.kill()
        except Exception as error:  # noqa: BLE001 - the SDK raises plain Exception when it cannot read on
            self._reader.end(error)
        else:
            self._reader.end(CLIConnectionError("the CLI has ended"))

    def _host_of(self, call_id: str | None) -> TurnHost:
        return self._reader.host_of(call_id) or self._begin_own()

    async def _call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        host = self._reader.host_of(None)
        return await host.call(tool, arguments) if host else ToolResult("The turn has ended.", is_error=True)

    def _begin_interrupt(self, turn: QueuedTurn, limit_s: float) -> None:
        interrupt = turn.interrupt(self._client.interrupt, self._transport.kill, limit_s)
        task = asyncio.create_task(interrupt, name="claude-interrupt")
        self._interrupts.add(task)
        task.add_done_callback(self._interrupts.discard)

    async def _wait_for_exit(self) -> None:
        """Wait up to a second for the exit: stderr has a pipe of its own, and may be late."""
        with anyio.move_on_after(1.0):
            await self._transport.wait()

    def _closed_early(self) -> CLIDiedError:
        return CLIDiedError("The Claude CLI was closed.", session_id=self.session_id)

    def _translated(self, error: Exception, reading: Reading | None = None) -> ClaudeError:
        transport = self._transport
        if transport.exit_code is not None or isinstance(error, CLIConnectionError):
            said = reading.messages if reading else transport.taken()
            return cli_died(transport.exit_code, said, stderr=transport.stderr, session_id=self.session_id)
        return translate_exception(error, cli=self._cli, stderr=transport.stderr, session_id=self.session_id)
