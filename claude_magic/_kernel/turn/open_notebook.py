"""A warning when Claude wants to edit the file of this notebook: the open page does not show it, and overwrites it on save."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from claude_magic._kernel.state.notebook_file import notebook_path
from claude_magic.sdk._gate.paths import paths_of, resolved
from claude_magic.sdk._gate.tool_list import EDITING
from claude_magic.sdk.host import PermissionRequest, Suggestion

_WARNING: Final = (
    "This notebook is open here. The page does not show what is written into its file, and overwrites it when it is saved."
)
_INSTEAD: Final = Suggestion(
    "Ask for a new cell instead",
    "The user has this notebook open in the browser: the page would not show the change, and would overwrite it. Use the "
    "tool add_cell of the kernel, which puts code into a new cell below for the user to review.",
)


def warned(request: PermissionRequest, namespace: Mapping[str, Any], *, adds_cells: bool) -> PermissionRequest:
    """Return the request; if it edits this kernel's notebook, with a warning and a suggestion to add a cell instead.

    :param namespace: the person's namespace; VS Code puts the notebook's path there.
    :param adds_cells: whether Claude can add cells; without it there is no suggestion.
    """
    path = notebook_path(namespace) if request.tool in EDITING else None
    edited = (resolved(name, request.directory) for name in paths_of(request.tool, request.input))
    if path is None or os.path.realpath(path) not in edited:
        return request
    return replace(request, warning=_WARNING, instead=_INSTEAD if adds_cells else None)
