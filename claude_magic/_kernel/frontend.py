"""What the frontend of the running cell can do: widgets, questions, async cells; and the view that fits it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell

if TYPE_CHECKING:
    from claude_magic._render.views import View


class Frontend:
    """The frontend as the shell's kernel tells of it; terminal IPython has no kernel."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._kernel: Any = getattr(shell, "kernel", None)

    def view(self, labels: Sequence[str], *, quiet: bool, for_audience: bool, on_stop: Callable[[], None]) -> View:
        """Open the view that this frontend can show; call it on the main thread, in the cell.

        :param labels: of the replies, what is different about each; a single one is shown without.
        :param for_audience: whether it is shown to a room.
        """
        from claude_magic._render import views

        if quiet:
            return views.View()
        if self._kernel is None:
            from claude_magic._render.terminal import TerminalView

            return TerminalView(labels, for_audience=for_audience)
        if not self.can_answer():
            return views.StaticView(for_audience=for_audience)
        from claude_magic._render.live.live_view import LiveView

        return LiveView(labels, on_stop, for_audience=for_audience)

    @property
    def is_terminal(self) -> bool:
        """Whether this is IPython in a terminal, without a kernel."""
        return self._kernel is None

    def import_views(self) -> None:
        """Import what a cell will need; ipywidgets, Jinja2 and their like take longer than a cell should wait."""
        for name in ("_kernel.prompt.composition", "_render.terminal" if self._kernel is None else "_render.live.live_view"):
            import_module(f"claude_magic.{name}")

    def can_answer(self) -> bool:
        """Whether somebody sits there: nbclient, nbconvert and papermill say no with `allow_stdin`; a thread cannot ask."""
        if not self.on_main_thread():
            return False
        return self._kernel is None or bool(self._request().get("content", {}).get("allow_stdin"))

    def on_main_thread(self) -> bool:
        """Whether this is the thread that cells run in."""
        return threading.current_thread() is threading.main_thread()

    def is_ending(self) -> bool:
        """Whether the kernel shuts down, and only waits for threads that have not ended."""
        return bool(self.shell.exit_now) or not threading.main_thread().is_alive()

    def has_widgets(self) -> bool:
        """Whether buttons can be shown and clicked."""
        return self._kernel is not None and self.can_answer()

    def cell_id(self) -> str | None:
        """Return the notebook's ID of the running cell, as JupyterLab and Notebook 7 tell it."""
        cell_id: str | None = self._request().get("metadata", {}).get("cellId")
        return cell_id

    def runs_cells_async(self) -> bool:
        """Whether a cell may await its turn: then widgets can be clicked meanwhile (ipykernel 7)."""
        if self._kernel is None:
            return False
        # The kernel's own `implementation_version` is that of IPython.
        version = getattr(sys.modules.get("ipykernel"), "version_info", (0,))
        return self._kernel.implementation == "ipython" and version[0] >= 7

    def is_whole_cell(self, source: str) -> bool:
        """Whether this is the code that the frontend sent, and not a part that some magic hands on."""
        return str(self._request().get("content", {}).get("code", "")).strip() == source.strip()

    def forget_failed_display(self) -> None:
        """Let the cell end well although something in it, or in the one before, could not be shown."""
        # ipykernel 7.4 fails the cell for that, an async one also for the cell before it; only running code makes it forget.
        if getattr(self.shell, "_last_traceback_during_displayhook", False):
            self.shell.run_cell("", store_history=False, silent=True)

    def _request(self) -> dict[str, Any]:
        if self._kernel is None:
            return {}
        request: dict[str, Any] = self._kernel.get_parent("shell") or {}
        return request
