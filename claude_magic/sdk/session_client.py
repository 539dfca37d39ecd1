"""A client that remembers its last session, and a wrapper that takes and returns text.

Names and parameters are those of an older client that this one replaces: code for that one needs only another import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from claude_magic.sdk.client import ClaudeClient
from claude_magic.sdk.config import OutputFormat
from claude_magic.sdk.response import SessionAwareResponse

__all__ = ["ClaudeSDKWrapper", "SessionAwareClient", "SessionAwareResponse"]


class SessionAwareClient(ClaudeClient):
    """A `ClaudeClient` that remembers its last session and can continue it."""

    @property
    def last_session_id(self) -> str | None:
        """The ID of the last session that a turn reached, also if that turn failed; `None` before the first."""
        return self._runner.last_session_id

    def clear_session(self) -> None:
        """Forget the last session. It stays on disk and can be resumed by its ID."""
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
        """Send a prompt in a session and return the reply, which holds the session's ID. Other parameters are those of `query`.

        :param resume_session_id: the session to continue; if `None`, `auto_resume_last` decides.
        :param auto_resume_last: continue the last session of this client; if there is none, start one.
        :raises SessionNotFoundError: if the session does not exist.
        :raises ClaudeError: a subclass that says why the turn failed.
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


class ClaudeSDKWrapper(SessionAwareClient):
    """A client whose `execute` takes a prompt, and returns the answer's text and the session ID."""

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
        """Send a prompt and return the answer's text and the session's ID.

        The parameters are those of `query_with_session`; `resume_last_session` is `auto_resume_last` there.

        :raises ClaudeError: a subclass that says why the turn failed.
        """
        response = await self.query_with_session(
            prompt,
            resume_session_id=resume_session_id,
            auto_resume_last=resume_last_session,
            timeout=timeout,
            workspace_id=workspace_id,
            files=files,
        )
        return response.content, response.session_id
