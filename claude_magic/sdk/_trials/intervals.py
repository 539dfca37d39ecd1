"""What a mean can be told to, from a sample: bootstrap intervals that are the same each time.

Knows numbers alone. numpy is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from claude_magic.errors import ConfigError

CONFIDENCE: Final = 0.95

RESAMPLES: Final = 10_000

_AT_ONCE: Final = 2_000_000
"""How many numbers are drawn at once: 16 MB."""

_SEED: Final = 20_260_101


def check_numpy() -> None:
    """Refuse to go on without numpy.

    :raises ConfigError: where it is not installed.
    """
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "Scores need numpy, which is not installed here.", next_step="pip install numpy; nothing was sent."
        ) from error


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of the mean, the same for the same values; `None` for fewer than two."""
    if len(values) < 2:
        return None
    import numpy as np

    sample, draw = np.asarray(values, dtype=float), np.random.default_rng(_SEED)
    chunk = max(1, _AT_ONCE // len(sample))
    counts = [min(chunk, RESAMPLES - done) for done in range(0, RESAMPLES, chunk)]
    means = np.concatenate([sample[draw.integers(len(sample), size=(count, len(sample)))].mean(axis=1) for count in counts])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
