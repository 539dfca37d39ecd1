"""The views that need no widgets, and what every view can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from IPython.display import DisplayHandle

from claude_magic._render.settled.comparison import Alternative, columns_bundle
from claude_magic._render.settled.reply import mimebundle
from claude_magic.errors import ClaudeError
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse

ANSWERING: Final = {"text/plain": "Claude is answering…"}
"""What stands in the place of a reply until it is settled, wherever no widgets are shown."""


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
    """Show the settled output only: nobody watches, and a saved notebook shall hold no widget.

    It stands above what Claude's code prints meanwhile, as the live view does, so its place is taken at once.
    """

    def __init__(self) -> None:
        self._handle = DisplayHandle()
        self._handle.display(ANSWERING, raw=True)

    def settle(self, response: SessionAwareResponse, *, turn: int | None, failure: ClaudeError | None) -> None:
        """Display the settled output."""
        bundle = mimebundle(response, turn=turn, failure=failure)
        self._handle.update(bundle, raw=True, metadata=metadata(response, turn))


class ColumnsView(Protocol):
    """What paints several replies to one prompt, from their first events to the output that stays.

    Numbers of alternatives count from 1.
    """

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Paint what has changed; called at most 20 times a second."""

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Know that one of them comes to nothing while others go on."""

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request with buttons; return False where there are none."""

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Take a permission request away again."""

    def settle(self, alternatives: Sequence[Alternative], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Leave the output that stays; let a person pick another one until `close`, where there are buttons."""

    def show_current(self, current: int) -> None:
        """Mark another settled reply as the current one."""

    def close(self) -> None:
        """Leave nothing behind that is alive; callable more than once, also without `settle`."""


class QuietColumns:
    """Show nothing of several replies."""

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Paint nothing."""

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Say nothing."""

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Have no buttons."""
        return False

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Have nothing to take away."""

    def settle(self, alternatives: Sequence[Alternative], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Leave nothing."""

    def show_current(self, current: int) -> None:
        """Have nothing to mark."""

    def close(self) -> None:
        """Have nothing to close."""


class StaticColumns(QuietColumns):
    """Show the settled replies only, without buttons, above what Claude's code prints meanwhile."""

    def __init__(self) -> None:
        self._handle = DisplayHandle()
        self._handle.display(ANSWERING, raw=True)
        self._settled: tuple[Alternative, ...] = ()

    def settle(self, alternatives: Sequence[Alternative], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Display the settled replies."""
        self._settled = tuple(alternatives)
        self.show_current(current)

    def show_current(self, current: int) -> None:
        """Mark another reply as the current one, in the same display."""
        if self._settled:
            bundle, about = columns_bundle(self._settled, current), columns_metadata(self._settled, current)
            self._handle.update(bundle, raw=True, metadata=about)


def metadata(response: SessionAwareResponse, turn: int | None) -> dict[str, Any]:
    """Return what the settled output's metadata says of the turn; a notebook keeps it with the output."""
    about = {
        "session_id": response.session_id,
        "turn": turn,
        "model": response.model,
        "usage": response.usage,
        "cost_usd": response.cost_usd,
        "duration_s": response.duration_s,
        **response.about,
    }
    return {"claude_magic": about}


def columns_metadata(alternatives: Sequence[Alternative], current: int) -> dict[str, Any]:
    """Return what the output's metadata says of several turns: of the current one, if any, and of each as `alternatives`."""
    each = [metadata(alternative.response, alternative.turn)["claude_magic"] for alternative in alternatives]
    shown = each[current - 1] if current else dict.fromkeys(each[0])
    return {"claude_magic": shown | {"alternatives": each}}


class Single:
    """One reply, where there could be several.

    :param view: what paints it.
    """

    def __init__(self, view: View) -> None:
        self._view = view

    def update(self, responses: Sequence[SessionAwareResponse], elapsed_s: float) -> None:
        """Paint what has changed."""
        self._view.update(responses[0], elapsed_s)

    def fail(self, number: int, failure: ClaudeError) -> None:
        """Have nothing that goes on."""

    def ask(self, number: int, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> bool:
        """Show a permission request with buttons, if there are any."""
        return self._view.ask(request, on_answer)

    def asked(self, number: int, request: PermissionRequest) -> None:
        """Take a permission request away again."""
        self._view.asked(request)

    def settle(self, alternatives: Sequence[Alternative], *, current: int, on_pick: Callable[[int], None] | None) -> None:
        """Leave the output that stays."""
        (alternative,) = alternatives
        self._view.settle(alternative.response, turn=alternative.turn, failure=alternative.failure)

    def show_current(self, current: int) -> None:
        """Have nothing to choose from."""

    def close(self) -> None:
        """Leave nothing behind that is alive."""
        self._view.close()
