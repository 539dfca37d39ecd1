"""`asyncio.run(...)` in cells: it works when it is needed, replaces nothing before, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cells import answered
from messages_api import MessagesAPI
from rig.kernel import Kernel

MAIN = "import asyncio\nasync def main(n=1):\n    await asyncio.sleep(0)\n    return n\n"

LOOK = """
import asyncio, sys

def look():
    import nest_asyncio2, tornado.concurrent
    loop = asyncio.get_running_loop()
    patched = ("asyncio", "nest_asyncio2", "tornado")
    owners = [module for name, module in sys.modules.items() if name.partition(".")[0] in patched]
    owners += [*type(loop).__mro__[:-1], *type(asyncio.get_event_loop_policy()).__mro__[:-1]]
    return {(owner.__name__, name): value for owner in owners for name, value in vars(owner).items()}, sorted(vars(loop))

def changed():
    names, on_loop = look()
    was, was_on_loop = at_first
    there = {key for key in names.keys() | was.keys() if names.get(key, look) is not was.get(key, look)}
    return sorted(map(".".join, there)), sorted(set(on_loop) ^ set(was_on_loop))

at_first = look()
"""

NOTHING = [[], []]


@pytest.fixture
def watched(kernel: Kernel) -> Iterator[Kernel]:
    """A kernel that knows what asyncio was like before the extension is loaded; unloaded again afterwards."""
    assert kernel.run(MAIN + LOOK).ok
    yield kernel
    kernel.run("%unload_ext claude_magic")


def changed(kernel: Kernel) -> object:
    return [list(names) for names in kernel.value("changed()")]


def test_load_replaces_nothing(watched: Kernel) -> None:
    """Loading, and cells that run no loop, leave asyncio as it is, also a prompt that only speaks of it."""
    watched.run("%load_ext claude_magic")
    answered(watched, "What does asyncio.run(main()) do?")
    watched.run("import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])\nawait main()")
    assert changed(watched) == NOTHING


@pytest.mark.parametrize(
    "code",
    [
        "asyncio.run(main(7))",
        "import asyncio as aio\naio.run(main(7))",
        "loop = asyncio.get_event_loop()\nloop.run_until_complete(main(7))",
        "from asyncio import run\nrun(main(7))",
        "%%capture\nx = asyncio.run(main(7))",
        "%timeit -n1 -r1 asyncio.run(main(7))",
        "print(await main(), asyncio.run(main(7)))",
    ],
)
def test_a_cell_that_runs_a_loop(watched: Kernel, code: str) -> None:
    """Each way to run a loop works at the first try, says nothing, and is undone by unloading."""
    watched.run("%load_ext claude_magic")
    result = watched.run(code)
    assert result.ok, result.outputs
    assert result.stderr == ""
    assert "asyncio.run" in changed(watched)[0]  # type: ignore[index]
    watched.run("%unload_ext claude_magic")
    assert changed(watched) == NOTHING


def test_queued_cells(watched: Kernel, api: MessagesAPI) -> None:
    """Cells queued behind one that runs a loop run in their turn, Claude's among them."""
    cells = ["%load_ext claude_magic", "asyncio.run(main(1))", "%%claude\nhello", "asyncio.run(main(2))", "await main(3)"]
    results = watched.run_all(cells)
    assert [result.status for result in results] == ["ok"] * 5
    assert [results[number].text for number in (1, 3, 4)] == ["1", "2", "3"]
    assert len(api.requests) == 1


def test_in_the_cell_that_loads(watched: Kernel) -> None:
    """The cell that loads the extension may go on with `asyncio.run`."""
    assert watched.run("%load_ext claude_magic\nasyncio.run(main(4))").text == "4"


def test_load_unload_load(watched: Kernel) -> None:
    """Loaded again after it was undone, it works again; without the extension it fails as before."""
    for _ in range(2):
        watched.run("%load_ext claude_magic")
        assert watched.run("asyncio.run(main(5))").text == "5"
        answered(watched, "hello")
        watched.run("%unload_ext claude_magic")
        assert changed(watched) == NOTHING
        assert "cannot be called" in str(watched.run("asyncio.run(main(5))").errors)
    assert watched.run("await main(6)").text == "6"


def test_own_code_that_runs_a_loop(watched: Kernel, notebook_dir: Path) -> None:
    """A call in a module beside the notebook, by way of a class, and in a script works at the first try, too."""
    (notebook_dir / "fetching.py").write_text(f"{MAIN}\ndef fetch():\n    return asyncio.run(main(8))\n")
    (notebook_dir / "script.py").write_text(f"{MAIN}\nasyncio.run(main())\n")
    for code in (
        "import fetching\nfetching.fetch()",
        "class Client:\n    def get(self):\n        return [fetching.fetch()]\nclient = Client()",
        "client.get()",
        "%run script.py",
    ):
        watched.run("%load_ext claude_magic")
        result = watched.run(code)
        assert (result.errors, result.stderr) == ([], ""), code
        watched.run("%unload_ext claude_magic")


def test_a_library_that_runs_a_loop(watched: Kernel, notebook_dir: Path) -> None:
    """A call out of a library's code fails once; the cell says that it works now, and it does."""
    library = notebook_dir / "site-packages" / "library.py"
    library.parent.mkdir()
    library.write_text(f"{MAIN}\ndef fetch():\n    return asyncio.run(main(8))\n")
    watched.run("import sys\nsys.path.insert(0, 'site-packages')\nimport library")
    watched.run("%load_ext claude_magic")
    first = watched.run("library.fetch()")
    assert first.status == "error"
    assert first.stderr.strip().splitlines()[-1].startswith("asyncio.run() works in cells from now on")
    again = watched.run("library.fetch()")
    assert (again.text, again.stderr) == ("8", "")


def test_the_setting(watched: Kernel) -> None:
    """With `nest_asyncio` false nothing is applied and nothing said; set later, it undoes what was applied."""
    watched.run("%load_ext claude_magic\n%config ClaudeMagics.nest_asyncio = False")
    refused = watched.run("asyncio.run(main())")
    assert refused.status == "error"
    assert "ClaudeMagics" not in refused.stderr
    assert changed(watched) == NOTHING
    watched.run("%config ClaudeMagics.nest_asyncio = True")
    assert watched.run("asyncio.run(main(9))").text == "9"
    watched.run("%config ClaudeMagics.nest_asyncio = False")
    assert changed(watched) == NOTHING


def test_what_the_person_applied_stays(fresh_kernel: Kernel) -> None:
    """Where somebody has applied nest_asyncio2 before, unloading leaves that."""
    fresh_kernel.run(f"{MAIN}\nimport nest_asyncio2\nnest_asyncio2.apply()")
    fresh_kernel.run("%load_ext claude_magic")
    assert fresh_kernel.run("asyncio.run(main(3))").text == "3"
    fresh_kernel.run("%unload_ext claude_magic")
    assert fresh_kernel.run("asyncio.run(main(3))").text == "3"
