"""The interface through which a run sends rows to Claude, and its implementation for this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from claude_magic.errors import ClaudeError
from claude_magic.sdk._rows.checkpoint import Answer
from claude_magic.sdk._rows.workers import Worker


@dataclass(frozen=True, slots=True)
class Again:
    """A row got no answer for a reason outside it, and can be tried again. `error` is used if it cannot."""

    error: ClaudeError


Reply = Answer | ClaudeError | Again

Settle = Callable[[int, Reply], Awaitable[None]]
"""Called with the position of a prompt among those given, and its reply."""


class Asker(Protocol):
    """Sends some rows at once. Several tasks may use it."""

    @property
    def room(self) -> int:
        """How many rows it can be given at once."""

    def wants_another(self) -> bool:
        """Return whether another task should use it as well. That task is then counted."""

    async def ask(self, prompts: Sequence[str], model: str | None, settle: Settle) -> None:
        """Send these prompts to a model, and settle each. A prompt that is not settled when this returns or fails was not sent.

        :raises ClaudeError: if it can send no more rows.
        """

    async def aclose(self) -> None:
        """Close everything that it has started."""


class OneWorker:
    """One worker in this process for each model that it gets prompts for.

    :param make: makes a worker for a model.
    """

    room = 1

    def __init__(self, make: Callable[[str | None], Worker]) -> None:
        self._make = make
        self._workers: dict[str | None, Worker] = {}

    def wants_another(self) -> bool:
        return False

    async def ask(self, prompts: Sequence[str], model: str | None, settle: Settle) -> None:
        if model not in self._workers:
            self._workers[model] = self._make(model)
        for place, prompt in enumerate(prompts):
            try:
                reply: Reply = await self._workers[model].ask(prompt)
            except ClaudeError as error:
                reply = error
            await settle(place, reply)

    async def aclose(self) -> None:
        for worker in self._workers.values():
            await worker.aclose()
