"""The size of a session's request, by part, as the CLI counts it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio

from claude_magic.sdk.host import ContextPart

LIMIT_S: Final = 3.0
"""How long the CLI may take to answer."""


async def context_parts(ask: Callable[[], Awaitable[Any]]) -> tuple[ContextPart, ...]:
    """Return the parts of a request with their sizes; nothing if the CLI refuses or does not answer soon.

    The CLI (2.1.332) lets the API count the tokens, with one request for each tool.

    :param ask: gets the sizes from the CLI.
    """
    usage: Any = {}
    with anyio.move_on_after(LIMIT_S):
        try:
            usage = await ask()
        except Exception:  # noqa: BLE001 - the SDK raises plain Exception for what the CLI refuses
            return ()
    parts = usage.get("categories", ())
    return tuple(ContextPart(part["name"], part["tokens"]) for part in parts if part.get("kind") == "used")
