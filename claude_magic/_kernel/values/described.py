"""A few words about a variable, for lists of many. None of the variable's own code runs for that."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Iterable, Mapping
from inspect import getattr_static
from types import ModuleType
from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.values.shown_value import type_name

_PLAIN: Final = frozenset(
    map(id, (str, bytes, bytearray, list, tuple, dict, set, frozenset, int, float, complex, bool, type(None)))
)
"""Types by their identity: to compare or hash any other type may run code of its metaclass."""

_ARRAYS: Final = (("numpy", "ndarray"), ("polars", "DataFrame"), ("polars", "Series"))
"""Types that hold their data in memory and know its shape. Subclasses are excluded: one may compute its shape."""

_TABLES: Final = (("pandas", "DataFrame"), ("pandas", "Series"))
_INDEXES: Final = tuple(("pandas", f"{kind}Index") for kind in ("Range", "", "Datetime", "Multi", "Categorical", "Interval"))


def own_variables(shell: InteractiveShell) -> dict[str, object]:
    """Return the variables that the person has made, without modules and names with an underscore in front."""
    return {name: value for name, value in variables_of(shell.user_ns) if name not in shell.user_ns_hidden}


def variables_of(namespace: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return the variables of a namespace that are no modules and have no underscore in front.

    A name that is not exactly a `str` is left out: `globals()` takes any object as a name, and that object's code could run.
    """
    return [
        (name, value)
        for name, value in list(namespace.items())
        if type(name) is str and not name.startswith("_") and not issubclass(type(value), ModuleType)
    ]


def described(value: Any) -> str:
    """Describe a value by type and size. None of its own code runs: a length or a shape may be a query to a database."""
    about = [type_name(value)]
    if (shape := shape_of(value)) is not None:
        about.append(f"shape {reprlib.repr(shape)}")
        if _is_one_of(value, _ARRAYS[:1]):
            about.append(f"{value.nbytes} bytes")
    elif id(type(value)) in _PLAIN:
        if hasattr(value, "__len__"):
            about.append(f"length {len(value)}")
        about.append(f"{sys.getsizeof(value)} bytes")
    return ", ".join(about)


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of a value whose type is in `_ARRAYS` or `_TABLES`, `None` for any other."""
    if id(type(value)) in _PLAIN:  # most are, and this is known at once
        return None
    if _is_one_of(value, _TABLES):
        # An index or an array inside may be of the person's own type.
        return tuple(map(len, value.axes)) if all(_is_one_of(axis, _INDEXES) for axis in value.axes) else None
    return tuple(value.shape) if _is_one_of(value, _ARRAYS) else None


def _is_one_of(value: object, types: Iterable[tuple[str, str]]) -> bool:
    return any(getattr_static(sys.modules.get(module), name, None) is type(value) for module, name in types)
