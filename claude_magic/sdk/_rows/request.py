"""A request to run one prompt over many rows, and the ways in which each row is sent."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from claude_magic.errors import ConfigError
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.schema import Schema

CONCURRENCY: Final = 4
"""How many rows run at once by default."""

OnError = Literal["return", "raise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRequest:
    """One prompt for many rows, and the limits of the run.

    `options` apply to every row, `timeout_s` limits one. `budget_usd` limits the whole run, in US dollars. `concurrency` is how
    many rows run at once: here, or in each worker process of `executor`, which may be a client of Dask.

    :raises ConfigError: if a value is not valid.
    """

    template: str
    rows: object
    options: TurnOptions = field(default_factory=lambda: TurnOptions(bare=True))
    schema: Schema | None = None
    timeout_s: float | None = None
    concurrency: int = CONCURRENCY
    executor: Executor | Any = None
    checkpoint: str | os.PathLike[str] | None = None
    budget_usd: float | None = None
    max_retries: int = 3
    on_error: OnError = "return"

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("max_retries", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number, at least {least}.")
        if self.budget_usd is not None and not self.budget_usd > 0:
            raise ConfigError(f"budget_usd is {self.budget_usd}; it must be more than 0.")
        if self.on_error not in ("return", "raise"):
            raise ConfigError(f"on_error {self.on_error!r} is neither 'return' nor 'raise'.")
        if not isinstance(self.template, str):
            raise ConfigError(f"The template must be a text, not of type {type(self.template).__name__}.")


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to send a row: the values of a variant, by name, and a model; `None` is the default model."""

    variant: Mapping[str, object] = field(default_factory=dict)
    model: str | None = None

    @property
    def variant_label(self) -> str:
        """The variant's name for a reader."""
        return ", ".join(map(str, self.variant.values()))

    @property
    def label(self) -> str:
        """The arm's name for a reader: `formal, sonnet`."""
        return ", ".join(filter(None, (self.variant_label, self.model)))


ONE_ARM = (Arm(),)
"""The arms of a run that compares nothing."""


def rules_of(tools: Iterable[str]) -> tuple[str, ...] | None:
    """Return rules for tools as `TurnOptions.allowed_tools`; what is no text, such as a function, raises `ConfigError`."""
    rules = (tools,) if isinstance(tools, str) else tuple(tools)
    if wrong := [rule for rule in rules if not isinstance(rule, str)]:
        raise ConfigError(
            f"tools holds {reprlib.repr(wrong[0])}, which is not a rule.",
            next_step="Give rules, such as WebSearch: rows cannot call functions of yours, other turns can; nothing was sent.",
        )
    return rules or None
