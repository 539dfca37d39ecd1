"""One display in the notebook that can be updated; it shows a reply or a panel."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from claude_magic._characters import strip_controls


def as_shown(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bundle as the page shows it best. VS Code does not typeset formulas in HTML, so they are MathML there."""
    if "text/html" not in bundle or not _in_vs_code():
        return dict(bundle)
    from claude_magic._render.parts.mathml import with_mathml  # rarely needed

    return {**bundle, "text/html": with_mathml(bundle["text/html"])}


def _in_vs_code() -> bool:
    return "__vsc_ipynb_file__" in InteractiveShell.instance().user_ns


class Place:
    """A display that keeps the publisher which it began with.

    IPython's own `DisplayHandle` looks the publisher up each time. That may be another one by the time a reply settles:
    `%%capture` replaces it for a while, for all threads, and would capture the reply of another thread.
    """

    def __init__(self) -> None:
        self._publisher: Any = InteractiveShell.instance().display_pub
        self._display_id = uuid.uuid4().hex
        self._metadata: dict[str, Any] = {}
        self.is_shown = False
        """Whether something was displayed here."""

    def show(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        """Display a bundle. If something was displayed here before, replace it.

        In VS Code an update that changes the metadata removes every other output of the cell (vscode #181369). There the
        first metadata comes with a new display, and later metadata is ignored.
        """
        changed, update = dict(metadata or {}), self.is_shown
        if update and changed != self._metadata and _in_vs_code():
            if self._metadata:
                changed = self._metadata
            else:
                self._publish({"text/plain": ""}, update=True)
                self._display_id, update = uuid.uuid4().hex, False
        self._metadata, self.is_shown = changed, True
        self._publish(bundle, update=update)

    def _publish(self, bundle: Mapping[str, Any], *, update: bool) -> None:
        transient = {"display_id": self._display_id}
        shown = as_shown(bundle)
        if "text/plain" in shown:  # a terminal would obey control sequences, also when it prints the saved notebook
            shown["text/plain"] = strip_controls(shown["text/plain"])
        self._publisher.publish(shown, dict(self._metadata), transient=transient, update=update)
