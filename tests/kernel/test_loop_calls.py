"""Which cells run an event loop, as far as reading can tell."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from claude_magic._kernel.nested_asyncio import runs_a_loop


async def work() -> int:
    return 1


def runs() -> int:
    return asyncio.run(work())


def leads_there() -> list[int]:
    return [runs() for _ in range(2)]


def only_waits() -> object:
    return contextlib.nullcontext(work), subprocess.run, len


class Client:
    """Of somebody's own."""

    def __init__(self) -> None:
        self.loop: Any = None

    def get(self) -> int:
        return int(self.loop.run_until_complete(work()))

    @property
    def value(self) -> int:
        return runs()

    def other(self) -> int:
        return 1


def wrapped(function: Callable[[], object]) -> Callable[[], object]:
    def wrapper() -> object:
        return function()

    return wrapper


def module(**members: object) -> ModuleType:
    made = ModuleType("helpers")
    vars(made).update(members)
    return made


NAMES = {
    "asyncio": asyncio,
    "aio": asyncio,
    "run": asyncio.run,
    "subprocess": subprocess,
    "runs": runs,
    "leads_there": leads_there,
    "only_waits": only_waits,
    "client": Client(),
    "wrapped": wrapped(leads_there),
    "helpers": module(fetch=leads_there, look=only_waits),
    "error": ValueError("run"),
    "x": 1,
}


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nasyncio.run(main())",
        "import asyncio as io\nio . run(main())",
        "from asyncio import gather, run\nrun(main())",
        "loop.run_until_complete(main())",
        "%timeit asyncio.run(main())",
        "%%time\nasyncio.run(main())",
        "aio.run(main())",
        "run(main())",
        "runs()",
        "[leads_there() for _ in range(3)]",
        "client.get()",
        "client.value",
        "wrapped()",
        "helpers.fetch()",
        "%%claude\n{{ runs() }}",
    ],
)
def test_runs_one(code: str) -> None:
    """A call in the text counts, and one in a function, method, property or module that the text names."""
    assert runs_a_loop(code, NAMES)


@pytest.mark.parametrize(
    "code",
    [
        "await main()",
        "subprocess.run(['ls'])",
        "only_waits()",
        "client.other()",
        "helpers.look()",
        "asyncio.gather(main())",
        "%%claude\nWhat does asyncio.run(main()) do?",
        "#| echo: false\n%%claude --new\nrun, runs",
        "%run gone.py",
        "print(error, x)",
        "",
    ],
)
def test_runs_none(code: str) -> None:
    """Neither another `run`, nor a prompt that speaks of it, nor a name beside it is a call."""
    assert not runs_a_loop(code, NAMES)


def test_a_script(tmp_path: Path) -> None:
    """What `%run` runs is read, too."""
    (tmp_path / "job.py").write_text("import asyncio\nasyncio.run(main())\n")
    assert runs_a_loop(f"%run -i {tmp_path / 'job.py'} 1", {})


def test_library_code_is_not_read() -> None:
    """A function of a library is none of the person's code, whatever it does."""
    code = compile("def fetch():\n    import asyncio\n    asyncio.run(None)", "/lib/site-packages/library.py", "exec")
    names: dict[str, Any] = {"asyncio": asyncio}
    exec(code, names)
    assert not runs_a_loop("fetch()", {"fetch": names["fetch"]})


def test_no_code_of_a_value_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What raises whatever is asked of it is passed over: an object, a metaclass, a module, a wrapper, a dict of globals."""

    class Touchy:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    class Meta(type):
        @property
        def __module__(cls) -> str:  # type: ignore[override]
            raise AssertionError

        __dict__ = __mro__ = __module__  # type: ignore[assignment]
        __hash__ = type.__hash__

        def __eq__(cls, other: object) -> bool:
            raise AssertionError

    class Text(str):
        def __hash__(self) -> int:
            raise AssertionError

    class Made(metaclass=Meta):
        pass

    class Moved:
        pass

    class Module(ModuleType):
        __getattribute__ = Touchy.__getattribute__
        __dict__ = __file__ = property(Touchy)  # type: ignore[assignment]

    class Wrapper(staticmethod):  # type: ignore[type-arg]
        __getattribute__ = Touchy.__getattribute__
        __func__ = property(Touchy)  # type: ignore[assignment]

    class Property(property):
        fget = property(Touchy)  # type: ignore[assignment]

    class Globals(dict):  # type: ignore[type-arg]
        __contains__ = __getitem__ = get = Touchy.__getattribute__  # type: ignore[assignment]

    class Key(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            raise AssertionError

    class Elsewhere:
        pass

    Moved.__module__ = Text("somewhere")
    Elsewhere.__module__ = "a_touchy_module"
    monkeypatch.setitem(sys.modules, "a_touchy_module", Module("a_touchy_module"))
    code = (lambda: get()).__code__  # type: ignore[name-defined]  # noqa: F821
    values = {"touchy": Touchy(), "made": Made(), "Made": Made, "moved": Moved(), "Moved": Moved, "Elsewhere": Elsewhere}
    values |= {"wrapped": Wrapper(len), "of": Property(len), "module": sys.modules["a_touchy_module"]}
    values |= {"f": FunctionType(code, Globals()), "g": FunctionType(code, {Key("get"): 1})}
    for name in values:
        assert not runs_a_loop(f"{name}.get()", values)
