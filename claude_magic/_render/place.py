"""One display in the notebook, which can be updated: where a reply stands, or a panel."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from IPython.core.interactiveshell import InteractiveShell


class Place:
    """A display that stays with the publisher that it began with. VS Code typesets no HTML: formulas are MathML there.

    IPython's own `DisplayHandle` asks for the publisher each time. By the time that a reply settles it may be another one:
    `%%capture` puts its own there for a while, for all threads, and would keep the reply of a thread to itself.
    """

    def __init__(self) -> None:
        shell = InteractiveShell.instance()
        self._publisher: Any = shell.display_pub
        self._typesets_html = "__vsc_ipynb_file__" not in shell.user_ns
        self._display_id = uuid.uuid4().hex

    def display(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        """Display it for the first time."""
        self._publish(bundle, metadata, update=False)

    def update(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        """Put something else in its place."""
        self._publish(bundle, metadata, update=True)

    def _publish(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any] | None, *, update: bool) -> None:
        if not self._typesets_html and "text/html" in bundle:
            # Imported here: hardly anybody needs it.
            from claude_magic._render.parts.mathml import with_mathml

            bundle = {**bundle, "text/html": with_mathml(bundle["text/html"])}
        transient = {"display_id": self._display_id}
        self._publisher.publish(dict(bundle), dict(metadata or {}), transient=transient, update=update)
