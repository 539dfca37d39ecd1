"""What a variable is, in a few words, for lists of many: nothing of its own is run for that."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Sized
from typing import Any, Final

from claude_magic._kernel.values.shown_value import type_name

_PLAIN: Final = (str, bytes, bytearray, list, tuple, dict, set, frozenset, int, float, complex, bool, type(None))

_ARRAYS: Final = (
    ("numpy", "ndarray"),
    ("pandas", "DataFrame"),
    ("pandas", "Series"),
    ("polars", "DataFrame"),
    ("polars", "Series"),
)
"""Types that hold their data in memory and know its shape; a subclass of one may compute it."""


def described(value: object) -> str:
    """Say what a value is, and run nothing of its own: a length or a shape may be a query."""
    about = [type_name(value)]
    if (shape := shape_of(value)) is not None:
        about.append(f"shape {reprlib.repr(shape)}")
        if isinstance(size := getattr(value, "nbytes", None), int):
            about.append(f"{size} bytes")
    elif any(known is type(value) for known in _PLAIN):
        if isinstance(value, Sized):
            about.append(f"length {len(value)}")
        about.append(f"{sys.getsizeof(value)} bytes")
    return ", ".join(about)


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of an array or a frame of a library that is known; `None` for all else."""
    kind = type(value)
    known = any(getattr(sys.modules.get(module), name, None) is kind for module, name in _ARRAYS)
    return tuple(value.shape) if known else None
