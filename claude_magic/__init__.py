"""Claude Code inside Jupyter.

`%load_ext claude_magic` adds `%%claude` to a kernel. `claude_magic.sdk` is the async client below it. Importing this module is
fast: IPython and the SDK are imported when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from claude_magic._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from claude_magic._kernel.ask import ask, current_session
    from claude_magic._kernel.rows import ask_each
    from claude_magic._kernel.values.shown_value import for_type
    from claude_magic.sdk._cassette.cassette import cassette
    from claude_magic.sdk._tools.function_tool import only_reads

__all__ = [
    "__version__",
    "ask",
    "ask_each",
    "cassette",
    "current_session",
    "for_type",
    "load_ipython_extension",
    "only_reads",
    "unload_ipython_extension",
]

_HOMES = {
    "ask": "_kernel.ask",
    "ask_each": "_kernel.rows",
    "cassette": "sdk._cassette.cassette",
    "current_session": "_kernel.ask",
    "for_type": "_kernel.values.shown_value",
    "only_reads": "sdk._tools.function_tool",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the extension: `%load_ext claude_magic` calls this."""
    from claude_magic._kernel import extension

    extension.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Unload the extension: `%unload_ext claude_magic` calls this."""
    from claude_magic._kernel import extension

    extension.unload(shell)
