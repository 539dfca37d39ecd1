"""The findings of a trial: its arms (ways), how two differ, rows where they disagree, and the best arm.

Contains only data and what can be computed from it. numpy is imported when needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean
from typing import Any, Final

from claude_magic.sdk._rows.work import Template

CONFIDENCE: Final = 0.95

RESAMPLES: Final = 10_000

MANY: Final = 500
"""From this number of values on, the mean is taken as normally distributed, without a bootstrap."""

_SEED: Final = 20_260_101


@dataclass(frozen=True, slots=True)
class ArmResult:
    """The result of one variant with one model. `low` and `high` bound the mean at 95 %; costs and times are means per row."""

    variant: str
    model: str | None
    mean: float | None
    low: float | None
    high: float | None
    n: int
    """The number of replies with a score; without scores, the number of replies."""
    errors: int
    cost_usd: float | None
    duration_s: float | None
    label: str


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher `one` scores than `other` on the same rows: the mean difference and its interval.

    The intervals of all pairs hold together at 95 %. `is_told` is true if the difference is more than noise.
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
        """Compare two arms by row, in one of `pairs` comparisons; `None` if they share no row."""
        found = [scores[row] - other_scores[row] for row in sorted(scores.keys() & other_scores.keys())]
        if not found:
            return None
        alpha = (1 - CONFIDENCE) / pairs
        low, high = mean_interval(found, 1 - alpha) or (None, None)
        # With few rows, a bootstrap interval is too narrow. So at least as many rows must differ as a sign test needs
        # if all of them favour one arm.
        enough = sum(map(bool, found)) >= 1 + math.log2(1 / alpha)
        is_told = low is not None and high is not None and enough and not low <= 0 <= high
        return cls(one, other, fmean(found), low, high, len(found), is_told)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row with different replies.

    `spread` is the largest score minus the smallest; without scores, the number of different replies minus one.
    """

    row: int
    content: Any
    spread: float
    replies: dict[str, Any]
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Best:
    """The arm with the highest score.

    To use it for a row: `ask(best.prompt(row), **best.options)`. For all rows of a DataFrame:
    `ask_each(best.template, df.assign(**best.variant), **best.options)`.
    """

    label: str
    variant: Mapping[str, object]
    model: str | None
    system: str | None
    template: str
    bare: bool
    schema: object = None
    """The type or JSON schema of each reply, if one was given."""

    def prompt(self, row: Any) -> str:
        """Return the prompt for a row.

        :raises ConfigError: if the row does not fill the template.
        """
        return Template(self.template).fill(row, self.variant)

    @property
    def options(self) -> dict[str, Any]:
        """Its model, system, schema and bare as parameters of `ask()` and `ask_each()`, which differ in their defaults."""
        chosen = {"model": self.model, "system": self.system, "bare": self.bare, "schema": self.schema}
        return {name: value for name, value in chosen.items() if value or name == "bare"}


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Return the mean's interval, deterministic: percentile bootstrap below `MANY` values, `None` below two."""
    return _interval(tuple(values), confidence) if len(values) > 1 else None


@lru_cache(maxsize=256)
def _interval(values: tuple[float, ...], confidence: float) -> tuple[float, float]:
    import numpy as np

    sample, draw = np.asarray(values, dtype=float), np.random.default_rng(_SEED)
    if len(sample) >= MANY:
        spread = NormalDist(float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(len(sample)) or 1e-300)
        return spread.inv_cdf((1 - confidence) / 2), spread.inv_cdf((1 + confidence) / 2)
    means = sample[draw.integers(len(sample), size=(RESAMPLES, len(sample)), dtype=np.int32)].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
