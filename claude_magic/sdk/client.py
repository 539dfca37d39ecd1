"""The async client: it sends prompts, and returns replies or yields text or events.

`ClaudeClient` composes prompts (prefix, files), finds out in which directory a turn works, and hands the request to the runner.
Every prompt goes through `run_turn`, also those of a notebook, except those of a run over rows.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from claude_magic._paths import file_bytes
from claude_magic.errors import ConfigError
from claude_magic.sdk._cassette.cassette import active_cassette
from claude_magic.sdk._cli.command_line import Command
from claude_magic.sdk._cli.process import LiveProcess
from claude_magic.sdk._history import places, sessions
from claude_magic.sdk._history.sessions import SessionInfo
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk._offers.choices import Choices
from claude_magic.sdk._offers.servers import ServerState
from claude_magic.sdk._tools.function_tool import FunctionTool, function_tools
from claude_magic.sdk._tools.results import FunctionHost
from claude_magic.sdk._turn.live_turn import AskLater
from claude_magic.sdk._turn.runner import TurnRunner
from claude_magic.sdk._workspaces import Workspaces, working_directory
from claude_magic.sdk.config import ClaudeConfig, OutputFormat, TurnOptions
from claude_magic.sdk.content import Prompt, content_blocks, refuse_outside
from claude_magic.sdk.events import Event, TextDelta
from claude_magic.sdk.host import BackgroundWork, ContextPart, Tool, TurnHost, nobody_answers
from claude_magic.sdk.response import SessionAwareResponse, raw_json
from claude_magic.sdk.turn_request import TurnRequest

_FORKED = "This ClaudeClient belongs to the parent of this process."
_USE_THREADS = "Use threads instead of processes, or make a ClaudeClient in the forked process itself."

DEFAULT_PREFIX_FILE = "prefix-prompt.md"
"""The prefix prompt's file, in the working directory, if the config names none."""


class ClaudeClient:
    """A client for Claude through the CLI. It is an async context manager: leaving it ends every process that it started.

    The client belongs to the event loop that uses it. While it has processes there, another loop gets a ConfigError. Once the
    first loop is closed, another one may use the client: that ends the old processes, and sessions are resumed from disk.

    :param config: `None` for the defaults.
    :param tools: tools that the `host` of a turn runs. Python functions for Claude belong in `ClaudeConfig.tools` instead.
    :param asks: whether the host of a turn can be asked for permission. If not, what would be asked about is denied.
    :param on_own_turn: called with the response of each turn that the CLI began by itself, for example when a command that
        Claude had left running ended. Its cost is part of no other turn.
    :param on_own_question: an async function, called with each permission request (`PermissionRequest`) of these turns; it
        returns the answer (`PermissionAnswer`), however long that takes. By default it denies them.
    """

    def __init__(
        self,
        config: ClaudeConfig | None = None,
        *,
        tools: Sequence[Tool] = (),
        asks: bool = False,
        on_own_turn: Callable[[SessionAwareResponse], None] = lambda response: None,
        on_own_question: AskLater = nobody_answers,
    ) -> None:
        self.config = config or ClaudeConfig()
        self._pid = os.getpid()
        self._log = ClientLog(self.config)
        self._runner = TurnRunner(
            self.config, self._log, tools=tools, asks=asks, on_own_turn=on_own_turn, on_own_question=on_own_question
        )
        self._workspaces = Workspaces(self.config.workspace_dir)
        self._taken = tools
        self._own_tools = function_tools(self.config.tools, tools)
        self._variables: dict[str, Any] = {}
        """Large results of functions, by the names that Claude was told."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every CLI process of this client, once its transcript is written, in at most 1.5 times `process_cleanup_timeout`.

        It may be called more than once, and from another event loop: if the first loop is blocked, it takes up to
        twice that timeout + 1 s. In a forked child it does nothing: the processes belong to the parent.
        """
        if os.getpid() != self._pid:
            return
        await self._runner.aclose()
        if self.config.workspace_cleanup_on_exit:
            self._workspaces.remove_created()
        self._log.close()

    async def query(
        self,
        prompt: str,
        *,
        session_id: str | None = None,
        output_format: OutputFormat = OutputFormat.TEXT,
        timeout: float | None = None,
        workspace_id: str | None = None,
        files: list[str] | None = None,
        tools: Sequence[Callable[..., Any]] = (),
    ) -> SessionAwareResponse:
        """Send a prompt and return the whole reply.

        :param session_id: the session to continue; `None` for a new one.
        :param output_format: what `raw_json` of the reply holds. With TEXT the config's `default_output_format` decides.
        :param timeout: seconds for the whole turn; `None` for the config's `default_timeout`.
        :param workspace_id: the name of a directory under the config's `workspace_dir`; the turn works there. `None`: the
            session's own directory, or the working directory for a new session.
        :param files: paths of files whose content goes into the prompt, before the text.
        :param tools: functions that Claude may call in this turn, in addition to those of the config.
        :raises ConfigError: for invalid arguments; nothing was sent.
        :raises ClaudeError: a subclass that says why the turn failed.
        """
        request = self.request(
            prompt, session_id=session_id, timeout=timeout, workspace_id=workspace_id, files=files, tools=tools
        )
        response = await self.run_turn(request)
        wanted = self.config.default_output_format if output_format is OutputFormat.TEXT else output_format
        response.raw_json = raw_json(response, wanted)
        return response

    async def stream_query(
        self,
        prompt: str,
        *,
        session_id: str | None = None,
        timeout: float | None = None,
        workspace_id: str | None = None,
        files: list[str] | None = None,
        tools: Sequence[Callable[..., Any]] = (),
    ) -> AsyncGenerator[str, None]:
        """Yield the answer's text as it arrives. Closing the generator early interrupts the turn.

        Parameters and errors are those of `query`.
        """
        events = self.stream_events(
            prompt, session_id=session_id, timeout=timeout, workspace_id=workspace_id, files=files, tools=tools
        )
        async with aclosing(events):
            async for event in events:
                if isinstance(event, TextDelta):
                    yield event.text

    async def stream_events(
        self,
        prompt: str,
        *,
        session_id: str | None = None,
        timeout: float | None = None,
        workspace_id: str | None = None,
        files: list[str] | None = None,
        options: TurnOptions | None = None,
        tools: Sequence[Callable[..., Any]] = (),
    ) -> AsyncGenerator[Event, None]:
        """Yield every event of a turn as it comes, then raise if the turn failed. Closing it early interrupts the turn.

        Parameters and errors are those of `query`; `options` are choices for this turn only.
        """
        request = self.request(
            prompt, session_id=session_id, timeout=timeout, workspace_id=workspace_id, files=files, options=options, tools=tools
        )
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        turn = asyncio.create_task(self.run_turn(request, self._host(request, queue.put_nowait)))
        turn.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await turn
        finally:
            if not turn.done():
                turn.cancel()
                await asyncio.wait([turn])

    async def list_sessions(self, workspace_id: str | None = None) -> list[SessionInfo]:
        """Return the sessions of the working directory, or of a workspace, the latest first."""
        directory = self._directory(None, workspace_id)
        if (projects := places.projects_of(self.config.env)) is None:
            return sessions.list_sessions(directory)
        return await sessions.list_sessions_elsewhere(directory, projects)

    def request(
        self,
        prompt: Prompt | str,
        *,
        session_id: str | None = None,
        fork: bool = False,
        at: str | None = None,
        options: TurnOptions | None = None,
        timeout: float | None = None,
        workspace_id: str | None = None,
        files: list[str] | None = None,
        tools: Sequence[Callable[..., Any]] = (),
    ) -> TurnRequest:
        """Return the request for `run_turn`: the prompt with its prefix and files, and the directory of the turn.

        :param prompt: a text, which is sent after the prefix and the files; or a `Prompt`, which is sent without them.
        :param fork: continue a branch of the session instead of the session itself.
        :param at: with `fork`, the ID of the message after which the branch begins (`MessageEnded.message_id`); `None` for the
            end of the session.
        :param options: choices for this turn only.
        :param tools: functions that Claude may call in this turn, in addition to those of the config.
        :raises ConfigError: for invalid arguments.
        """
        return TurnRequest(
            prompt=prompt if isinstance(prompt, Prompt) else self._compose(prompt, files or []),
            directory=self._directory(session_id, workspace_id),
            session_id=session_id,
            fork=fork,
            at=at,
            options=options or TurnOptions(),
            timeout_s=timeout,
            trusted=self.config.trusted,
            tools=self._with_own(tools),
        )

    async def run_turn(self, request: TurnRequest, host: TurnHost | None = None) -> SessionAwareResponse:
        """Run one turn, hand its events to `host` as they come, and return the reply.

        Inside `with cassette(...)` the turn is played from the cassette, or recorded to it.

        :param host: takes the events, answers permission requests and runs the tools. `None`: permission requests are denied,
            and functions given as tools are run.
        :raises ConfigError: in a forked child of the process that made the client.
        :raises TurnTimeoutError: after `request.timeout_s` seconds; the turn is interrupted then.
        :raises ClaudeError: a subclass that says why the turn failed, with the session ID and the text that had arrived.
        """
        self._check_process()
        return await self._runner.run(request, host or self._host(request), active_cassette())

    def command(
        self,
        prompt: str,
        *,
        resume_session_id: str | None = None,
        workspace_id: str | None = None,
        options: TurnOptions | None = None,
    ) -> Command:
        """Return the command that does the same turn in a terminal: a list of words; its `text` is quoted for a shell.

        :raises CLINotFoundError: if there is no CLI.
        """
        request = self.request(prompt, session_id=resume_session_id, workspace_id=workspace_id, options=options)
        return self._runner.command(request)

    def prepare(self, request: TurnRequest) -> None:
        """Start a process for a turn that will probably come, so that the turn does not wait for the start.

        The turn may have any prompt. Nothing is started inside a cassette that only plays.
        """
        cassette = active_cassette()
        if cassette is None or not cassette.plays_only:
            self._runner.prepare(request)

    async def close_session(self, session_id: str) -> None:
        """End the live process of a session, if it has one."""
        self._check_process()
        await self._runner.pool.close_session(session_id)

    def _check_process(self) -> None:
        """Refuse work in a forked child: it has a copy of this object, but not what serves it, so no answer would ever come."""
        if os.getpid() != self._pid:
            raise ConfigError(_FORKED, next_step=_USE_THREADS)

    def work(self, session_id: str) -> tuple[BackgroundWork, ...]:
        """Return the commands and helpers that Claude left running in a session."""
        process = self._runner.pool.warm(session_id)
        return process.work if process else ()

    async def context(self, session_id: str) -> tuple[ContextPart, ...]:
        """Return what fills the context of a session, by part, with sizes; empty unless it has an idle live process."""
        process = self._runner.pool.warm(session_id)
        return await process.context() if process else ()

    def servers(self, session_id: str) -> tuple[ServerState, ...]:
        """Return the MCP servers of a session and their states, as last reported; empty if it has no live process."""
        process = self._runner.pool.warm(session_id)
        return process.servers if process else ()

    @property
    def choices(self) -> Choices:
        """The models and styles that the CLI offers; empty before its first process has started."""
        return self._runner.choices

    async def stop_work(self, session_id: str, task_id: str) -> None:
        """Stop a command or helper that Claude left running in a session."""
        if (process := self._runner.pool.warm(session_id)) is not None:
            await process.stop_work(task_id)

    def warm(self, session_id: str) -> LiveProcess | None:
        """Return the live process of a session; `None` if it has none."""
        return self._runner.pool.warm(session_id)

    def _host(self, request: TurnRequest, emit: Callable[[Event], None] = lambda event: None) -> FunctionHost:
        return FunctionHost([tool for tool in request.tools if isinstance(tool, FunctionTool)], self._variables, emit)

    def _with_own(self, functions: Sequence[Callable[..., Any]]) -> tuple[FunctionTool, ...]:
        """Return the tools of a turn. A function of the turn replaces one of the config with the same name."""
        tools = function_tools(functions, self._taken)
        names = {tool.name for tool in tools}
        return (*(tool for tool in self._own_tools if tool.name not in names), *tools)

    def _directory(self, session_id: str | None, workspace_id: str | None) -> str:
        if workspace_id is not None:
            return self._workspaces.directory(workspace_id)
        if session_id is None:
            return working_directory()
        known = self._runner.directories.get(session_id)
        return known or sessions.directory_of(session_id, places.projects_of(self.config.env)) or working_directory()

    def _compose(self, prompt: str, files: list[str]) -> Prompt:
        blocks = content_blocks(files, working_directory(), self._log.logger.info)
        if (prefix := self._prefix()) and ("@" in prefix or prefix.lstrip().startswith("/")):
            # The CLI (2.1.332) looks for `@path` and slash commands only in the last block, which is the person's own.
            blocks.insert(0, {"type": "text", "text": prefix})
        elif prefix:
            prompt = f"{prefix}\n\n{prompt}"
        return Prompt([*blocks, {"type": "text", "text": prompt}] if blocks else prompt)

    def _prefix(self) -> str:
        if not self.config.enable_prefix_prompt:
            return ""
        named = self.config.prefix_prompt_file
        path = Path(working_directory(), Path(named or DEFAULT_PREFIX_FILE).expanduser())
        if named is None:
            refuse_outside(str(path), working_directory())
        try:
            return file_bytes(path).decode().replace("\r\n", "\n").rstrip("\n")
        except FileNotFoundError as error:
            if named is None:
                return ""
            raise ConfigError(
                f"There is no prefix prompt {path}.", next_step="Correct prefix_prompt_file; nothing was sent."
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The prefix prompt {path} cannot be read: {error}.") from error
