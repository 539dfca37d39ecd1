"""What a run has come to and what holds it back: its progress, its budget, and an API that has too much to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import anyio

from claude_magic.sdk._rows.results import RowOutcome

PROJECT_FROM_ROWS: Final = 20
"""After how many answered rows the cost of the whole is told."""


@dataclass(slots=True)
class Progress:
    """How far a run is."""

    total: int | None = None
    done: int = 0
    failed: int = 0
    kept: int = 0
    """Rows that the checkpoint answered."""
    asked: int = 0
    """Rows that were answered or refused in this run."""
    cost_usd: float = 0.0

    def add(self, outcome: RowOutcome) -> None:
        """Count a row."""
        self.done += 1
        self.failed += outcome.error is not None
        self.kept += outcome.from_checkpoint
        if outcome.asked and not outcome.from_checkpoint:
            self.asked += 1
            self.cost_usd += outcome.cost_usd

    @property
    def projected_usd(self) -> float | None:
        """What the run will cost in all, as far as can be told; `None` before enough rows have been answered."""
        if self.total is None or self.asked < min(PROJECT_FROM_ROWS, self.total):
            return None
        return self.cost_usd / self.asked * (self.total - self.kept) if self.asked else 0.0


@dataclass(slots=True)
class Purse:
    """The budget of a run: a row begins only when the dearest row so far would still fit in."""

    budget_usd: float | None
    spent_usd: float = 0.0
    dearest_usd: float | None = None
    under_way: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self) -> bool:
        """Wait until it is known whether one more row fits in, and return that."""
        async with self.changed:
            while not self.take_now():
                if self.under_way == 0:
                    return False
                await self.changed.wait()
        return True

    def take_now(self) -> bool:
        """Return whether one more row fits in, whatever those under way will have cost."""
        if not self._fits():
            return False
        self.under_way += 1
        return True

    async def pay(self, cost_usd: float) -> None:
        """Take note of what a row has cost."""
        async with self.changed:
            self.under_way -= 1
            self.spent_usd += cost_usd
            self.dearest_usd = max(cost_usd, self.dearest_usd or 0.0)
            self.changed.notify_all()

    async def give_back(self) -> None:
        """Take note that a row was not answered."""
        async with self.changed:
            self.under_way -= 1
            self.changed.notify_all()

    def _fits(self) -> bool:
        if self.budget_usd is None:
            return True
        if self.dearest_usd is None:  # the first row goes alone: it tells what a row costs
            return self.under_way == 0 and self.spent_usd < self.budget_usd
        # A millionth for what binary fractions cannot say.
        return self.spent_usd + (self.under_way + 1) * self.dearest_usd <= self.budget_usd * (1 + 1e-6)


class Brake:
    """What makes all workers wait together, when the API has told one of them to.

    :param clock: seconds, from wherever.
    """

    def __init__(self, clock: Callable[[], float] = anyio.current_time) -> None:
        self._clock = clock
        self._until = -float("inf")

    def hold(self, delay_s: float) -> None:
        """Let nothing begin for so many seconds."""
        self._until = max(self._until, self._clock() + delay_s)

    @property
    def left_s(self) -> float:
        """How long nothing may begin."""
        return max(0.0, self._until - self._clock())

    async def wait(self) -> None:
        """Return when something may begin."""
        while (left_s := self.left_s) > 0:  # noqa: ASYNC110 - another one may hold it for longer meanwhile
            await asyncio.sleep(left_s)
