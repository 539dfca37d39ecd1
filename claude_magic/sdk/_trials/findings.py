"""What there is to say of a trial: its arms, how two of them differ, a row where they disagree, and the best.

Only data, and what follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from claude_magic.sdk._rows.work import Template
from claude_magic.sdk._trials.intervals import CONFIDENCE, mean_interval


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What one variant with one model came to. `low` and `high` bound the mean at 95 %; costs and seconds are of a row."""

    variant: str
    model: str | None
    mean: float | None
    low: float | None
    high: float | None
    n: int
    """Replies with a score, or replies, where there is no score."""
    errors: int
    cost_usd: float | None
    duration_s: float | None
    label: str


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher one scores than another one on the same rows: the mean, and an interval.

    The intervals of all pairs hold together at 95 %. `is_told` says whether it is more than noise.
    """

    one: str
    other: str
    difference: float
    low: float | None
    high: float | None
    n: int
    is_told: bool

    @classmethod
    def of(
        cls, one: str, other: str, scores: Mapping[int, float], other_scores: Mapping[int, float], *, pairs: int
    ) -> Difference | None:
        """Compare the scores of two by row; `None` where they share no row.

        :param pairs: how many comparisons there are in all.
        """
        found = [scores[row] - other_scores[row] for row in sorted(scores.keys() & other_scores.keys())]
        if not found:
            return None
        alpha = (1 - CONFIDENCE) / pairs
        low, high = mean_interval(found, 1 - alpha) or (None, None)
        # A bootstrap believes a few rows too much: of so few that all differ the same way, chance may do that.
        enough = sum(map(bool, found)) >= 1 + math.log2(1 / alpha)
        is_told = low is not None and high is not None and enough and not low <= 0 <= high
        return cls(one, other, fmean(found), low, high, len(found), is_told)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row that was answered differently.

    `spread` is the largest score less the smallest; without scores, how many other replies there are.
    """

    row: int
    content: Any
    spread: float
    replies: dict[str, Any]
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Best:
    """The way to ask that scores highest, to go on with: `ask(best.prompt(row), **best.options)`."""

    label: str
    variant: Mapping[str, object]
    model: str | None
    system: str | None
    template: str
    bare: bool

    def prompt(self, row: Any) -> str:
        """Return what is asked of a row.

        :raises ConfigError: when the row does not fill the template.
        """
        return Template(self.template).fill(row, self.variant)

    @property
    def options(self) -> dict[str, Any]:
        """How it is asked, as options of `ask()`: model, system and bare, where they were chosen."""
        chosen = {"model": self.model, "system": self.system, "bare": self.bare}
        return {name: value for name, value in chosen.items() if value}
