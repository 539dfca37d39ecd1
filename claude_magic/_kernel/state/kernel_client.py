"""The kernel's one client, on the background thread: opened while the person still types, renewed when its settings change.

What a turn of a directory is allowed to load is put into its options here, so that every process is started alike.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from claude_magic._kernel.background import Background, Stream
from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.options.merged_options import time_limit_s, turn_options
from claude_magic._kernel.options.settings import CLIENT_TRAITS, TURN_TRAITS, Settings
from claude_magic._kernel.queue import Question
from claude_magic._kernel.state.directory_trust import Trust
from claude_magic._kernel.state.turns import Start
from claude_magic._kernel.tools.kernel_tools import TOOLS
from claude_magic.errors import CLINotFoundError, ConfigError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import BackgroundWork, PermissionAnswer, PermissionRequest, Tool
from claude_magic.sdk.response import SessionAwareResponse
from claude_magic.sdk.turn_request import TurnRequest

if TYPE_CHECKING:
    from claude_magic.sdk.client import ClaudeClient

T = TypeVar("T")
R = TypeVar("R")


class KernelClient:
    """The client and the thread that it lives on.

    :param warm_up: imports what the first cell will need; called on the background thread.
    :param on_own_turn: called there with each turn that the CLI has taken by itself.
    """

    def __init__(
        self,
        settings: Settings,
        trust: Trust,
        warm_up: Callable[[], None],
        on_own_turn: Callable[[SessionAwareResponse], None],
    ) -> None:
        self._settings = settings
        self._trust = trust
        self._warm_up = warm_up
        self._on_own_turn = on_own_turn
        self.own_questions: deque[Question] = deque()
        """Permission requests of turns that the CLI takes by itself, which wait for the next cell."""
        self._login: tuple[bool, tuple[object, ...]] = (False, ())
        self._background = Background()
        self._client: Future[ClaudeClient] = self._background.start(self._open)
        settings.observe(self._renew, CLIENT_TRAITS)
        settings.observe(self._prepare_again, TURN_TRAITS)

    @property
    def is_forked(self) -> bool:
        """Whether this is a forked child of the process that the client is in."""
        return self._background.is_forked

    def check_process(self) -> None:
        """Refuse to go on in a forked child.

        :raises ConfigError: there.
        """
        self._background.check_process()

    def get(self) -> ClaudeClient:
        """Return the client; waits until it is there.

        :raises ConfigError: in a forked child of this process, which has no part in it.
        """
        self.check_process()
        return self._client.result()

    def stream(self, work: Callable[[Callable[[T], None]], Awaitable[R]]) -> Stream[T, R]:
        """Run `work(put)` on the background thread; what it puts comes out of the stream."""
        return self._background.stream(work)

    def request(
        self,
        prompt: Prompt,
        options: Options,
        directory: str,
        start: Start | None = None,
        *,
        schema: str | None = None,
        tools: tuple[Tool, ...] = (),
    ) -> TurnRequest:
        """Return the request of a turn, which says whether what its directory holds may be loaded.

        :param start: where the turn begins; `None`: it begins a session.
        :param schema: the JSON schema of the reply, as text.
        :param tools: what Claude may call besides what every cell has.
        """
        origin, fork = (start.origin, start.fork) if start else (None, False)
        return TurnRequest(
            prompt=prompt,
            directory=directory,
            session_id=origin.session_id if origin else None,
            fork=fork,
            at=origin.message_id if origin and fork else None,
            seen=origin.message_id if origin and not fork else None,
            options=turn_options(options, self._settings, schema=schema),
            timeout_s=time_limit_s(options, self._settings),
            trusted=self._trust.covers(directory),
            trusts_below=False,  # nobody has seen what is there
            use_tools=not options.no_kernel,
            tools=tools,
        )

    def prepare(self, request: TurnRequest) -> None:
        """Start a process ahead of a turn that will begin a session or a branch."""
        self._background.start(self._prepare, self.get(), request)

    def logged_in(self) -> bool:
        """Whether the CLI has an account to work with; asked anew when a variable or a file says that this may have changed."""
        self.get()
        from claude_magic.sdk._cli.login import login_marks, login_status

        is_logged_in, marks = self._login
        if marks != (self._settings.cli_path, *login_marks(is_logged_in)):
            is_logged_in = self._background.call(login_status, self._settings.cli_path).logged_in
            # Behind the question, as the CLI may make a file then.
            self._login = is_logged_in, (self._settings.cli_path, *login_marks(is_logged_in))
        return is_logged_in

    def call(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        """Run a coroutine function on the background thread, and wait for what it returns."""
        return self._background.call(function, *args)

    def resume_command(self, session_id: str, directory: str) -> str:
        """Return what goes on with a session in a terminal; empty without a CLI."""
        self.get()
        from claude_magic.sdk._cli.command_line import find_cli, resume_command

        try:
            return resume_command(find_cli(self._settings.cli_path), session_id, directory)
        except CLINotFoundError:
            return ""

    def is_warm(self, session_id: str) -> bool:
        """Whether a live process holds this session."""
        return self.get().warm(session_id) is not None

    def work(self, session_id: str) -> tuple[BackgroundWork, ...]:
        """Return what Claude has left running in a session."""
        return self.get().work(session_id)

    def stop_work(self, session_id: str, task_id: str) -> None:
        """Stop something that Claude has left running in a session."""
        self._background.call(self.get().stop_work, session_id, task_id)

    def close_session(self, session_id: str) -> None:
        """End the live process of a session, if there is one."""
        self._background.call(self.get().close_session, session_id)

    def close(self) -> None:
        """End every CLI process and the background thread."""
        self._settings.unobserve_all()
        # Where Python ends at once, as in `ipython -c`, it lets no more be imported, and there is no client.
        if self._client.exception() is None:
            self._background.call(self._client.result().aclose)
        self._background.close()

    async def _open(self) -> ClaudeClient:
        # The SDK takes a second to import: on this thread, while the person still types.
        from claude_magic.sdk.client import ClaudeClient

        client = ClaudeClient(
            self._settings.client_config(),
            tools=TOOLS,
            asks=True,
            on_own_turn=self._on_own_turn,
            on_own_question=self._ask_later,
        )
        with contextlib.suppress(ConfigError):  # the directory is gone, which the first cell says
            client.prepare(self._next_session())
        # One step of the loop lets the CLI start, which takes longer than the imports that the first cell needs.
        asyncio.get_running_loop().call_soon(self._warm_up)
        return client

    async def _ask_later(self, request: PermissionRequest) -> PermissionAnswer:
        question = Question(replace(request, is_earlier=True))
        self.own_questions.append(question)
        return await asyncio.wrap_future(question.answer)

    def _renew(self, change: object) -> None:
        self._client = self._background.start(self._reopen, self.get())

    async def _reopen(self, old: ClaudeClient) -> ClaudeClient:
        await old.aclose()
        return await self._open()

    def _prepare_again(self, change: object) -> None:
        with contextlib.suppress(ConfigError):
            self.prepare(self._next_session())

    async def _prepare(self, client: ClaudeClient, request: TurnRequest) -> None:
        client.prepare(request)

    def _next_session(self) -> TurnRequest:
        return self.request(Prompt(""), Options(), working_directory())
