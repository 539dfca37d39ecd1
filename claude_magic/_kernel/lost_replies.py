"""Replies that settled after their page was closed: a notebook that is reopened during a run lacks the rest of the output.

A kernel is not told that a page was loaded again. The next cell's request reveals it: it comes from another client, and the
saved notebook, which the new page shows, does not have the reply.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from claude_magic._kernel.state.notebook_file import notebook_path, saved_turns
from claude_magic.errors import ConfigError

if TYPE_CHECKING:
    from claude_magic._render.views import StaticView, View

KEPT = 20
"""How many views are watched. If more cells were queued on a closed page, the first replies count as seen."""


class LostReplies:
    """The views that a page may not have shown.

    :param namespace: the person's namespace; VS Code puts the notebook's path there.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._views: deque[tuple[str, StaticView]] = deque(maxlen=KEPT)

    def watch(self, view: View, request: Mapping[str, Any]) -> None:
        """Watch a view that opens in the cell of this request, or to which a reply was added."""
        from claude_magic._render.views import StaticView

        if isinstance(view, StaticView) and _is_from_page(request) and view not in [watched for _, watched in self._views]:
            self._views.append((_page(request), view))

    def found(self, request: Mapping[str, Any]) -> Sequence[StaticView]:
        """Return the views that settled unseen, each only once; called when another cell runs."""
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
                # This request was queued before the reply settled, so its page may be closed by now, too.
                waiting.append((its_page, view))
        self._views = deque(waiting, maxlen=KEPT)
        saved: set[tuple[int | None, str | None]] = set()
        if lost and (path := notebook_path(self._namespace)):
            with contextlib.suppress(ConfigError):
                saved = {(turn.number, turn.session_id) for turn in saved_turns(path)}
        return [view for view in lost if not saved.issuperset(view.turns())]


def same_page(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two requests come from one page, which then shows the output of both."""
    return _page(one) == _page(other)


def _is_from_page(request: Mapping[str, Any]) -> bool:
    """Return whether a request comes from a notebook's page, and not from a console on the same kernel."""
    return "cellId" in request.get("metadata", {})


def _page(request: Mapping[str, Any]) -> str:
    """Return the client of a request: in JupyterLab and Notebook 7 each load of a page is another client."""
    return str(request.get("header", {}).get("session"))
