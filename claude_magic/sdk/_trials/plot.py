"""Plots the means of a trial. matplotlib is imported when needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claude_magic.errors import ConfigError


def draw_means(means: Sequence[tuple[str, float | None, float | None, float | None]]) -> Any:
    """Draw a mean with its interval for each label, the first one on top, and return the axes.

    :raises ConfigError: if matplotlib is not installed, or there is no mean.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ConfigError(
            "A plot needs matplotlib, which is not installed here.", next_step="pip install matplotlib"
        ) from error
    drawn = [(label, mean, low, high) for label, mean, low, high in means if mean is not None][::-1]
    if not drawn:
        raise ConfigError("No reply has a score: there is nothing to plot.", next_step="Give a score.")
    _, axes = pyplot.subplots(figsize=(5, 0.8 + 0.35 * len(drawn)), layout="constrained")
    centres = [mean for _, mean, _, _ in drawn]
    below = [mean - (mean if low is None else low) for _, mean, low, _ in drawn]
    above = [(mean if high is None else high) - mean for _, mean, _, high in drawn]
    axes.errorbar(centres, range(len(drawn)), xerr=[below, above], fmt="o", capsize=3)
    axes.set_yticks(range(len(drawn)), [label for label, *_ in drawn])
    axes.set_ylim(-0.5, len(drawn) - 0.5)
    axes.set_xlabel("mean score, with its 95 % interval")
    return axes
