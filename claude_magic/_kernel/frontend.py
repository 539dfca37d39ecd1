"""What the frontend of the running cell can do: widgets, questions, async cells; and the view that fits it.

Some contexts do not show a display, or ignore its updates: a console, an Output widget, a widget's callback, a capture. In
each of them a reply is shown, there or in the cell that ran last.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.advice import say
from claude_magic._kernel.state.notebook_file import notebook_path, saved_turns
from claude_magic.errors import ConfigError

if TYPE_CHECKING:
    from claude_magic._render.settled.reply import SettledReply
    from claude_magic._render.views import StaticView, View

_NOTEBOOK_VARIABLES = frozenset({"JPY_SESSION_NAME", "KAGGLE_KERNEL_RUN_TYPE"})

_COLUMNS = 80
"""The width of printed text: it fits into a notebook of 900 pixels. A console on a kernel, which reports none, has it, too."""

_PAGES_KNOWN = 20
"""How many pages without widgets are remembered."""

_VIEWS_WATCHED = 20
"""How many views are watched. If more cells were queued on a closed page, the first replies count as seen."""


def loaded_magics() -> Any:
    """Return the magics of the running shell; `None` in a script, or if the extension is not loaded."""
    shell = get_ipython()
    return None if shell is None else shell.magics_manager.registry.get("ClaudeMagics")


class Frontend:
    """The frontend, as far as the shell's kernel knows it. IPython in a terminal has no kernel."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._kernel: Any = getattr(shell, "kernel", None)
        self._cell: dict[str, Any] = {}
        """The request of the cell that runs now, or ran last."""
        self._without_widgets: deque[dict[str, Any]] = deque(maxlen=_PAGES_KNOWN)
        """Requests of pages that have refused to show widgets."""
        self._lost = _LostReplies(shell.user_ns)
        self.note_cell()

    def note_cell(self) -> None:
        """Remember the cell that begins to run, because output of a widget's callback has no cell and is shown in this one."""
        if self._is_cell(request := self._request()):
            self._cell = request

    def show_lost_replies(self) -> None:
        """Show the replies that settled after their page was closed; call it in a cell."""
        if views := self._lost.found(self._cell):
            print("This page was opened after the prompt was sent. These replies are not in the saved notebook:")
            for view in views:
                view.show_again()

    def view(self, labels: Sequence[str], *, quiet: bool, for_audience: bool, on_stop: Callable[[], None]) -> View:
        """Open the view that this frontend can show; call it in the cell.

        :param labels: how each reply differs from the others; a single reply shows none.
        :param for_audience: whether the replies are shown to an audience: larger, and without their cost.
        """
        from claude_magic._render import views

        if quiet:
            return views.View()
        if self._kernel is not None and (self._is_captured() or self._in_output_widget()):
            return views.LateView(self._where_it_shows, for_audience=for_audience)
        if self.is_text_only:
            from claude_magic._render.terminal import TerminalView, console_of_kernel

            console = None if self._kernel is None else console_of_kernel()
            return TerminalView(labels, console, for_audience=for_audience)
        if not self.on_main_thread():
            with self._where_it_shows():
                view = views.StaticView(for_audience=for_audience)
        elif not self.can_answer():
            view = views.HeadlessView(self._where_it_shows, for_audience=for_audience)
        elif self._is_without_widgets():
            view = views.GrowingView(for_audience=for_audience)
        else:
            from claude_magic._render.live_view import LiveView

            view = LiveView(labels, on_stop, partial(self._without_widgets.append, self._cell), for_audience=for_audience)
        self._lost.watch(view, self._cell)
        return view

    def adds_to(self, view: View) -> Callable[[SettledReply], bool]:
        """Return a function that adds a later reply to the output of this cell, and returns whether that was possible."""
        cell = self._cell

        def add(reply: SettledReply) -> bool:
            # nbclient and similar programs accept an update for a cell only while the cell runs.
            if not self.can_answer() or _page(cell) != _page(self._cell):
                return False
            with self._where_it_shows():
                is_shown = view.add(reply)
            if is_shown:
                self._lost.watch(view, cell)
            return is_shown

        return add

    @property
    def is_text_only(self) -> bool:
        """Whether only text is shown here: IPython in a terminal, or a console on a kernel.

        `jupyter console` and qtconsole ignore updates of a display. They are recognised by what they lack: the cell IDs and
        variables of notebooks.
        """
        if self._kernel is None:
            return True
        request = self._cell
        if not request.get("content", {}).get("allow_stdin") or "cellId" in request.get("metadata", {}):
            return False
        in_notebook = bool(_NOTEBOOK_VARIABLES & os.environ.keys()) or "__vsc_ipynb_file__" in self.shell.user_ns
        return not (in_notebook or "google.colab" in sys.modules)

    @property
    def columns(self) -> int | None:
        """The greatest width of a line if only text is shown; `None` for a page, which wraps long lines."""
        if not self.is_text_only:
            return None
        return shutil.get_terminal_size().columns if self._kernel is None else _COLUMNS

    @property
    def text_columns(self) -> int:
        """The greatest width of a printed line. A page divides longer ones in the middle of words."""
        return self.columns or _COLUMNS

    def put(self, bundle: Mapping[str, Any], text: str | None = None) -> None:
        """Show a bundle in the cell. If only text is shown, print `text`, or the bundle's plain form."""
        from claude_magic._render.place import Place

        if self.is_text_only:
            say(bundle["text/plain"] if text is None else text)
        else:
            Place().show(bundle)

    def import_views(self) -> None:
        """Import the modules that a cell will need. ipywidgets, Jinja2 and others take longer than a cell should wait."""
        for name in ("_kernel.prompt.composition", "_render.terminal" if self._kernel is None else "_render.live.live_replies"):
            import_module(f"claude_magic.{name}")

    def can_answer(self) -> bool:
        """Whether a person can answer. nbclient, nbconvert and papermill deny it by `allow_stdin`; a thread has no input."""
        if not self.on_main_thread():
            return False
        return self._kernel is None or bool(self._request().get("content", {}).get("allow_stdin"))

    def on_main_thread(self) -> bool:
        """Whether this is the main thread, in which cells run."""
        return threading.current_thread() is threading.main_thread()

    def is_ending(self) -> bool:
        """Whether the kernel is shutting down and only waits for threads."""
        return bool(self.shell.exit_now) or not threading.main_thread().is_alive()

    def has_widgets(self) -> bool:
        """Whether buttons can be shown, clicked and removed."""
        nowhere = self.is_text_only or self._is_captured() or self._in_output_widget() or self._is_without_widgets()
        return not nowhere and self.can_answer()

    def cell_id(self) -> str | None:
        """Return the notebook's ID of the running cell, which JupyterLab and Notebook 7 send."""
        cell_id: str | None = self._request().get("metadata", {}).get("cellId")
        return cell_id

    def runs_cells_async(self) -> bool:
        """Whether a cell may await its turn, so that widgets can be clicked meanwhile (ipykernel 7)."""
        if self._kernel is None:
            return False
        # Not `implementation_version` of the kernel, which is the version of IPython.
        version = getattr(sys.modules.get("ipykernel"), "version_info", (0,))
        return self._kernel.implementation == "ipython" and version[0] >= 7

    def is_whole_cell(self, source: str) -> bool:
        """Whether this is the code that the frontend sent, and not a part that another magic runs."""
        return str(self._request().get("content", {}).get("code", "")).strip() == source.strip()

    def forget_failed_display(self) -> None:
        """Let the cell succeed although a value in it, or in the cell before, could not be shown."""
        # ipykernel 7.4 fails a cell for that, and an async cell also for the one before. Only running code resets this.
        if getattr(self.shell, "_last_traceback_during_displayhook", False):
            self.shell.run_cell("", store_history=False, silent=True)

    def _is_without_widgets(self) -> bool:
        """Whether the page of the running cell has refused to show widgets: JupyterLab without the widgets extension."""
        return any(_page(request) == _page(self._cell) for request in self._without_widgets)

    def _is_captured(self) -> bool:
        return isinstance(self.shell.display_pub, CapturingDisplayPublisher)

    def _in_output_widget(self) -> bool:
        """Whether an Output widget receives the displays; it ignores updates (ipywidgets #1180)."""
        if "ipywidgets" not in sys.modules:  # no widget has been made
            return False
        from ipywidgets import Output
        from ipywidgets.widgets import widget as widgets

        # ipywidgets 7 has the widgets in a class attribute; in 8, reading that warns.
        known = widgets._instances if hasattr(widgets, "_instances") else widgets.Widget.widgets
        shown_for = self._parent_header().get("msg_id")
        return any(isinstance(widget, Output) and widget.msg_id == shown_for for widget in list(known.values()))

    @contextmanager
    def _where_it_shows(self) -> Iterator[None]:
        """Attach displays in this block to the last cell, if a notebook would not show them otherwise.

        That is so in a widget's callback, and in a thread once a callback has run.
        """
        publisher: Any = self.shell.display_pub
        header = self._parent_header()
        shows = self._is_cell({"header": header}) or not self._cell or self._is_captured() or self._in_output_widget()
        with ExitStack() as undo:
            if not shows and hasattr(publisher, "set_thread_parent"):
                undo.callback(publisher.reset_thread_parent, publisher.set_thread_parent(self._cell))
            elif not shows:
                publisher.set_parent(self._cell)
                undo.callback(publisher.set_parent, {"header": header})
            yield

    def _parent_header(self) -> dict[str, Any]:
        """Return the header of the request that displays belong to."""
        try:
            header: dict[str, Any] = getattr(self.shell.display_pub, "parent_header", None) or {}
        except LookupError:  # ipykernel 7.0, in a thread
            return {}
        return header

    def _is_cell(self, request: dict[str, Any]) -> bool:
        return bool(request.get("header", {}).get("msg_type") == "execute_request")

    def _request(self) -> dict[str, Any]:
        if self._kernel is None:
            return {}
        request: dict[str, Any] = self._kernel.get_parent("shell") or {}
        return request


class _LostReplies:
    """The views that a page may not have shown: a notebook that is reopened during a run lacks the rest of the output.

    A kernel is not told that a page was loaded again. The next cell's request reveals it: it comes from another client, and the
    saved notebook, which the new page shows, does not have the reply.

    :param namespace: the person's namespace; VS Code puts the notebook's path there.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._views: deque[tuple[str, StaticView]] = deque(maxlen=_VIEWS_WATCHED)

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
        self._views = deque(waiting, maxlen=_VIEWS_WATCHED)
        saved: set[tuple[int | None, str | None]] = set()
        if lost and (path := notebook_path(self._namespace)):
            with suppress(ConfigError):
                saved = {(turn.number, turn.session_id) for turn in saved_turns(path)}
        return [view for view in lost if not saved.issuperset(view.turns())]


def _is_from_page(request: Mapping[str, Any]) -> bool:
    """Return whether a request comes from a notebook's page, and not from a console on the same kernel."""
    return "cellId" in request.get("metadata", {})


def _page(request: Mapping[str, Any]) -> str:
    """Return the client of a request: in JupyterLab and Notebook 7 each load of a page is another client.

    Two requests of one client come from one page, which shows the output of both.
    """
    return str(request.get("header", {}).get("session"))
