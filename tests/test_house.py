"""The house rules, read from the source: who imports whom, how long a module is, that each says what it is for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import claude_magic
import claude_magic.sdk

PACKAGE = Path(claude_magic.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = ("errors", "sdk", "_render", "_kernel")
FOREIGN = {
    "claude_agent_sdk": ("sdk/",),
    "IPython": ("_kernel/", "__init__.py", "_render/live/", "_render/place.py"),
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


def dotted(path: Path) -> str:
    """Return the name that a module is imported by."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(path): path for path in MODULES}


def own_imports(path: Path) -> set[str]:
    """Return the modules of this package that one imports, at its top, in a function or for types."""
    found = set()
    for name, _ in imports(path):
        module = name if name in NAMES else name.rpartition(".")[0]
        if module in NAMES and module != dotted(path):
            found.add(module)
    return found


IMPORTS = {name: own_imports(path) for name, path in NAMES.items()}


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Return what leads back to itself."""
    while leaves := {node for node, successors in graph.items() if not successors & graph.keys()}:
        graph = {node: successors for node, successors in graph.items() if node not in leaves}
    return sorted(graph)


def unit(module: str) -> str:
    """Return the sub-room that a module is in, or the module itself where it stands beside the sub-rooms of its room."""
    return ".".join(module.split(".")[:3])


@modules
def test_imports_go_one_way(path: Path) -> None:
    """errors <- sdk <- render <- kernel: no room imports one above it, not even for types."""
    room = next((room for room in ROOMS if dotted(path).startswith(f"claude_magic.{room}")), None)
    if room is None:
        return
    above = tuple(f"claude_magic.{other}" for other in ROOMS[ROOMS.index(room) + 1 :])
    assert not [name for name in IMPORTS[dotted(path)] if name.startswith(above) or name == "claude_magic"]


def test_no_circles() -> None:
    """No module leads back to itself by imports, and no sub-room either."""
    facade = {name: set() if name in ("claude_magic", "claude_magic.sdk") else found for name, found in IMPORTS.items()}
    assert circles(facade) == []
    units: dict[str, set[str]] = {}
    for name, found in facade.items():
        units.setdefault(unit(name), set()).update({unit(other) for other in found} - {unit(name)})
    assert circles(units) == []


def test_public_modules() -> None:
    """Public is the package, its errors, the pytest plugin and the modules that the sdk names: no other lacks an underscore."""
    public = {name for name in NAMES if not any(part.startswith("_") for part in name.split("."))}
    named = {f"claude_magic.sdk.{name}" for name in claude_magic.sdk.PUBLIC_MODULES}
    assert public == {"claude_magic", "claude_magic.errors", "claude_magic.pytest_plugin", "claude_magic.sdk"} | named


def test_folders_are_small() -> None:
    """A folder has a dozen modules at most, and a docstring that says what it owns."""
    for folder in {path.parent for path in MODULES}:
        assert len([path for path in folder.glob("*.py") if path.name not in ("__init__.py", "__main__.py")]) <= 13, folder
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


def test_state_is_changed_by_its_own_methods() -> None:
    """Nobody sets an attribute of the kernel's state from outside, or takes its lock."""
    for path in MODULES:
        if path.name == "kernel_state.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
            written = [ast.unparse(target) for target in targets]
            assert not [name for name in written if re.search(r"\bstate\.\w+$", name)], path
            assert not (isinstance(node, ast.Attribute) and re.search(r"\bstate\._?lock$", ast.unparse(node))), path


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


OPENS_ITSELF = {
    "_paths.py",
    "_kernel/session_words/export_file.py",  # writes
    "_render/parts/style_sheet.py",
    "sdk/_cassette/cassette_file.py",  # only regular files
    "sdk/_cli/environment.py",
    "sdk/_cli/supervisor.py",
    "sdk/_history/",
    "sdk/_images.py",
    "sdk/content.py",  # only regular files, and needs more of them
}
"""Modules that open files of this package, of ours and of the CLI, or with a reason that stands here."""


@modules
def test_files_of_others_are_read_by_one_function(path: Path) -> None:
    """What may come with a folder is read by `file_bytes`, which waits for no pipe."""
    name = path.relative_to(PACKAGE).as_posix()
    opens = re.search(r"(?<!def )(?<![\w.])open\(|\.(?:read_text|read_bytes)\(|[pP]ath\.open\(", path.read_text())
    assert opens is None or name.startswith(tuple(OPENS_ITSELF)), opens
