"""The kernel's one client, on the background thread: opened while the person still types, renewed when its settings change.

This module also makes the request of a turn, so that all processes obey the same rules on what is loaded from a directory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from claude_magic._kernel.background import Background
from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.options.settings import CLIENT_TRAITS, TURN_TRAITS, Settings, time_limit_s, turn_options
from claude_magic._kernel.queue import Question
from claude_magic._kernel.state.directory_trust import Trust
from claude_magic._kernel.state.turns import Start
from claude_magic._kernel.tools.kernel_tools import TOOLS
from claude_magic.errors import CLINotFoundError, ConfigError
from claude_magic.sdk._offers.choices import MODELS, Choices, near
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import ContextPart, PermissionAnswer, PermissionRequest, Tool
from claude_magic.sdk.response import SessionAwareResponse
from claude_magic.sdk.turn_request import TurnRequest

if TYPE_CHECKING:
    from claude_magic.sdk.client import ClaudeClient


class KernelClient:
    """The client, and `background`, the thread that it lives on.

    :param warm_up: imports what the first cell needs; called on the background thread.
    :param on_own_turn: called there with the response of each turn that the CLI began by itself.
    """

    def __init__(
        self, settings: Settings, trust: Trust, warm_up: Callable[[], None], on_own_turn: Callable[[SessionAwareResponse], None]
    ) -> None:
        self._settings = settings
        self._trust = trust
        self._warm_up = warm_up
        self._on_own_turn = on_own_turn
        self.own_questions: deque[Question] = deque()
        """Permission requests of turns that the CLI began by itself; they wait for the next cell."""
        self._login: tuple[bool, tuple[object, ...]] = (False, ())
        self.background = Background()
        self._client: Future[ClaudeClient] = Future()  # a placeholder: `_open` already reads `choices`, which needs one
        self._client = self.background.start(self._open)
        settings.observe(self._renew, CLIENT_TRAITS)
        settings.observe(self._prepare_again, TURN_TRAITS)

    def get(self) -> ClaudeClient:
        """Return the client; wait until it is open. In a forked child of its process, raise a `ConfigError`."""
        self.background.check_process()
        return self._client.result()

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
        """Return the request of a turn. It says whether the settings in the turn's directory may be loaded.

        :param start: where the turn begins; `None`: in a new session.
        :param schema: the JSON schema of the reply, as text.
        :param tools: tools that Claude may call besides those of every cell.
        """
        origin, fork = (start.origin, start.fork) if start else (None, False)
        chosen = turn_options(options, self._settings, schema=schema)
        self._check_model(chosen.model)
        return TurnRequest(
            prompt=prompt,
            directory=directory,
            session_id=origin.session_id if origin else None,
            fork=fork,
            at=origin.message_id if origin and fork else None,
            seen=origin.message_id if origin and not fork else None,
            options=chosen,
            timeout_s=time_limit_s(options, self._settings),
            trusted=self._trust.covers(directory),
            trusts_below=False,  # the person was not shown what subfolders hold
            use_tools=not options.no_kernel,
            tools=tools,
        )

    def _check_model(self, model: str | None) -> None:
        """Refuse a misspelt short name of a model, such as `sonet`. Full names, and those of gateways, are not checked."""
        known = {*self.choices.models, *MODELS} if self.choices.models else ()
        if model and model.isalpha() and known and model not in known and (meant := near(model, known)):
            raise ConfigError(f"There is no model {model}{meant}.", next_step="Correct --model; nothing was sent.")

    def prepare(self, request: TurnRequest) -> None:
        """Start a process in advance for a turn that will begin a session or a branch."""
        self.background.start(self._prepare, self.get(), request)

    def logged_in(self) -> bool:
        """Whether the CLI has a login; checked again when a variable or file that can change the login has changed."""
        self.get()
        from claude_magic.sdk._cli.environment import login_marks, login_status

        is_logged_in, marks = self._login
        if marks != (self._settings.cli_path, *login_marks(is_logged_in)):
            is_logged_in = self.background.call(login_status, self._settings.cli_path).logged_in
            # The marks are read after the check, as the CLI may create a file during it.
            self._login = is_logged_in, (self._settings.cli_path, *login_marks(is_logged_in))
        return is_logged_in

    def resume_command(self, session_id: str, directory: str) -> str:
        """Return the terminal command that continues a session; empty if there is no CLI."""
        self.get()
        from claude_magic.sdk._cli.command_line import find_cli, resume_command

        try:
            return resume_command(find_cli(self._settings.cli_path), session_id, directory)
        except CLINotFoundError:
            return ""

    def is_warm(self, session_id: str) -> bool:
        """Whether a live process holds this session."""
        return self.get().warm(session_id) is not None

    @property
    def choices(self) -> Choices:
        """The models and output styles that the CLI has reported so far. This neither waits nor starts anything."""
        there = self._client.done() and not self._client.cancelled() and self._client.exception() is None
        return self._client.result().choices if there else Choices()

    def context(self, session_id: str) -> tuple[ContextPart, ...]:
        """Return the size of a session's request, by part; empty if no live process can tell it now."""
        return self.background.call(self.get().context, session_id)

    def close(self) -> None:
        """End every CLI process and the background thread."""
        self._settings.unobserve_all()
        # If Python ends at once, as in `ipython -c`, imports fail in the background thread and there is no client.
        if self._client.exception() is None:
            self.background.call(self._client.result().aclose)
        self.background.close()

    async def _open(self, before: ClaudeClient | None = None) -> ClaudeClient:
        if before is not None:
            await before.aclose()
        # Importing the SDK takes a second: it happens on this thread, while the person still types.
        from claude_magic.sdk.client import ClaudeClient

        client = ClaudeClient(
            self._settings.client_config(),
            tools=TOOLS,
            asks=True,
            on_own_turn=self._on_own_turn,
            on_own_question=self._ask_later,
        )
        with contextlib.suppress(ConfigError):  # the directory is gone; the first cell will say so
            client.prepare(self._next_session())
        # The CLI starts in the loop's next step. Its start takes longer than the imports of `_warm_up`, which run meanwhile.
        asyncio.get_running_loop().call_soon(self._warm_up)
        return client

    async def _ask_later(self, request: PermissionRequest) -> PermissionAnswer:
        question = Question(replace(request, is_earlier=True))
        self.own_questions.append(question)
        return await asyncio.wrap_future(question.answer)

    def _renew(self, change: object) -> None:
        self._client = self.background.start(self._open, self.get())

    def _prepare_again(self, change: object) -> None:
        with contextlib.suppress(ConfigError):
            self.prepare(self._next_session())

    async def _prepare(self, client: ClaudeClient, request: TurnRequest) -> None:
        client.prepare(request)

    def _next_session(self) -> TurnRequest:
        return self.request(Prompt(""), Options(), working_directory())
