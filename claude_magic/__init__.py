"""Claude Code inside Jupyter.

`%load_ext claude_magic` gives a kernel `%%claude`; `claude_magic.sdk` is the async client underneath. Importing this module
imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from claude_magic.kernel.asking import ask, current_session
    from claude_magic.kernel.values import for_type
    from claude_magic.sdk.cassettes import cassette

__all__ = ["ask", "cassette", "current_session", "for_type", "load_ipython_extension", "unload_ipython_extension"]

__version__ = "0.1.0"

_HOMES = {
    "ask": "kernel.asking",
    "cassette": "sdk.cassettes",
    "current_session": "kernel.asking",
    "for_type": "kernel.values",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the extension; `%load_ext claude_magic` calls this."""
    from claude_magic.kernel import extension

    extension.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Unload it: `%unload_ext claude_magic` calls this."""
    from claude_magic.kernel import extension

    extension.unload(shell)
