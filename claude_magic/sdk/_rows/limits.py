"""The limits of a run: its progress, its budget, and pauses when the API is overloaded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import anyio

from claude_magic.sdk._rows.results import RowOutcome

PROJECT_FROM_ROWS: Final = 20
"""The number of answered rows after which the total cost is estimated."""


@dataclass(slots=True)
class Progress:
    """The progress of a run."""

    total: int | None = None
    done: int = 0
    failed: int = 0
    kept: int = 0
    """Rows that the checkpoint answered."""
    asked: int = 0
    """Rows that were sent in this run, and were answered or failed."""
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
        """The estimated total cost of the run; `None` until enough rows have been answered."""
        if self.total is None or self.asked < min(PROJECT_FROM_ROWS, self.total):
            return None
        return self.cost_usd / self.asked * (self.total - self.kept) if self.asked else 0.0


@dataclass(slots=True)
class Purse:
    """The budget of a run. A row starts only if what is left covers the cost of the dearest row so far."""

    budget_usd: float | None
    spent_usd: float = 0.0
    dearest_usd: float | None = None
    under_way: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self) -> bool:
        """Reserve the cost of one row; if it does not fit, wait for rows under way. Return whether it fits in the end."""
        async with self.changed:
            while not self.take_now():
                if self.under_way == 0:
                    return False
                await self.changed.wait()
        return True

    def take_now(self) -> bool:
        """Reserve the cost of one row if it fits beside all rows under way; return whether it does."""
        if not self._fits():
            return False
        self.under_way += 1
        return True

    async def pay(self, cost_usd: float) -> None:
        """Replace a reservation by the cost of the row."""
        async with self.changed:
            self.under_way -= 1
            self.spent_usd += cost_usd
            self.dearest_usd = max(cost_usd, self.dearest_usd or 0.0)
            self.changed.notify_all()

    async def give_back(self) -> None:
        """Cancel a reservation, as the row was not answered."""
        async with self.changed:
            self.under_way -= 1
            self.changed.notify_all()

    def _fits(self) -> bool:
        if self.budget_usd is None:
            return True
        if self.dearest_usd is None:  # the first row runs alone and shows the cost of a row
            return self.under_way == 0 and self.spent_usd < self.budget_usd
        # A millionth for rounding errors of binary fractions.
        return self.spent_usd + (self.under_way + 1) * self.dearest_usd <= self.budget_usd * (1 + 1e-6)


class Brake:
    """Makes all workers wait after the API has told one of them to wait."""

    def __init__(self) -> None:
        self._until = -float("inf")

    def hold(self, delay_s: float) -> None:
        """Let no row start for this many seconds."""
        self._until = max(self._until, anyio.current_time() + delay_s)

    @property
    def left_s(self) -> float:
        """For how long no row may start."""
        return max(0.0, self._until - anyio.current_time())

    async def wait(self) -> None:
        """Return when a row may start."""
        while (left_s := self.left_s) > 0:  # noqa: ASYNC110 - another worker may extend the pause meanwhile
            await asyncio.sleep(left_s)
