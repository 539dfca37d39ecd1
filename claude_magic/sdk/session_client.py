"""The client that remembers its last session, and a wrapper for those who only want text.

The names follow the client that this one stands in for, so that its code runs here after changing the import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from claude_magic.sdk.client import ClaudeClient
from claude_magic.sdk.config import ClaudeConfig, OutputFormat
from claude_magic.sdk.response import SessionAwareResponse

__all__ = ["ClaudeSDKWrapper", "SessionAwareClient", "SessionAwareResponse"]


class SessionAwareClient(ClaudeClient):
    """A `ClaudeClient` that can continue its last session by itself."""

    @property
    def last_session_id(self) -> str | None:
        """The session of the last turn that reached one, also when that turn failed; `None` before the first."""
        return self._runner.last_session_id

    def clear_session(self) -> None:
        """Forget the last session; the session itself stays and can be resumed by ID."""
        self._runner.last_session_id = None

    async def query_with_session(
        self,
        prompt: str,
        *,
        resume_session_id: str | None = None,
        auto_resume_last: bool = False,
        output_format: OutputFormat = OutputFormat.JSON,
        timeout: float | None = None,
        workspace_id: str | None = None,
        files: list[str] | None = None,
        tools: Sequence[Callable[..., Any]] = (),
    ) -> SessionAwareResponse:
        """Ask in a session and return the reply, which carries the session's ID.

        :param resume_session_id: the session to continue; it wins over `auto_resume_last`.
        :param auto_resume_last: continue the last session, or start one when there is none.
        :param timeout: seconds for the whole turn.
        :param workspace_id: the directory under `workspace_dir` in which the turn and its session live.
        :param files: paths of files that go into the prompt.
        :param tools: functions that Claude may call in this turn, besides those of the config.
        :raises SessionNotFoundError: when there is no such session.
        :raises ClaudeError: of the kind that says why the turn failed.
        """
        session_id = resume_session_id or (self.last_session_id if auto_resume_last else None)
        return await self.query(
            prompt,
            session_id=session_id,
            output_format=output_format,
            timeout=timeout,
            workspace_id=workspace_id,
            files=files,
            tools=tools,
        )


class ClaudeSDKWrapper:
    """Text in, text and session ID out. An async context manager.

    :param config: as of `ClaudeClient`; `None` for the defaults.
    """

    def __init__(self, config: ClaudeConfig | None = None) -> None:
        self._client = SessionAwareClient(config)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every CLI process of the wrapper."""
        await self._client.aclose()

    @property
    def last_session_id(self) -> str | None:
        """The session of the last turn; `None` before the first."""
        return self._client.last_session_id

    def clear_session(self) -> None:
        """Forget the last session."""
        self._client.clear_session()

    async def execute(
        self,
        prompt: str,
        *,
        resume_session_id: str | None = None,
        resume_last_session: bool = False,
        timeout: float | None = None,
        workspace_id: str | None = None,
        files: list[str] | None = None,
    ) -> tuple[str, str | None]:
        """Ask and return the answer's text and the session's ID.

        :raises ClaudeError: of the kind that says why the turn failed.
        """
        response = await self._client.query_with_session(
            prompt,
            resume_session_id=resume_session_id,
            auto_resume_last=resume_last_session,
            timeout=timeout,
            workspace_id=workspace_id,
            files=files,
        )
        return response.content, response.session_id
