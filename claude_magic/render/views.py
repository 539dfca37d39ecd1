"""The views that need no widgets, and what every view can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from IPython.display import display

from claude_magic.errors import ClaudeError
from claude_magic.render.markdown import mimebundle
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse


class View(Protocol):
    """What paints a reply, from its first event to its settled output."""

    def update(self, response: SessionAwareResponse, elapsed_s: float) -> None:
        """Paint what has changed; called at most 20 times a second."""

    def settle(self, response: SessionAwareResponse, *, turn: int | None, failure: ClaudeError | None) -> None:
        """Leave the output that stays."""

    def ask(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request with buttons; return False where there are none."""

    def asked(self, request: PermissionRequest) -> None:
        """Take a permission request away again."""

    def close(self) -> None:
        """Leave nothing behind that is alive; callable more than once, also without `settle`."""


class QuietView:
    """Show nothing."""

    def update(self, response: SessionAwareResponse, elapsed_s: float) -> None:
        """Paint nothing."""

    def settle(self, response: SessionAwareResponse, *, turn: int | None, failure: ClaudeError | None) -> None:
        """Leave nothing."""

    def ask(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Have no buttons."""
        return False

    def asked(self, request: PermissionRequest) -> None:
        """Have nothing to take away."""

    def close(self) -> None:
        """Have nothing to close."""


class StaticView(QuietView):
    """Show the settled output only: nobody watches, and a saved notebook shall hold no widget."""

    def settle(self, response: SessionAwareResponse, *, turn: int | None, failure: ClaudeError | None) -> None:
        """Display the settled output."""
        display(mimebundle(response, turn=turn, failure=failure), raw=True, metadata=metadata(response, turn))


def metadata(response: SessionAwareResponse, turn: int | None) -> dict[str, Any]:
    """Return what the settled output's metadata says of the turn; a notebook keeps it with the output."""
    about = {
        "session_id": response.session_id,
        "turn": turn,
        "model": response.model,
        "usage": response.usage,
        "cost_usd": response.cost_usd,
        "duration_s": response.duration_s,
    }
    return {"claude_magic": about}
