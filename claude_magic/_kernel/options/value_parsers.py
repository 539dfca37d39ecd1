"""Values of options: from a word to what it means, or an `ArgumentTypeError` that says what was meant."""

from __future__ import annotations

import argparse
import difflib
import keyword
import math
from collections.abc import Callable

MAX_ALTERNATIVES = 8
"""Of one comparison: each takes a process of about 220 MB."""


def seconds(text: str) -> float:
    """Return a positive number of seconds."""
    return _number(text, "a number of seconds, such as 60")


def dollars(text: str) -> float:
    """Return a positive amount in US dollars."""
    return _number(text, "an amount in US dollars, such as 0.50")


def _number(text: str, meant: str) -> float:
    try:
        number = float(text.removeprefix("$"))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not {meant}")
    return number


def samples(text: str) -> int:
    """Return how many samples are asked for."""
    if not text.isdecimal() or int(text) not in range(2, MAX_ALTERNATIVES + 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 2 to {MAX_ALTERNATIVES}")
    return int(text)


def models(text: str) -> tuple[str, ...]:
    """Return the names of a list divided by commas."""
    models = tuple(model.strip() for model in text.split(","))
    if len(models) < 2 or not all(models) or len(set(models)) < len(models):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of different models without spaces, such as sonnet,opus")
    return models


def count(text: str) -> int:
    """Return a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on, such as 5")
    return int(text)


def variable(text: str) -> str:
    """Return a name that a variable can have."""
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a variable name, such as reply")
    return text


def new_variable(text: str) -> str:
    """Return a name that a variable can have, and that IPython does not need itself."""
    if text in ("get_ipython", "In", "Out", "exit", "quit"):
        raise argparse.ArgumentTypeError(f"{text!r} is IPython's own; choose another name, such as reply")
    return variable(text)


def one_of(values: tuple[str, ...]) -> Callable[[str], str]:
    """Return a function that takes one of these words only."""

    def parse(text: str) -> str:
        if text not in values:
            close = difflib.get_close_matches(text, values, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(values)}{hint}")
        return text

    return parse


def filled(text: str) -> str:
    """Return a text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty")
    return text
