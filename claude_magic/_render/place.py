"""One display in the notebook, which can be updated: where a reply stands, or a panel."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from claude_magic._characters import strip_controls


def as_shown(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bundle as the page shows it best: VS Code typesets no HTML, so formulas are MathML there."""
    if "text/html" not in bundle or not _in_vs_code():
        return dict(bundle)
    from claude_magic._render.parts.mathml import with_mathml  # hardly anybody needs it

    return {**bundle, "text/html": with_mathml(bundle["text/html"])}


def _in_vs_code() -> bool:
    return "__vsc_ipynb_file__" in InteractiveShell.instance().user_ns


class Place:
    """A display that stays with the publisher that it began with.

    IPython's own `DisplayHandle` asks for the publisher each time. By the time that a reply settles it may be another one:
    `%%capture` puts its own there for a while, for all threads, and would keep the reply of a thread to itself.
    """

    def __init__(self) -> None:
        self._publisher: Any = InteractiveShell.instance().display_pub
        self._display_id = uuid.uuid4().hex
        self._metadata: dict[str, Any] = {}
        self.is_shown = False
        """Whether something was displayed there."""

    def show(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        """Display it, in the place of what was displayed before."""
        (self.update if self.is_shown else self.display)(bundle, metadata)

    def display(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        """Display it for the first time."""
        self.is_shown = True
        self._metadata = dict(metadata or {})
        self._publish(bundle, update=False)

    def update(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        """Put something else in its place.

        In VS Code an update that changes the metadata takes away every other output of the cell (vscode #181369). There the
        first metadata comes with a new display, and stays.
        """
        changed = dict(metadata or {})
        if changed != self._metadata and _in_vs_code():
            if not self._metadata:
                self._publish({"text/plain": ""}, update=True)
                self._display_id = uuid.uuid4().hex
                self.display(bundle, changed)
                return
        else:
            self._metadata = changed
        self._publish(bundle, update=True)

    def _publish(self, bundle: Mapping[str, Any], *, update: bool) -> None:
        transient = {"display_id": self._display_id}
        shown = as_shown(bundle)
        if "text/plain" in shown:  # a terminal, or whoever prints the saved notebook there, would obey it
            shown["text/plain"] = strip_controls(shown["text/plain"])
        self._publisher.publish(shown, dict(self._metadata), transient=transient, update=update)
