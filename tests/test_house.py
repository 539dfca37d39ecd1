"""The house rules, read from the source: who imports whom, how long a module is, that each says what it is for."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import claude_magic

PACKAGE = Path(claude_magic.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LAYERS = ("errors", "sdk", "_render", "_kernel")
FOREIGN = {
    "claude_agent_sdk": ("sdk/",),
    "IPython": ("_kernel/", "__init__.py", "_render/live/", "_render/views.py"),
    "ipykernel": ("_kernel/",),
}

modules = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each imported module, absolute, and whether only the type checker imports it."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield alias.name, id(node) in for_types
            case ast.ImportFrom(level=0, module=str(module)):
                for alias in node.names:
                    yield f"{module}.{alias.name}", id(node) in for_types
            case ast.ImportFrom():
                pytest.fail(f"{path}: a relative import")


def layer_of(parts: tuple[str, ...]) -> int | None:
    return LAYERS.index(parts[0]) if parts and parts[0] in LAYERS else None


@modules
def test_imports_go_one_way(path: Path) -> None:
    """errors <- sdk <- render <- kernel: no layer imports one above it, not even for types."""
    own = layer_of(path.relative_to(PACKAGE).with_suffix("").parts)
    if own is None:
        return
    for name, _ in imports(path):
        parts = tuple(name.split("."))
        other = layer_of(parts[1:]) if parts[0] == "claude_magic" else None
        assert other is None or other <= own, f"imports {name}"


@modules
@pytest.mark.parametrize("library", FOREIGN)
def test_libraries_are_met_in_one_place(path: Path, library: str) -> None:
    """claude_agent_sdk is imported only in sdk/, IPython only in kernel/ and where something is displayed."""
    place = path.relative_to(PACKAGE).as_posix()
    if not place.startswith(FOREIGN[library]):
        assert library not in {name.split(".")[0] for name, _ in imports(path)}
    if place == "__init__.py":
        assert library not in {name.split(".")[0] for name, for_types in imports(path) if not for_types}


@modules
def test_size(path: Path) -> None:
    """No module has more than 400 lines."""
    assert len(path.read_text().splitlines()) <= 400


@modules
def test_docstring(path: Path) -> None:
    """Every module says what it is for."""
    assert (ast.get_docstring(ast.parse(path.read_text())) or "").strip()


def test_import_is_light() -> None:
    """`import claude_magic` imports neither IPython, ipywidgets nor claude_agent_sdk."""
    code = "import sys, claude_magic; print({'IPython', 'ipywidgets', 'claude_agent_sdk'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
