"""One row of the table of options: names, values, help, and its counterparts in `%config` and `ask()`.

The kinds of values say how a word in a cell is parsed, and which values code may pass to `ask()`. An invalid word raises an
`ArgumentTypeError` that says what is valid.
"""

from __future__ import annotations

import argparse
import keyword
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self

from traitlets import TraitType

from claude_magic._kernel.advice import closest

MAX_ALTERNATIVES = 8
"""The most alternatives of one comparison: each needs a process of about 220 MB."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of an option's values.

    `parse` reads a value from a word; without it the option has no value. For parameters of `ask()`, `fits` says whether a
    value is valid, and `meant` names the valid values. `default` is the value of an option that is not given.
    """

    parse: Callable[[str], object] | None
    fits: Callable[[object], bool] = lambda value: False
    meant: str = ""
    default: object = None


def one_of(values: tuple[str, ...]) -> Kind:
    """Return the kind whose values are only these words; `TurnOptions` checks the values that code passes."""

    def parse(text: str) -> str:
        if text not in values:
            close = closest(text, values)
            hint = f"; did you mean {close}?" if close else ""
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(values)}{hint}")
        return text

    return Kind(parse, _is_text, _A_TEXT)


def _amount(meant: str, text: str) -> float:
    try:
        number = float(text.removeprefix("$"))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not {meant}")
    return number


def _number(meant: str, least: int, most: float, text: str) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {meant}")
    return int(text)


_count = partial(_number, "a whole number of at least 1, such as 5", 1, math.inf)


def _models(text: str) -> tuple[str, ...]:
    models = tuple(model.strip() for model in text.split(","))
    if len(models) < 2 or not all(models) or len(set(models)) < len(models):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of different models without spaces, such as sonnet,opus")
    return models


# A value in quotes may contain commas.
_VALUE = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,"'][^,]*?))\s*(?:,|$)""")


def _variants(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, rest = text.partition("=")
    values: list[str] = []
    end = 0
    while end < len(rest) and (value := _VALUE.match(rest, end)):
        values.append(next(part for part in value.groups() if part is not None))
        end = value.end()
    if not name.isidentifier() or not equals or end < len(rest) or rest.endswith(",") or len(set(values)) < max(2, len(values)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name and different values, such as tone=formal,plain; put a value with a comma in quotes"
        )
    return name, tuple(values)


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a variable name, such as reply")
    return text


def _function(text: str) -> str:
    for part in text.split("."):
        if not part.isidentifier() or keyword.iskeyword(part):
            raise argparse.ArgumentTypeError(f"{text!r} is not the name of a function, such as load_prices")
    return text


def _new_variable(text: str) -> str:
    """Return a valid name of a variable that IPython does not need itself."""
    if text in ("get_ipython", "In", "Out", "exit", "quit"):
        raise argparse.ArgumentTypeError(f"{text!r} is IPython's own; choose another name, such as reply")
    return _variable(text)


def _filled(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty")
    return text


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


_A_TEXT = "a text that is not empty"

FLAG = Kind(None, lambda value: isinstance(value, bool), "True or False", default=False)
TEXT = Kind(_filled, _is_text, _A_TEXT)
TYPE = Kind(_filled, lambda value: True, "a type or a JSON schema")
TURN = Kind(_count, _is_whole, "the number of a turn")
COUNT = Kind(_count, _is_whole, "a whole number of at least 1")
SECONDS = Kind(partial(_amount, "a number of seconds, such as 60"), _is_amount, "a number of seconds above 0")
DOLLARS = Kind(partial(_amount, "an amount in US dollars, such as 0.50"), _is_amount, "an amount in US dollars above 0")
SAMPLES = Kind(partial(_number, f"a number from 2 to {MAX_ALTERNATIVES}", 2, MAX_ALTERNATIVES))
MODEL_LIST = Kind(_models, default=())
VARIABLE = Kind(_variable)
VARIANTS = Kind(_variants)
FUNCTION = Kind(_function, callable, "a function or a list of functions")
NEW_VARIABLE = Kind(_new_variable)

LIMITS = (COUNT, SECONDS, DOLLARS)
"""Kinds for which `None` means: no limit."""


class Described(str):
    """A word that Tab offers, with its meaning, which some frontends show beside it."""

    about: str

    def __new__(cls, word: str, about: str) -> Self:
        described = super().__new__(cls, word)
        described.about = about
        return described


Known = Literal["variables", "functions", "types", "sessions", "turn_numbers", "models", "styles"]
"""What a kernel knows for Tab; for each, `completion` has types of variables, or a method of that name in `KernelNames`."""

Offers = Known | tuple[str, ...]
"""What Tab offers after an option, or after a word of `%claude_session`: what the kernel knows, or always the same words."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `%%claude`; `name` is its field in `Options`.

    `value` is the name of its value in the help; if it ends with `...`, the option takes several. `sample` is an example of a
    value. `offers` is what Tab offers as the value; without it Tab offers options. `trait` is its default in
    `%config ClaudeMagics`. `sets` is the field of `TurnOptions` that it sets. `in_ask` says whether `ask()` takes it; a string
    is the parameter's name.
    """

    help: str
    value: str = ""
    sample: str = ""
    kind: Kind = FLAG
    short: str = ""
    offers: Offers | None = None
    trait: TraitType[Any, Any] | None = None
    sets: str | None = None
    in_ask: bool | str = False
    name: str = ""

    def as_field(self) -> Any:
        """Return the field of a dataclass that holds what was chosen, with this option in the metadata."""
        return field(default=self.default, metadata={"option": self})

    @property
    def names(self) -> tuple[str, ...]:
        """How its name is typed: the short form, if there is one, and the long form."""
        long = f"--{self.name.replace('_', '-')}"
        return (self.short, long) if self.short else (long,)

    @property
    def example(self) -> str:
        """An example of how it is typed."""
        return f"{self.names[-1]} {self.sample}".rstrip()

    @property
    def setting(self) -> str:
        """The name of its trait: the name of its parameter of `ask()` if `in_ask` gives one, else `name`."""
        return self.in_ask if isinstance(self.in_ask, str) else self.name

    @property
    def parameter(self) -> str | None:
        """The name of its parameter of `ask()`; `None` if it has none."""
        return self.setting if self.in_ask else None

    @property
    def default(self) -> object:
        """Its value if it is not given."""
        return () if self.several else self.kind.default

    @property
    def several(self) -> bool:
        """Whether it takes several values."""
        return self.value.endswith("...")

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"{', '.join(self.names)} {self.value}".rstrip()
