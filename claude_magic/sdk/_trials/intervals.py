"""Bootstrap intervals for the mean of a sample. They are the same each time.

Knows only numbers. numpy is imported when needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from claude_magic.errors import ConfigError

CONFIDENCE: Final = 0.95

RESAMPLES: Final = 10_000

MANY: Final = 500
"""From this number of values on, the mean is taken as normally distributed, without a bootstrap."""

_SEED: Final = 20_260_101


def check_numpy() -> None:
    """Check that numpy is installed.

    :raises ConfigError: if it is not.
    """
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "Scores need numpy, which is not installed here.", next_step="pip install numpy; nothing was sent."
        ) from error


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of the mean, the same for the same values; `None` for fewer than two."""
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
