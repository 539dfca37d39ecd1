"""The errors and the sdk speak to the author of a script; read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import claude_magic

PACKAGE = Path(claude_magic.__file__).parent
MODULES = [PACKAGE / "errors.py", *sorted((PACKAGE / "sdk").rglob("*.py"))]

OF_NOTEBOOKS = re.compile(r"%claude|%%|\b([Cc]ells?|[Mm]agics?|[Nn]otebooks?|[Kk]ernels?|IPython|Jupyter)\b")
OPTION = re.compile(r"(?<!^)--[a-z]")
"""An option in the middle of a text; one that is a whole string is a flag for the CLI."""

MEANT = {
    "kernel": "the name of the MCP server, and a word that is no secret of a machine's",
    "notebook": "a word that is no secret of a machine's",
}


def literals(tree: ast.Module) -> Iterator[str]:
    """Yield the strings of a module, but for docstrings and the words of types; those of an f-string one by one."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_word_of_notebooks(path: Path) -> None:
    """No string of errors.py and the sdk speaks of cells, magics, kernels, or of what one types in a notebook."""
    said = [text for text in literals(ast.parse(path.read_text())) if OF_NOTEBOOKS.search(text) or OPTION.search(text)]
    assert [text for text in said if text not in MEANT] == []


def test_the_scan_finds_something() -> None:
    """The scan above would find what it looks for, and everything that it passes over is there."""
    for text in ("%claude_session list", "--new in a cell", "Choose another with --mode.", "before the kernel starts"):
        assert OF_NOTEBOOKS.search(text) or OPTION.search(text)
    assert set(MEANT) <= {text for path in MODULES for text in literals(ast.parse(path.read_text()))}
