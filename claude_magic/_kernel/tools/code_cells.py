"""Put the code of a reply into the next cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from claude_magic.sdk.response import SessionAwareResponse

_REMEMBERED: Final = 200
"""The number of cells whose added code is remembered."""


def python_in(reply: SessionAwareResponse, block: int | None = None) -> str:
    """Return the Python code of a reply, or of one code block of it, counted from 1; empty if there is none."""
    blocks = reply.python_blocks if block is None else reply.python_blocks[block - 1 : block]
    return "\n\n".join(code.rstrip() for code in blocks).strip("\n")


class CodeCells:
    """What `--code` has put below the cells of one kernel.

    A kernel can add a cell, but cannot change or remove it. So a cell that runs again does not add the same code twice.
    """

    def __init__(self) -> None:
        self._put: dict[str, str] = {}

    def put(self, reply: SessionAwareResponse, cell_id: str | None, add: Callable[[str], object]) -> str:
        """Put the Python of a reply into a new cell below; return a notice, or an empty text.

        :param add: adds a cell with this code.
        """
        code = python_in(reply)
        if not code.strip():
            return "--code: there is no Python in the reply."
        before = self._put.pop(cell_id, None) if cell_id else None
        if cell_id:
            self._put[cell_id] = code
            if len(self._put) > _REMEMBERED:
                del self._put[next(iter(self._put))]
        if before == code:
            return (
                "--code: the same code as before, which is in a cell below already; %claude_session code puts it there again."
            )
        add(code)
        return "--code: the cell that was made before stays, as a kernel cannot replace it." if before else ""
