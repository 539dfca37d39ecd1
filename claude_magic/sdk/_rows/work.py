"""The rows of a table, a list or any iterable, and the template that makes a prompt of each.

Rows are data: nothing in them is read as a template, a path or a command.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Final

import jinja2
from jinja2 import meta

from claude_magic.errors import ConfigError

ROW: Final = "row"
"""The name of the whole row in a template, unless a column has this name."""

_NEXT_STEP = "Name a column, such as {{ text }}, or the whole row as {{ row }}; nothing was sent."


class Template:
    """A prompt with `{{ column }}` in it.

    :raises ConfigError: if it cannot be read, or names nothing.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.columns = self.names(text)
        self._template = _environment().from_string(text)
        if not text.strip():
            raise ConfigError("The template is empty.", next_step=_NEXT_STEP)
        if not self.columns:
            raise ConfigError("The template names no column: every row would get the same prompt.", next_step=_NEXT_STEP)

    @staticmethod
    def names(text: str) -> set[str]:
        """Return the names in a template; raise `ConfigError` if it cannot be read."""
        environment = _environment()
        try:
            return meta.find_undeclared_variables(environment.parse(text)) - environment.globals.keys()
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(
                f"The template cannot be read: line {error.lineno}: {error.message}.", next_step="Correct it; nothing was sent."
            ) from error

    def fill(self, row: Any, beside: Mapping[str, object] | None = None) -> str:
        """Return the prompt of a row.

        :param beside: more values for the template, such as those of a variant.
        :raises ConfigError: if a column is missing or also in `beside`, or no prompt comes out.
        """
        columns = columns_of(row)
        if taken := sorted(columns.keys() & (beside or {}).keys()):
            raise ConfigError(f"{taken[0]} is also a column of the rows.", next_step="Rename one of the two; nothing was sent.")
        values = {ROW: row, **columns, **(beside or {})}
        if missing := sorted(self.columns - values.keys()):
            known = ", ".join(list(columns)[:20]) or "no columns, only {{ row }}"
            raise ConfigError(f"There is no column {missing[0]}.", next_step=f"The row has {known}.")
        try:
            prompt = self._template.render(values)
        except Exception as error:
            # The person's own expressions, over values of any kind, may raise anything.
            raise ConfigError(
                f"The row does not fill the template: {type(error).__name__}: {error}.", next_step="Correct it or the row."
            ) from error
        if not prompt.strip():
            raise ConfigError("The prompt of the row is empty.", next_step="Leave the row out, or fill it.")
        return prompt


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a run. `items` yields them once; `total` is their number, if known beforehand.

    `frame` is the table that they come from, if it is one.
    """

    items: Iterator[Any]
    total: int | None = None
    frame: Any = None

    @classmethod
    def of(cls, rows: object) -> Rows:
        """Read a DataFrame of pandas or polars, a list of dicts or texts, or any other iterable.

        :raises ConfigError: if it is none of these, is empty, or has two columns of one name.
        """
        if _is_of(rows, "pandas", "DataFrame"):
            frame: Any = rows
            names = [str(name) for name in frame.columns]
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ConfigError(f"Two columns are named {twice[0]}.", next_step="Rename one of them; nothing was sent.")
            found = cls(
                (dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None)), len(frame), frame
            )
        elif _is_of(rows, "polars", "DataFrame"):
            frame = rows
            found = cls(frame.iter_rows(named=True), len(frame), frame)
        elif isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
            raise ConfigError(
                f"The rows cannot be of type {type(rows).__name__}.",
                next_step="Give a DataFrame, a list of dicts or texts, or another iterable of them; nothing was sent.",
            )
        else:
            found = cls(iter(rows), len(rows) if isinstance(rows, Sized) else None)
        if found.total == 0:
            raise no_rows()
        return found


def columns_of(row: Any) -> dict[str, Any]:
    """Return the columns of a row by name; a text has none. A Series of pandas is a row, too: `frame.iloc[0]` gives one."""
    if isinstance(row, Mapping) or _is_of(row, "pandas", "Series"):
        return {str(name): value for name, value in row.items()}
    return {}


def no_rows() -> ConfigError:
    """Return the error for an empty list of rows."""
    return ConfigError("There are no rows.", next_step="Give at least one; nothing was sent.")


def _environment() -> jinja2.Environment:
    return jinja2.Environment(undefined=jinja2.StrictUndefined, finalize=_shown, keep_trailing_newline=True, autoescape=False)


def _is_of(value: object, library: str, name: str) -> bool:
    """Whether a value is of this class, without importing the library."""
    module = sys.modules.get(library)
    return module is not None and isinstance(value, getattr(module, name))


def _shown(value: object) -> object:
    """Return a value in the form in which it is put into a prompt. A missing one is empty, or `null` inside a dict."""
    if isinstance(value, dict):
        value = {name: None if _is_missing(part) else part for name, part in value.items()}
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if _is_missing(value) else value


def _is_missing(value: object) -> bool:
    """Whether a value is `None`, NaN, or what pandas has for a missing date or a missing value of any type."""
    return (
        value is None or type(value).__name__ in {"NaTType", "NAType"} or (isinstance(value, Real | Decimal) and value != value)
    )
