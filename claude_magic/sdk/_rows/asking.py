"""Who asks rows: what a run wants of them, and those that ask on this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from claude_magic.errors import ClaudeError
from claude_magic.sdk._rows.checkpoint import Answer
from claude_magic.sdk._rows.workers import Worker


@dataclass(frozen=True, slots=True)
class Again:
    """A row came to no answer through no fault of its own, and can be asked again. `error` is what it is if it cannot."""

    error: ClaudeError


Reply = Answer | ClaudeError | Again

Settle = Callable[[int, Reply], Awaitable[None]]
"""Takes the place of a prompt among those that were given, and what came of it."""


class Asker(Protocol):
    """Asks some rows at once. Several tasks may use it."""

    @property
    def room(self) -> int:
        """How many rows it wants to be given."""

    def wants_another(self) -> bool:
        """Return whether another task shall use it, too, which is counted then."""

    async def ask(self, prompts: Sequence[str], model: str | None, settle: Settle) -> None:
        """Send these prompts to a model, and settle each; what is not settled when it returns, or fails, was not sent.

        :raises ClaudeError: when it can ask no more rows.
        """

    async def aclose(self) -> None:
        """End what it has started."""


class OneWorker:
    """One worker of this process at a time, for each model that it has prompts for.

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
