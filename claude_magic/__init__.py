"""Claude Code inside Jupyter.

`%load_ext claude_magic` gives a kernel `%%claude`; `claude_magic.sdk` is the async client underneath. Importing this module
imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the extension; `%load_ext claude_magic` calls this."""
    from claude_magic.kernel import extension

    extension.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Unload it: `%unload_ext claude_magic` calls this."""
    from claude_magic.kernel import extension

    extension.unload(shell)
