"""The async client: prompts in, replies, text or events out.

`ClaudeClient` composes prompts (prefix, files), finds out where a turn takes place, and asks the runner; every way of asking,
also the notebook's, goes through `run_turn`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

from claude_magic.errors import ConfigError
from claude_magic.sdk._cassette.cassette import Cassette, active_cassette
from claude_magic.sdk._cli.command_line import Command
from claude_magic.sdk._cli.process import LiveProcess
from claude_magic.sdk._history import sessions
from claude_magic.sdk._history.sessions import SessionInfo
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk._runner import TurnRequest, TurnRunner
from claude_magic.sdk._workspaces import Workspaces
from claude_magic.sdk.config import ClaudeConfig, OutputFormat, TurnOptions
from claude_magic.sdk.content import Prompt, content_blocks
from claude_magic.sdk.events import Event, TextDelta
from claude_magic.sdk.host import Listener, Tool, TurnHost
from claude_magic.sdk.response import SessionAwareResponse, raw_json

DEFAULT_PREFIX_FILE = "prefix-prompt.md"


class ClaudeClient:
    """Ask Claude through the CLI. An async context manager: leaving it ends every process it started.

    :param config: `None` for the defaults.
    :param tools: tools of the caller's own; the `host` of a turn does their work.
    :param asks: whether the host of a turn can be asked for permission; if not, the CLI denies what no rule allows.
    """

    def __init__(self, config: ClaudeConfig | None = None, *, tools: Sequence[Tool] = (), asks: bool = False) -> None:
        self.config = config or ClaudeConfig()
        self._log = ClientLog(self.config)
        self._runner = TurnRunner(self.config, self._log, tools=tools, asks=asks)
        self._workspaces = Workspaces(self.config.workspace_dir)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every CLI process of this client, letting transcripts be written; bounded by `process_cleanup_timeout`."""
        await self._runner.pool.aclose()
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
    ) -> SessionAwareResponse:
        """Ask and return the whole reply.

        :param session_id: the session to continue, `None` for a new one.
        :param output_format: what `raw_json` of the reply holds; TEXT leaves it to the config's `default_output_format`.
        :param timeout: seconds for the whole turn; the config's `default_timeout` by default.
        :param workspace_id: the directory under `workspace_dir` in which the turn and its session live.
        :param files: paths of files that go into the prompt.
        :raises ConfigError: for arguments that cannot be meant; nothing was sent.
        :raises ClaudeError: of the kind that says why the turn failed.
        """
        response = await self.run_turn(prompt, session_id=session_id, timeout=timeout, workspace_id=workspace_id, files=files)
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
    ) -> AsyncGenerator[str, None]:
        """Yield the answer's text as it arrives; parameters and errors as of `query`."""
        events = self.stream_events(prompt, session_id=session_id, timeout=timeout, workspace_id=workspace_id, files=files)
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
    ) -> AsyncGenerator[Event, None]:
        """Yield every event of a turn as it comes, then raise if it failed; leaving early interrupts the turn."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        turn = asyncio.create_task(
            self.run_turn(
                prompt,
                queue.put_nowait,
                session_id=session_id,
                timeout=timeout,
                workspace_id=workspace_id,
                files=files,
                options=options,
            )
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

    async def list_sessions(self, workspace_id: str | None = None) -> list[SessionInfo]:
        """Return the sessions of the working directory, or of a workspace, the one used last first."""
        directory = self._directory(None, workspace_id)
        projects = sessions.projects_of(self.config.env)
        if projects is None:
            return sessions.list_sessions(directory)
        return await sessions.list_sessions_elsewhere(directory, projects)

    async def run_turn(
        self,
        prompt: Prompt | str,
        emit: Callable[[Event], None] = lambda event: None,
        *,
        host: TurnHost | None = None,
        session_id: str | None = None,
        fork: bool = False,
        at: str | None = None,
        options: TurnOptions | None = None,
        directory: str | None = None,
        trusted: bool = True,
        use_tools: bool = True,
        timeout: float | None = None,
        workspace_id: str | None = None,
        files: list[str] | None = None,
        cassette: Cassette | None = None,
    ) -> SessionAwareResponse:
        """Run one turn, hand every event to `emit` as it comes, and return what they add up to.

        :param prompt: text, with prefix and files put before it; or content that is sent as it is.
        :param fork: continue a branch of the session instead of the session.
        :param at: where the branch begins: behind this message (`MessageEnded.message_id`) instead of at the session's end.
        :param host: who takes the events, answers permission requests and does the tools' work, instead of `emit`.
        :param directory: where a new session begins; an old one is where it began.
        :param trusted: whether settings of the directory's own (hooks, rules, servers) are loaded.
        :param use_tools: whether Claude is given the client's tools.
        :param cassette: where the turn is played from, or recorded to; by default that of `with cassette(...)` around it.
        :raises TurnTimeoutError: after `timeout` seconds; the turn is interrupted.
        :raises ClaudeError: of the kind that says why; it carries the session ID and the text that had arrived.
        """
        limit = self.config.default_timeout if timeout is None else timeout
        if limit is not None and not limit > 0:
            raise ConfigError(f"timeout is {limit}; it must be more than 0 seconds.")
        where = directory or self._directory(session_id, workspace_id)
        request = TurnRequest(
            prompt=prompt if isinstance(prompt, Prompt) else self._compose(prompt, files or []),
            session_id=session_id,
            options=self.config.options(options),
            directory=where,
            timeout_s=limit,
            fork=fork,
            at=at,
            trusted=trusted,
            use_tools=use_tools,
        )
        tape = cassette if cassette is not None else active_cassette()
        return await self._runner.run(request, host or Listener(self._log.listening(emit)), tape)

    def command(
        self,
        prompt: str,
        *,
        resume_session_id: str | None = None,
        workspace_id: str | None = None,
        options: TurnOptions | None = None,
    ) -> Command:
        """Return what a person would type in a terminal for the same turn: a list, and as `text` quoted for a shell.

        :raises CLINotFoundError: when there is no CLI to name.
        """
        where = self._directory(resume_session_id, workspace_id)
        request = TurnRequest(
            prompt=self._compose(prompt, []),
            session_id=resume_session_id,
            options=self.config.options(options),
            directory=where,
            timeout_s=None,
        )
        return self._runner.command(request)

    def prepare(
        self,
        directory: str,
        options: TurnOptions | None = None,
        *,
        trusted: bool = True,
        session_id: str | None = None,
        at: str | None = None,
        use_tools: bool = True,
        cassette: Cassette | None = None,
    ) -> None:
        """Start a process ahead of a turn that is likely to come, so that the turn need not wait for it.

        A cassette that only plays needs none.

        :param session_id: the session that the turn will branch from, behind the message `at`; `None`: it begins a new one.
        """
        tape = cassette if cassette is not None else active_cassette()
        if tape is not None and tape.plays_only:
            return
        request = TurnRequest(
            prompt=Prompt(""),
            session_id=session_id,
            options=self.config.options(options),
            directory=directory,
            timeout_s=None,
            fork=session_id is not None,
            at=at,
            trusted=trusted,
            use_tools=use_tools,
        )
        if not self._runner.needs_copy(request):
            self._runner.pool.prepare(self._runner.launch(request))

    async def close_session(self, session_id: str) -> None:
        """End the live process of a session, if there is one."""
        await self._runner.pool.close_session(session_id)

    def warm(self, session_id: str) -> LiveProcess | None:
        """Return the live process of a session, `None` when there is none."""
        return self._runner.pool.warm(session_id)

    def _directory(self, session_id: str | None, workspace_id: str | None) -> str:
        if workspace_id is not None:
            return self._workspaces.directory(workspace_id)
        if session_id is None:
            return os.getcwd()
        known = self._runner.directories.get(session_id)
        return known or sessions.directory_of(session_id, sessions.projects_of(self.config.env)) or os.getcwd()

    def _compose(self, prompt: str, files: list[str]) -> Prompt:
        text = self._prefix() + prompt
        blocks = content_blocks(files, os.getcwd())
        return Prompt([*blocks, {"type": "text", "text": text}] if blocks else text)

    def _prefix(self) -> str:
        if not self.config.enable_prefix_prompt:
            return ""
        named = self.config.prefix_prompt_file
        path = Path(os.getcwd(), Path(named or DEFAULT_PREFIX_FILE).expanduser())
        try:
            return path.read_text(encoding="utf-8").rstrip("\n") + "\n\n"
        except FileNotFoundError as error:
            if named is None:
                return ""
            raise ConfigError(
                f"There is no prefix prompt {path}.", next_step="Correct prefix_prompt_file; nothing was sent."
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The prefix prompt {path} cannot be read: {error}.") from error
