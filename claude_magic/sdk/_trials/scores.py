"""The score of one reply: the result of the person's function, as a number.

An exception, or a result that is not a number, becomes an error instead of the score.
"""

from __future__ import annotations

import inspect
import math
import numbers
import reprlib
from collections.abc import Callable
from typing import Any

from claude_magic.errors import ScoreError


def score_of(function: Callable[[Any, Any], object], row: Any, reply: Any) -> float | ScoreError:
    """Return the score of a reply to a row, or the reason why it has none."""
    try:
        given = function(row, reply)
    except Exception as error:  # noqa: BLE001 - the function is the person's own, and may raise anything
        failure = ScoreError(f"The score raised {type(error).__name__}: {error}.")
        failure.__cause__ = error
        return failure
    if inspect.iscoroutine(given):
        given.close()
        return ScoreError("The score is a coroutine; give a function that returns the number itself.")
    # Convert numbers and bools of numpy to Python's.
    value = given.item() if getattr(given, "shape", None) == () and hasattr(given, "item") else given
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        return ScoreError(f"The score is {reprlib.repr(given)}, which is not a number.")
    return float(value)
