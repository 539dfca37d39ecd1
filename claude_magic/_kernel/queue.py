"""The items that the background thread sends to the cell: events, and questions and tool calls with a future for the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, TypeVar

from claude_magic.sdk.events import Event
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest, ToolResult

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """A permission request that waits for the person. The future is cancelled when nobody needs the answer any more."""

    request: PermissionRequest
    answer: Future[PermissionAnswer] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Errand:
    """A tool call that waits for the main thread to run it."""

    tool: str
    arguments: dict[str, Any]
    result: Future[ToolResult] = field(default_factory=Future)


Item = Event | Question | Errand
Numbered = tuple[int, Item]
"""An item, and the number of its turn among those of the cell, from 0."""


class QueueHost:
    """The host of a turn in a cell, on the background thread.

    :param number: of the turn among those of its cell, from 0.
    :param put: puts an item into the cell's stream.
    """

    def __init__(self, number: int, put: Callable[[Numbered], None]) -> None:
        self._number = number
        self._put = put

    def emit(self, event: Event) -> None:
        """Send an event to the cell."""
        self._put((self._number, event))

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        """Send a question to the cell and wait for the answer."""
        question = Question(request)
        self._put((self._number, question))
        return await asyncio.wrap_future(question.answer)

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Send a tool call to the cell and wait for its result."""
        errand = Errand(tool, arguments)
        self._put((self._number, errand))
        return await asyncio.wrap_future(errand.result)


def deliver(future: Future[T], result: T) -> None:
    """Set the result that the background thread waits for, unless the turn has ended in the meantime."""
    with contextlib.suppress(InvalidStateError):
        future.set_result(result)
