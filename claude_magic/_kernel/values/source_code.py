"""The source of functions and classes, also of those that were defined in a notebook's cells.

IPython keeps the source of each compiled cell in `linecache`.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType

from IPython.core.getipython import get_ipython


def source_of(value: Callable[..., object] | type) -> str:
    """Return the source of a function or class; if it has none, its signature and docstring."""
    # `inspect` looks for a class in the file of its module, and `__main__` has no file in a notebook.
    if isinstance(value, type) and value.__module__ == "__main__" and (source := _class_in_cells(value)):
        return source
    with contextlib.suppress(OSError, TypeError):
        return textwrap.dedent(inspect.getsource(value)).rstrip()
    return "\n\n".join(part for part in (_signature(value), inspect.getdoc(value) or "") if part)


def is_cell(filename: str) -> bool:
    """Tell whether code with this file name was compiled from a cell."""
    # The entries of IPython have no modification time. Nor has generated code, but its file names are in angle brackets.
    entry = linecache.cache.get(filename)
    return (
        entry is not None
        and len(entry) == 4
        and entry[1] is None
        and (filename.startswith("<ipython-input-") or not filename.startswith("<"))
    )


def cell_label(filename: str) -> str:
    """Return the name of a cell as IPython's tracebacks write it: `Cell In[3]`."""
    compiler = getattr(get_ipython(), "compile", None)
    named = compiler.format_code_name(filename) if compiler is not None else None
    return " ".join(named) if named else "Cell"


def _class_in_cells(kind: type) -> str | None:
    """Find the source of a class in the cells by its methods, else by its name; `None` if several match."""
    codes = [
        function.__code__
        for member in vars(kind).values()
        for function in (getattr(member, "__func__", None), getattr(member, "fget", None), member)
        if isinstance(function, FunctionType) and function.__qualname__.startswith(f"{kind.__qualname__}.")
    ]
    places = {(code.co_filename, code.co_firstlineno) for code in codes if is_cell(code.co_filename)}
    files = {file for file, _ in places} or {file for file in list(linecache.cache) if is_cell(file)}
    path = [name for name in kind.__qualname__.split(".") if name != "<locals>"]
    found = set()
    for file in files:
        lines = linecache.getlines(file)
        text = "".join(lines)
        if path[-1] not in text:
            continue
        with contextlib.suppress(SyntaxError):
            for node in _classes(ast.parse(text), path):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                last = node.end_lineno or first
                if not places or any(file == at and first <= line <= last for at, line in places):
                    found.add(textwrap.dedent("".join(lines[first - 1 : last])).rstrip())
    return found.pop() if len(found) == 1 else None


def _classes(node: ast.AST, path: list[str]) -> Iterator[ast.ClassDef]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, path)
        elif child.name == path[0] and len(path) > 1:
            yield from _classes(child, path[1:])
        elif child.name == path[0] and isinstance(child, ast.ClassDef):
            yield child


def _signature(value: Callable[..., object] | type) -> str:
    name = f"{'class ' if isinstance(value, type) else ''}{getattr(value, '__qualname__', repr(value))}"
    try:
        return f"{name}{inspect.signature(value)}"
    except (TypeError, ValueError):  # some builtins have none
        return name
