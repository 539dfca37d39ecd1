"""A few words about a variable, for lists of many. None of the variable's own code runs for that."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.values.shown_value import type_name

_PLAIN: Final = frozenset(
    map(id, (str, bytes, bytearray, list, tuple, dict, set, frozenset, int, float, complex, bool, type(None)))
)
"""Types by their identity: to compare or hash any other type may run code of its metaclass."""

_ARRAYS: Final = (
    ("numpy", "ndarray"),
    ("pandas", "DataFrame"),
    ("pandas", "Series"),
    ("polars", "DataFrame"),
    ("polars", "Series"),
)
"""Types that hold their data in memory and know its shape. Subclasses are excluded: one may compute its shape."""


def own_variables(shell: InteractiveShell) -> dict[str, object]:
    """Return the variables that the person has made, without modules and `_names`."""
    return {name: value for name, value in variables_of(shell.user_ns) if name not in shell.user_ns_hidden}


def variables_of(namespace: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return the variables of a namespace that are no modules and have no underscore in front.

    A name that is no plain text is left out: `globals()` takes any object as a name, and its own code could run.
    """
    return [
        (name, value)
        for name, value in list(namespace.items())
        if type(name) is str and not name.startswith("_") and not issubclass(type(value), ModuleType)
    ]


def described(value: object) -> str:
    """Describe a value by type and size. None of its own code runs: a length or a shape may be a query to a database."""
    about = [type_name(value)]
    if (shape := shape_of(value)) is not None:
        about.append(f"shape {reprlib.repr(shape)}")
        if isinstance(size := getattr(value, "nbytes", None), int):
            about.append(f"{size} bytes")
    elif id(type(value)) in _PLAIN:
        if hasattr(value, "__len__"):
            about.append(f"length {len(value)}")
        about.append(f"{sys.getsizeof(value)} bytes")
    return ", ".join(about)


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of a value whose type is in `_ARRAYS`, `None` for any other."""
    kind = type(value)
    if id(kind) in _PLAIN:  # most are, and this is known at once
        return None
    known = any(getattr(sys.modules.get(module), name, None) is kind for module, name in _ARRAYS)
    return tuple(value.shape) if known else None
