"""Functions of the person's own, called by Claude in the cell: what they are told, what comes back, and who stops them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from cells import Configure, answered, ask, stopped_soon
from IPython.core.interactiveshell import InteractiveShell
from messages_api import MessagesAPI
from PIL import Image as Pictures
from rig.kernel import Kernel
from test_kernel_tools import images, last, results, told

from claude_magic._kernel.tools.kernel_tools import KernelTools
from claude_magic.sdk._tools.function_tool import FunctionTool
from claude_magic.sdk.host import ToolResult

ALLOW = "--allow mcp__kernel"

FUNCTIONS = """
import asyncio, datetime, threading, time
import pandas as pd
from claude_magic import only_reads

def load(rows: int, day: datetime.date = datetime.date(2024, 1, 1)) -> pd.DataFrame:
    '''Load the prices of a day.'''
    print("loading", day)
    return pd.DataFrame({"price": range(rows)})

async def halved(frame: pd.DataFrame) -> pd.DataFrame:
    await asyncio.sleep(0)
    return frame.iloc[::2]

def plot(frame: pd.DataFrame):
    from matplotlib.figure import Figure
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot(frame["price"].head(5))
    return figure

@only_reads
def look(what="nothing"):
    return [what, threading.current_thread() is threading.main_thread()]

def fails():
    raise ValueError("not today")

def leaves():
    raise SystemExit(3)

def forever():
    print("going", flush=True)
    while True: time.sleep(0.01)

async def waits():
    print("going", flush=True)
    await asyncio.sleep(60)

def run_code(code: str): pass

class Shop:
    def price(self, item: str) -> float:
        return len(item) / 2
shop, number = Shop(), 3
"""


def called(name: str, /, **arguments: Any) -> str:
    return f"<<tool mcp__kernel__{name} {json.dumps(arguments)}>>"


def tools(api: MessagesAPI) -> dict[str, Any]:
    """Return the kernel's tools that the newest request offers, by their names."""
    offered = api.requests[-1]["tools"]
    prefix = "mcp__kernel__"
    return {tool["name"].removeprefix(prefix): tool for tool in offered if tool["name"].startswith(prefix)}


@pytest.fixture
def loaded_kernel(shared_session: Kernel) -> Kernel:
    """No test here needs a session of its own."""
    return shared_session


@pytest.fixture
def kernel_with_functions(loaded_kernel: Kernel) -> Iterator[Kernel]:
    """A kernel whose user has written some functions."""
    result = loaded_kernel.run(FUNCTIONS)
    assert result.ok, result.outputs
    yield loaded_kernel
    assert loaded_kernel.run("%reset -f").ok
    assert loaded_kernel.run("%load_ext claude_magic").ok


def test_three_functions_on_a_large_frame(kernel_with_functions: Kernel, api: MessagesAPI) -> None:
    """A large frame goes from function to function by its name; Claude gets its shape and the figure, never all rows."""
    calls = [
        called("load", rows=10_000_000),
        called("halved", frame="load_1"),
        called("plot", frame="halved_1"),
        "<<say done>>",
    ]
    result = answered(kernel_with_functions, "".join(calls), f"--tool load halved plot {ALLOW}")
    loaded, halved, plotted = results(api)[-3:]
    assert told(loaded).startswith("loading 2024-01-01\n")
    assert "It is kept as the variable load_1 (pandas.DataFrame)" in told(loaded)
    assert "halved_1" in told(halved)
    assert len(told(loaded)) < 5_000
    assert len(told(halved)) < 5_000
    assert images(plotted)
    assert "loading 2024-01-01" in result.stdout
    assert kernel_with_functions.value("load_1.shape, len(halved_1)") == ((10_000_000, 1), 5_000_000)
    assert kernel_with_functions.run("del load_1, halved_1, _").ok
    assert sum(len(json.dumps(request["messages"])) for request in api.requests) < 100_000
    assert tools(api)["load"]["description"] == "Load the prices of a day."
    assert tools(api)["load"]["input_schema"]["properties"]["day"]["default"] == "2024-01-01"


def test_it_is_asked_before_each_call(kernel_with_functions: Kernel, api: MessagesAPI) -> None:
    """A call is asked; a function marked with `only_reads` runs unasked, on the main thread."""
    prompt = called("look", what="it") + called("fails") + "<<say done>>"
    result = answered(kernel_with_functions, prompt, "--tool look fails", allow_stdin=False)
    assert '--allow "mcp__kernel__fails" would permit it' in result.text
    seen, denied = results(api)[-2:]
    assert told(seen) == "['it', True]"
    assert denied["is_error"]
    assert "not today" not in told(denied)


@pytest.mark.parametrize(("name", "said"), [("fails", "ValueError: not today"), ("leaves", "SystemExit: 3")])
def test_what_a_function_raises(kernel_with_functions: Kernel, api: MessagesAPI, name: str, said: str) -> None:
    """What a function raises is an error for Claude, with the traceback; the cell goes on."""
    answered(kernel_with_functions, called(name) + "<<say done>>", f"--tool {name} {ALLOW}")
    (result,) = results(api)[-1:]
    assert result["is_error"]
    assert said in told(result)


def test_arguments_that_do_not_fit(kernel_with_functions: Kernel, api: MessagesAPI) -> None:
    """What does not fit comes back as an error that names the argument; the function has not run."""
    prompt = called("load", rows=1, day="2024-02-30") + called("halved", frame="number") + "<<say done>>"
    result = answered(kernel_with_functions, prompt, f"--tool load halved {ALLOW}")
    day, frame = results(api)[-2:]
    assert "load was not called. Correct this and call it again:\n- day: Input should be a valid date" in told(day)
    assert "- frame: 'number' holds a int, not a pandas DataFrame" in told(frame)
    assert result.stdout == ""


def fails_here() -> None:
    raise LookupError("not here")


class Unshown:
    def __repr__(self) -> str:
        raise ValueError("no words")


class Broken:
    def _repr_png_(self) -> bytes:
        return b"\x89PNG\r\n\x1a\nbroken"


def own(value: Any) -> list[Any]:
    kept = [value]
    kept.append(kept)
    return kept


def returned(shell: InteractiveShell, function: Callable[..., Any], **arguments: Any) -> ToolResult:
    """Let a function be called as a tool, in a shell without a kernel."""
    return KernelTools(shell, [FunctionTool.of(function, "tried")], cast("Any", None)).call("tried", arguments)


def test_what_it_gives_back(shell: InteractiveShell) -> None:
    """What a function raises, or gives back that cannot be shown, is told; what is large or broken about it spoils nothing."""
    failed = returned(shell, fails_here)
    assert failed.is_error
    assert failed.text.startswith(f'Traceback (most recent call last):\n  File "{__file__}"')
    assert failed.text.endswith("LookupError: not here")
    assert "ValueError: no words" in returned(shell, Unshown).text
    assert "cannot be decoded" in returned(shell, Broken).text
    assert returned(shell, own, value=1).text == "[1, [...]]"
    assert len(returned(shell, lambda: print("x" * 1_000_000)).text) < 25_000
    photo = returned(shell, lambda: Pictures.effect_noise((2000, 1500), 60).convert("RGB"))
    assert "(The image was shrunk from 2,000 × 1,500 to 1,568 × 1,176 pixels.)" in photo.text
    assert [image.media_type for image in photo.images] == ["image/jpeg"]
    assert not [name for name in shell.user_ns if name.startswith("tried") and name not in ("tried_1", "tried_2", "tried_3")]


@pytest.mark.parametrize("name", ["forever", "waits"])
def test_interrupt(kernel_with_functions: Kernel, name: str) -> None:
    """An interrupt reaches a function that does not end, and ends the turn."""
    kernel = kernel_with_functions
    cell = kernel.start(f"%%claude --tool {name} {ALLOW}\n{called(name)}")
    cell.wait_for(lambda result: "going" in result.stdout)
    result = stopped_soon(cell, kernel.interrupt)
    assert "TurnInterrupted" in [error["ename"] for error in result.errors], result.outputs


def test_redefined(kernel_with_functions: Kernel, api: MessagesAPI) -> None:
    """A function that was defined anew is called as it is now, with the arguments that it has now, hints or not."""
    kernel = kernel_with_functions
    prompt = called("look") + "<<say done>>"
    answered(kernel, prompt, "--tool look")
    kernel.run("@only_reads\ndef look(*words: str, **counts: int): return words, counts")
    answered(kernel, called("look", words=["a"], counts={"b": 2}) + "<<say done>>", "--tool look")
    assert last(api) == "(('a',), {'b': 2})"
    kernel.run("@only_reads\ndef look(anything, more=None): print('seen'); return [anything, more]")
    answered(kernel, called("look", anything={"a": [1]}) + "<<say done>>", "--tool look")
    assert last(api) == "seen\n[{'a': [1]}, None]"


def test_functions_of_ask(kernel_with_functions: Kernel, api: MessagesAPI) -> None:
    """`ask()` takes functions themselves, also one, methods and coroutine functions."""
    kernel = kernel_with_functions
    prompt = called("price", item="four") + called("halved", frame="frame") + "<<say done>>"
    code = f"from claude_magic import ask\nframe = load(4)\nask({prompt!r}, tools=[shop.price, halved], allow='mcp__kernel')"
    result = kernel.run(code)
    assert result.ok, result.outputs
    price, halved = results(api)[-2:]
    assert told(price) == "2.0"
    assert "halved_1" in told(halved)
    assert kernel.run(f"ask({called('look')!r} + '<<say done>>', tools=look)").ok
    assert last(api) == "['nothing', True]"


def test_configured(kernel_with_functions: Kernel, api: MessagesAPI, configure: Configure) -> None:
    """Functions can be set for all cells; one that is not there yet is named in the cell."""
    configure("tools", ["look", "later"])
    result = answered(kernel_with_functions, called("look") + "<<say done>>", "--tool shop.price")
    assert last(api) == "['nothing', True]"
    assert {"look", "price"} <= tools(api).keys()
    assert "Claude cannot call later" in result.text


def test_only_own_functions(kernel_with_functions: Kernel, api: MessagesAPI) -> None:
    """With `--no-kernel` the functions that were given are all that Claude has of the kernel."""
    answered(kernel_with_functions, called("look") + "<<say done>>", "--no-kernel --tool look")
    assert tools(api).keys() == {"look"}
    answered(kernel_with_functions, "<<say done>>", "--no-kernel")
    assert not tools(api)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "--tool: there is no function nowhere; nothing was sent"),
        ("shop.nothing", "--tool: there is no function shop.nothing; nothing was sent"),
        ("number", "--tool: number is not a function: its type is int; nothing was sent"),
        ("run_code", "Two tools are called run_code"),
        ("1st", "'1st' is not the name of a function"),
    ],
)
def test_no_function(kernel_with_functions: Kernel, api: MessagesAPI, name: str, said: str) -> None:
    """A name that is no function is refused in a line, before anything is sent."""
    result = ask(kernel_with_functions, "hello", f"--tool {name}")
    assert said in f"{result.stderr}{result.reply}"
    assert not api.requests
