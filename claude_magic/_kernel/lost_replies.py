"""Replies that settled when their page was gone: a notebook that is opened anew in mid-run loses the rest of the cell's output.

Nobody tells a kernel that a page was loaded again. The next cell does: its request comes from another client, and the notebook
as it was saved, which is what that page shows, has no such reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from claude_magic._kernel.state.notebook_file import notebook_path, saved_turns
from claude_magic.errors import ConfigError

if TYPE_CHECKING:
    from claude_magic._render.views import StaticView, View

KEPT = 20
"""How many cells may be queued on a page that goes away before the replies of the first ones count as seen."""


class LostReplies:
    """The views of which it is not certain yet that a page has shown them.

    :param namespace: of the person, where VS Code tells the notebook's path.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._views: deque[tuple[str, StaticView]] = deque(maxlen=KEPT)

    def watch(self, view: View, request: Mapping[str, Any]) -> None:
        """Remember a view that opens in the cell of this request, or that something was added to."""
        from claude_magic._render.views import StaticView

        if isinstance(view, StaticView) and _is_from_page(request) and view not in [watched for _, watched in self._views]:
            self._views.append((_page(request), view))

    def found(self, request: Mapping[str, Any]) -> Sequence[StaticView]:
        """Return the views that nobody has seen settle, each once, now that another cell is run."""
        if not self._views or not _is_from_page(request):
            return []
        page, sent = _page(request), request["header"].get("date")
        lost, waiting = [], []
        for its_page, view in self._views:
            if view.settled_at is None:
                waiting.append((its_page, view))
            elif its_page != page:
                lost.append(view)
            elif isinstance(sent, datetime) and sent < view.settled_at:
                # Its cell was queued: the page need not have been there when the reply settled.
                waiting.append((its_page, view))
        self._views = deque(waiting, maxlen=KEPT)
        saved = self._saved() if lost else set()
        return [view for view in lost if not saved.issuperset(view.turns())]

    def _saved(self) -> set[tuple[int | None, str | None]]:
        path = notebook_path(self._namespace)
        try:
            return {(turn.number, turn.session_id) for turn in saved_turns(path)} if path else set()
        except ConfigError:
            return set()


def same_page(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two requests come from one page, so that the second one shows what the first one has left."""
    return _page(one) == _page(other)


def _is_from_page(request: Mapping[str, Any]) -> bool:
    """Say whether a notebook asks: a console on its kernel is another client, too, and no page."""
    return "cellId" in request.get("metadata", {})


def _page(request: Mapping[str, Any]) -> str:
    """Return the client that a request comes from: in JupyterLab and Notebook 7 each load of a page is another one."""
    return str(request.get("header", {}).get("session"))
