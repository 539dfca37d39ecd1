"""What Claude may see and do in the kernel: variables, code, cells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cells import answered, failure, on_page, session_of, start, stopped_soon
from messages_api import MessagesAPI
from rig import CellResult, RunningCell
from rig.kernel import Kernel

RUN = "--allow mcp__kernel__run_code"
ADD = "--allow mcp__kernel__add_cell"

NAMESPACE = """
import time, math
class Raising:
    def __repr__(self): raise ValueError("no repr here")
    def __len__(self): raise RuntimeError("no length here")
    @property
    def shape(self): raise RuntimeError("no shape here")
class Blocking:
    def __repr__(self): time.sleep(60)
class Looping:
    def __repr__(self):
        while True: pass
class Stubborn:
    def __repr__(self):
        while True:
            try: time.sleep(60)
            except Exception: pass
class Exiting:
    def __repr__(self): raise SystemExit(3)
    def __len__(self): raise SystemExit(3)
class Printing:
    def __repr__(self):
        print("printed by repr")
        return "Printing()"
class Counted:
    shown = 0
    def __repr__(self):
        Counted.shown += 1
        print("printed by repr")
        return "Counted()"
class Masked:
    @property
    def __class__(self): raise RuntimeError("no class here")
class Written:
    def _repr_markdown_(self): return "**bold** words"
class Bundled:
    def _repr_mimebundle_(self, include=None, exclude=None): return {"text/plain": "plain of a bundle",
    "text/markdown": "md of a bundle"}
numbers, word, _hidden = [1, 2, 3], "text", 1
"""

LAZY = """
ran = []
class Lazy:
    def __len__(self): ran.append("len"); return 1
    def __sizeof__(self): ran.append("sizeof"); return 1
    def __getattr__(self, name): ran.append(name); raise AttributeError(name)
    shape = property(lambda self: ran.append("shape"))
    nbytes = property(lambda self: ran.append("nbytes"))
class Rows(list):
    def __len__(self): ran.append("len"); return 1
    def __sizeof__(self): ran.append("sizeof"); return 1
class Equal(type):
    def __eq__(cls, other): ran.append("eq"); return True
    def __hash__(cls): ran.append("hash"); return 1
class Chart(metaclass=Equal):
    def __len__(self): ran.append("len"); return 1
lazy, rows, chart = Lazy(), Rows(), Chart()
ran.clear()
"""


def tool(name: str, /, **arguments: Any) -> str:
    return f"<<tool mcp__kernel__{name} {json.dumps(arguments)}>>"


def code(text: str) -> str:
    return tool("run_code", code=text)


def results(api: MessagesAPI) -> list[dict[str, Any]]:
    """Return the tool results in the newest request, oldest first."""
    contents = [message["content"] for message in api.requests[-1]["messages"] if message["role"] == "user"]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return [block for block in blocks if block["type"] == "tool_result"]


def told(block: dict[str, Any]) -> str:
    """Return the text of a tool result, without what the CLI adds to an error."""
    content = block["content"]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return text.partition("\n\nThis tool's input schema was not in your prompt")[0]


def images(block: dict[str, Any]) -> list[dict[str, Any]]:
    content = block["content"]
    return [] if isinstance(content, str) else [part for part in content if part["type"] == "image"]


def last(api: MessagesAPI) -> str:
    return told(results(api)[-1])


def inspected(kernel: Kernel, api: MessagesAPI, name: str, **arguments: Any) -> str:
    """Let Claude inspect a variable; return what it is told."""
    answered(kernel, tool("inspect_variable", name=name, **arguments) + "<<say done>>")
    return last(api)


def ran(kernel: Kernel, text: str, **run: Any) -> CellResult:
    """Let Claude run code that is allowed."""
    return answered(kernel, code(text) + "<<say done>>", RUN, **run)


def going(cell: RunningCell) -> None:
    """Wait until the code has printed that it runs."""
    cell.wait_for(lambda result: "going" in result.stdout)


def stopped(cell: RunningCell, stop: Callable[[], None]) -> CellResult:
    """Stop the turn, and see it end soon; a cell that does not is ended by force, so that the next test has a kernel."""
    try:
        result = stopped_soon(cell, stop)
    except TimeoutError:
        cell.kernel.restart()
        raise
    assert "TurnInterrupted" in [error["ename"] for error in result.errors], result.outputs
    return result


@pytest.fixture
def shared_session(shared_session: Kernel) -> Kernel:
    """No test here needs a session of its own."""
    return shared_session


@pytest.fixture
def kernel_with_names(shared_session: Kernel) -> Iterator[Kernel]:
    """A kernel whose user has made some variables."""
    assert shared_session.run(NAMESPACE).ok
    yield shared_session
    assert shared_session.run("%reset -f").ok
    assert shared_session.run("%load_ext claude_magic").ok


def test_the_package_under_test(shared_session: Kernel) -> None:
    """The kernel imports the package that these tests stand beside."""
    import claude_magic

    assert shared_session.value("__import__('claude_magic').__file__") == claude_magic.__file__


# Looking


def test_list_variables_asks_no_class(fresh_kernel: Kernel, api: MessagesAPI) -> None:
    """The list runs no code of a class either: neither its metaclass's, nor that of what it gives as its module."""
    fresh_kernel.run("%load_ext claude_magic")
    fresh_kernel.run(
        "ran = []\n"
        "class Meta(type):\n"
        "    def __getattribute__(cls, name):\n"
        "        ran.append(name)\n"
        "        return type.__getattribute__(cls, name)\n"
        "class Module:\n"
        "    __eq__ = __format__ = __str__ = __repr__ = lambda self, *_: ran.append('module') or ''\n"
        "    __hash__ = object.__hash__\n"
        "class Thing(metaclass=Meta):\n"
        "    __module__ = Module()\n"
        "thing = Thing()\n"
        "ran.clear()"
    )
    answered(fresh_kernel, tool("list_variables"))
    assert fresh_kernel.value("ran") == []


@pytest.mark.short
def test_list_variables(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """It lists the user's own names with type, length or shape, and size; unasked, and without modules and the shell's names."""  # noqa: E501
    kernel_with_names.run("import numpy; table = numpy.zeros((2, 3))")
    answered(kernel_with_names, tool("list_variables"))
    lines = {line.partition(": ")[0]: line for line in last(api).splitlines()}
    assert re.fullmatch(r"numbers: list, length 3, \d+ bytes", lines["numbers"])
    assert re.fullmatch(r"word: str, length 4, \d+ bytes", lines["word"])
    assert lines["table"] == "table: numpy.ndarray, shape (2, 3), 48 bytes"
    assert "Raising: type" in lines["Raising"]
    for name in ("_hidden", "time", "math", "numpy", "In", "Out", "get_ipython", "exit", "quit", "open"):
        assert name not in lines


@pytest.mark.long
def test_no_variables(fresh_kernel: Kernel, api: MessagesAPI) -> None:
    """In a new kernel there is nothing to list, and it says so."""
    fresh_kernel.run("%load_ext claude_magic")
    answered(fresh_kernel, tool("list_variables"))
    assert last(api) == "There are no variables yet."


@pytest.mark.parametrize("kind", ["Raising", "Exiting", "Masked", "Blocking"])
def test_list_odd_variables(kernel_with_names: Kernel, api: MessagesAPI, kind: str) -> None:
    """An object whose `__len__`, `shape` or `__class__` raises is listed all the same, with the others."""
    kernel_with_names.run(f"odd = {kind}()")
    answered(kernel_with_names, tool("list_variables"))
    assert f"odd: {kind}" in last(api)
    assert "numbers: list" in last(api)


def test_listing_runs_nothing(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """Nothing of an object's own is run to list it: its length, its shape or its size may be a query."""
    kernel_with_names.run(LAZY)
    answered(kernel_with_names, tool("list_variables"))
    lines = last(api).splitlines()
    assert {"lazy: Lazy", "rows: Rows", "chart: Chart"} <= set(lines)
    assert kernel_with_names.value("ran") == []


@pytest.mark.short
def test_inspect(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """It shows what the notebook would: text, or Markdown where the object has it; unasked."""
    assert inspected(kernel_with_names, api, "numbers") == "[1, 2, 3]"
    kernel_with_names.run("written, bundled = Written(), Bundled()")
    assert inspected(kernel_with_names, api, "written") == "**bold** words"
    assert "of a bundle" in inspected(kernel_with_names, api, "bundled")
    assert "Written" in inspected(kernel_with_names, api, "Written")


def test_secrets_are_masked(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """What looks like a credential, or is called one, is masked in whatever a tool of the kernel tells, which says so."""
    password, token = "tr0ub4dor" + "&3", "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
    kernel_with_names.run(
        f"password = {password!r}\ndb_passwords = [{password!r}]\napi_keys = {{'a': {token!r}}}\n"
        f"url = 'postgres://ada:{password}@db'\nplain = {{'token': {token!r}, 'word': 'good'}}\nword = 'password'\n"
        f"import pandas\nframe = pandas.DataFrame({{'user': ['ada'], 'password': [{password!r}], 'api_token': [{token!r}]}})\n"
        f"padded = 'x' * 2660 + ' {token} ' + 'y' * 3000\ncode = b'{token}'"
    )
    kernel_with_names.run("print(plain)")
    number = kernel_with_names.value("max(In_ for In_ in range(len(In)) if In[In_] == 'print(plain)')")
    for name in ("password", "api_keys", "frame", "url", "plain", "padded", "code"):
        text = inspected(kernel_with_names, api, name)
        assert "[credential]" in text or name == "padded", (name, text)
        assert "Masked here: credentials. In the kernel the values are as they are." in text
    assert inspected(kernel_with_names, api, "word") == "'password'"
    ran(kernel_with_names, f"copy = {password!r}\nprint(plain)\nplain['token']")
    assert last(api).count("[credential]") == 2
    assert "Masked here" in last(api)
    assert kernel_with_names.value("copy") == password  # what runs is not changed
    answered(kernel_with_names, tool("read_cells", numbers=[number]) + "<<say done>>")
    assert "'word': 'good'" in last(api)
    assert token[:16] not in json.dumps([block["content"] for block in results(api)])


def test_inspect_a_table(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """A DataFrame is shown as a table with its size."""
    kernel_with_names.run("import pandas; table = pandas.DataFrame({'age': range(500), 'name': 'x'})")
    text = inspected(kernel_with_names, api, "table")
    assert "age" in text
    assert "500 rows" in text


def test_inspect_what_cells_made(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """A class is shown as its source, an error with its cell and traceback, under the numbers that the person sees."""
    kernel_with_names.run("class Methodless:\n    size = 1")
    assert inspected(kernel_with_names, api, "Methodless") == "class Methodless:\n    size = 1"
    kernel_with_names.run("number = 0\n1 / number")
    kernel_with_names.run("import sys; error = sys.last_value")
    text = inspected(kernel_with_names, api, "error")
    assert re.match(r"Cell In\[\d+\]:\n```\nnumber = 0\n1 / number\n```\n\nTraceback", text), text
    assert "interactiveshell" not in text
    assert text.endswith("ZeroDivisionError: division by zero")


def test_max_chars(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """Long text is cut in the middle, saying how much is missing; `max_chars` says where."""
    kernel_with_names.run("long = 'a' * 10_000 + 'z'")
    short = inspected(kernel_with_names, api, "long", max_chars=100)
    assert len(short) < 160
    assert "characters left out" in short
    assert short.endswith("z'")
    assert 3_900 < len(inspected(kernel_with_names, api, "long")) < 4_100


@pytest.mark.parametrize("name", ["missing", "numbers[0]", "__import__('os')", "In", ""])
def test_inspect_what_is_no_variable(kernel_with_names: Kernel, api: MessagesAPI, name: str) -> None:
    """What is no name of the user's is an error that says where the names are; nothing is evaluated."""
    text = inspected(kernel_with_names, api, name)
    assert "list_variables" in text
    assert results(api)[-1]["is_error"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Raising", "ValueError: no repr here"),
        ("Blocking", "longer than"),
        ("Looping", "longer than"),
        ("Stubborn", "longer than"),
        ("Exiting", "SystemExit"),
        ("Masked", "Masked"),
    ],
)
def test_inspect_odd_objects(kernel_with_names: Kernel, api: MessagesAPI, kind: str, said: str) -> None:
    """A `__repr__` that raises, blocks or exits is an error that Claude reads; the turn goes on."""
    kernel_with_names.run(f"odd = {kind}()")
    cell = start(kernel_with_names, tool("inspect_variable", name="odd") + "<<say done>>")
    try:
        result = cell.wait(8)
    except TimeoutError:
        kernel_with_names.restart()
        kernel_with_names.run("%load_ext claude_magic")
        raise
    assert result.ok, result.outputs
    assert said in last(api)
    assert "done" in result.text


def test_inspect_prints_nothing(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """What a `__repr__` prints lands neither in the cell nor before Claude."""
    kernel_with_names.run("odd = Printing()")
    result = answered(kernel_with_names, tool("inspect_variable", name="odd"))
    assert last(api) == "Printing()"
    assert "printed by repr" not in result.stdout


def test_inspect_a_figure(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """A figure reaches the API as an image."""
    made = kernel_with_names.run("import matplotlib.pyplot as plt\nfigure, axes = plt.subplots(figsize=(1, 1))\nplt.close()")
    assert made.ok, made.outputs
    inspected(kernel_with_names, api, "figure")
    (image,) = images(results(api)[-1])
    assert image["source"]["media_type"] == "image/png"
    assert image["source"]["data"].startswith("iVBOR")


# Running


def test_arguments_that_nobody_uses(shared_session: Kernel, api: MessagesAPI) -> None:
    """A call of our tools with an argument that they do not have is refused: it could pass for the code that runs."""
    more = json.dumps({"code": "evil = 1", "command": "df.describe()"})
    answered(shared_session, f"<<tool mcp__kernel__run_code {more}>><<say done>>", RUN)
    assert "Additional properties are not allowed" in last(api)
    assert shared_session.value("'evil' in globals()") is False


@pytest.mark.short
def test_run_code_asks(shared_session: Kernel, api: MessagesAPI) -> None:
    """Code runs only after a yes, in the user's own namespace; its output is under the cell and goes back to Claude."""
    shared_session.run("mine = 40")
    cell = start(shared_session, code("mine += 1\nprint('printed', mine)\nmine + 1") + "<<say done>>")
    cell.wait_for(
        lambda _: any(state["description"] == "Allow once" for state in shared_session.widgets_named("ButtonModel").values())
    )
    assert "printed 41" not in cell.result.stdout
    shared_session.click("Allow once")
    result = cell.wait()
    assert result.ok, result.outputs
    assert "printed 41" in result.stdout
    assert any(output["data"]["text/plain"] == "42" for output in result.displays)
    assert last(api) == "printed 41\n42"
    assert shared_session.value("mine") == 41


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_run_code_is_a_cell(shared_session: Kernel, api: MessagesAPI, notebook_dir: Any, kind: str) -> None:
    """Magics, shell commands, stderr and displays work as in a cell, and Claude reads what they gave."""
    prompt = code("%pwd") + code("!echo from the shell") + code("import sys; print('to stderr', file=sys.stderr)")
    prompt += code("from IPython.display import Markdown, display\ndisplay(Markdown('**shown**'))") + "<<say done>>"
    result = start(shared_session, prompt, RUN, kind=kind).wait()
    assert result.ok, result.outputs
    pwd, shell, stderr, shown = [told(block) for block in results(api)[-4:]]
    assert str(notebook_dir) in pwd
    assert "from the shell" in shell
    assert "to stderr" in stderr
    assert "to stderr" in result.stderr
    assert "**shown**" in shown
    assert "done" in result.displays[-1]["data"]["text/plain"]


@pytest.mark.parametrize("kind", ["async", "sync", "headless"])
def test_output_stands_where_claude_speaks_of_it(shared_session: Kernel, kind: str) -> None:
    """What code shows stands behind the call and above the text about it; the last part says what the turn came to."""
    prompt = f"<<say Before.>>{code('print(41)')}{code('quiet = 1')}<<say Between.>>{code('print(42); 1 / 0')}<<say After.>>"
    if kind == "headless":
        result = answered(shared_session, prompt, RUN, allow_stdin=False)
    else:
        result = start(shared_session, prompt, RUN, kind=kind).wait()
    assert result.ok, result.outputs
    shown = [output.get("text") or output.get("ename") or output["data"]["text/plain"] for output in result.outputs]
    shown = shown[:-1] if kind == "sync" else shown  # the time that it took
    before, first, between, second, error, after = shown
    assert before.startswith("Before.")
    assert "print(41)" in before
    assert (first.strip(), second.strip(), error) == ("41", "42", "ZeroDivisionError")
    assert "quiet = 1" in between
    assert between.index("Between.") < between.index("print(42)")
    assert after.startswith("After.")
    told = [output["metadata"].get("claude_magic") for output in result.displays]
    assert told[:-1] == [None, None]
    assert told[-1]["turn"] >= 1
    assert dict(shared_session.widgets) == {}


def test_run_code_awaits(shared_session: Kernel, api: MessagesAPI) -> None:
    """Top-level `await` works."""
    result = ran(shared_session, "import asyncio\nawait asyncio.sleep(0.01)\nprint('awaited')\n'value'")
    assert "awaited" in result.stdout
    assert last(api) == "awaited\n'value'"


@pytest.mark.short
def test_run_code_raises(shared_session: Kernel, api: MessagesAPI) -> None:
    """An error is shown as always and its traceback goes back to Claude, without colours; the turn goes on."""
    result = ran(shared_session, "def divide(n):\n    return 1 / n\ndivide(0)")
    assert [error["ename"] for error in result.errors] == ["ZeroDivisionError"]
    assert results(api)[-1]["is_error"]
    assert "ZeroDivisionError: division by zero" in last(api)
    assert "divide(0)" in last(api)
    assert "\x1b" not in last(api)


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_run_code_value_that_cannot_be_shown(kernel_with_names: Kernel, api: MessagesAPI, kind: str) -> None:
    """Of a last value whose `__repr__` raises Claude is told that it cannot be shown, and why; code and turn went well."""
    result = start(kernel_with_names, code("odd = Raising()\nodd") + "<<say done>>", RUN, kind=kind).wait()
    assert result.ok, result.outputs
    assert "cannot be shown: ValueError: no repr here" in last(api)
    assert not results(api)[-1].get("is_error")
    assert "done" in result.text
    assert kernel_with_names.value("type(odd).__name__") == "Raising"


def test_a_value_of_the_cell_before(kernel_with_names: Kernel) -> None:
    """A cell whose value cannot be shown fails, as always; asking Claude in the next one does not."""
    assert not kernel_with_names.run("Raising()").ok
    answered(kernel_with_names, "why?")
    assert not kernel_with_names.run("%claude why?\nRaising()").ok


def test_run_code_value_is_shown_once(kernel_with_names: Kernel, api: MessagesAPI) -> None:
    """A last value is formatted once, for the cell and for Claude: what its `__repr__` prints comes once."""
    result = ran(kernel_with_names, "Counted()")
    assert kernel_with_names.value("Counted.shown") == 1
    assert result.stdout.count("printed by repr") == 1
    assert last(api) == "printed by repr\nCounted()"


@pytest.mark.parametrize("text", ["1 +", "raise SystemExit(2)", "%nosuchmagic", "import asyncio\nawait asyncio.sleep(0)\n1/0"])
def test_run_code_fails_otherwise(shared_session: Kernel, api: MessagesAPI, text: str) -> None:
    """Code that does not parse, exits, or names no magic is an error for Claude; the turn goes on."""
    result = ran(shared_session, text)
    assert "done" in result.text
    assert results(api)[-1]["is_error"], last(api)
    assert re.search("SyntaxError|SystemExit|UsageError|ZeroDivisionError", last(api)), last(api)


def test_long_output(shared_session: Kernel, api: MessagesAPI) -> None:
    """Output that is too long is cut in the middle for Claude, saying how much; the person sees all of it."""
    result = ran(shared_session, "print('begin' + 'x' * 50_000 + 'end')")
    assert "begin" + "x" * 50_000 + "end" in result.stdout
    assert last(api).startswith("begin")
    assert last(api).endswith("end")
    assert re.search(r"3\d,\d{3} characters left out", last(api))
    assert len(last(api)) < 21_000


@pytest.mark.parametrize("way", ["show", "left open", "after await", "value"])
def test_plot_reaches_the_api(shared_session: Kernel, api: MessagesAPI, way: str) -> None:
    """A plot appears under the cell, once, and Claude gets it as an image."""
    draw = "import matplotlib.pyplot as plt, asyncio\nplt.figure(figsize=(1, 1))\nplt.plot([1, 2]);"
    text = {
        "show": f"{draw}\nplt.show()",
        "left open": draw,
        "after await": f"{draw}\nawait asyncio.sleep(0)",
        "value": f"{draw}\nfigure = plt.gcf(); plt.close()\nfigure",
    }[way]
    result = ran(shared_session, text)
    assert [image["source"]["media_type"] for image in images(results(api)[-1])] == ["image/png"]
    assert len([output for output in result.displays if "image/png" in output["data"]]) == 1


def test_input_in_code(shared_session: Kernel, api: MessagesAPI) -> None:
    """Code may ask the person by `input()`."""
    result = ran(shared_session, "print('hello', input('Who? '))", answer="Ada")
    assert result.prompts == ["Who? "]
    assert "hello Ada" in last(api)


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("text", ["while True: pass", "import time; time.sleep(600)"])
def test_interrupt_stops_code(shared_session: Kernel, text: str, kind: str) -> None:
    """An interrupt ends the code and the turn within a second; the next cell continues the session."""
    session = session_of(answered(shared_session, "one", RUN))
    cell = start(shared_session, code(f"print('going', flush=True)\n{text}") + "<<say never>>", RUN, kind=kind)
    going(cell)
    result = stopped(cell, shared_session.interrupt)
    assert "never" not in result.displays[0]["data"]["text/plain"]
    assert session_of(answered(shared_session, "two")) == session


@pytest.mark.parametrize("way", ["interrupt", "Stop"])
def test_awaiting_code_is_stopped(shared_session: Kernel, way: str) -> None:
    """Code that awaits is ended by an interrupt, and by Stop, which can be clicked meanwhile."""
    text = "import asyncio; after = False; print('going', flush=True)\nawait asyncio.sleep(600); after = True"
    cell = start(shared_session, code(text) + "<<say never>>", RUN)
    going(cell)
    result = stopped(cell, shared_session.interrupt if way == "interrupt" else lambda: shared_session.click("Stop"))
    assert "never" not in result.displays[0]["data"]["text/plain"]
    assert shared_session.value("after") is False
    answered(shared_session, "two")


def test_interrupts_work_afterwards(shared_session: Kernel) -> None:
    """After code of Claude's an interrupt of another cell, and of a turn, works as before."""
    ran(shared_session, "1")
    cell = shared_session.start("print('going', flush=True)\nwhile True: pass")
    going(cell)
    shared_session.interrupt()
    assert cell.wait().errors[0]["ename"] == "KeyboardInterrupt"
    cell = start(shared_session, "<<say The beginning.>><<hang>>")
    cell.wait_for(lambda _: "The beginning." in on_page(shared_session))
    shared_session.interrupt()
    failure(cell.wait(), "TurnInterrupted")


@pytest.mark.parametrize(
    "text", ["%claude hi", "%%claude\nhi", "%claude --new hi", "get_ipython().run_line_magic('claude', 'hi')"]
)
def test_code_starts_no_turn(shared_session: Kernel, api: MessagesAPI, text: str) -> None:
    """Code of Claude's cannot start another turn: it is refused with an error that says so, and nothing is sent."""
    cell = start(shared_session, code(text) + "<<say done>>", RUN)
    try:
        result = cell.wait()
    except TimeoutError:
        shared_session.interrupt()
        try:
            cell.wait()
        except TimeoutError:
            shared_session.restart()
        raise
    assert result.ok, result.outputs
    assert "hi" not in [prompts[-1] for prompts in api.prompts()]
    assert results(api)[-1]["is_error"]
    assert re.search("turn", last(api)), last(api)
    assert "done" in result.text


# Adding


def test_add_cell(shared_session: Kernel, api: MessagesAPI) -> None:
    """A proposed cell comes below the running one; several become one, with separators; nothing runs."""
    result = answered(shared_session, tool("add_cell", source="added = 1\n") + "<<say done>>", ADD)
    (payload,) = result.payload
    assert payload["source"] == "set_next_input"
    assert payload["text"] == "added = 1"
    assert payload["replace"] is False
    result = answered(shared_session, tool("add_cell", source="one = 1") + tool("add_cell", source="two = 2"), ADD)
    texts = [payload["text"] for payload in result.payload if payload["source"] == "set_next_input"]
    assert len(texts) == 1, texts
    assert re.fullmatch(r"one = 1\n\n# .*\n\ntwo = 2", texts[0]), texts[0]
    assert not answered(shared_session, "and now").payload
    assert "added" not in shared_session.value("list(globals())")


def test_add_cell_in_a_blocking_cell(shared_session: Kernel) -> None:
    """Under `%%time` a cell can be proposed, too."""
    result = start(shared_session, tool("add_cell", source="added = 1"), ADD, kind="sync").wait()
    assert [payload["text"] for payload in result.payload] == ["added = 1"]


# Without


def test_offered_at_once(shared_session: Kernel, api: MessagesAPI) -> None:
    """The tools are in the first request as they are, not to be searched for; the schema says what each takes."""
    answered(shared_session, "one", "--new")
    offered = {tool["name"]: tool for tool in api.requests[-1]["tools"]}
    for name, required in {
        "list_variables": [],
        "inspect_variable": ["name"],
        "run_code": ["code"],
        "add_cell": ["source"],
    }.items():
        tool = offered[f"mcp__kernel__{name}"]
        assert not tool.get("defer_loading")
        assert tool["input_schema"].get("required", []) == required


def test_no_kernel(shared_session: Kernel, api: MessagesAPI) -> None:
    """`--no-kernel` offers none of these tools, in its cell alone."""
    answered(shared_session, "one", "--new")
    assert "mcp__kernel__run_code" in json.dumps(api.requests[-1])
    answered(shared_session, "two", "--new --no-kernel")
    assert "mcp__kernel" not in json.dumps(api.requests[-1])
    shared_session.run("secret = 'in the kernel'")
    answered(shared_session, tool("inspect_variable", name="secret"), "--no-kernel")
    assert "in the kernel" not in json.dumps(api.requests[-1])
    answered(shared_session, "three", "--new")
    assert "mcp__kernel__run_code" in json.dumps(api.requests[-1])


def test_no_kernel_in_the_same_session(shared_session: Kernel, api: MessagesAPI) -> None:
    """Within one session `--no-kernel` takes the tools away and the next cell has them again."""
    session = session_of(answered(shared_session, "one"))
    shared_session.run("number = 12345")
    assert session_of(answered(shared_session, tool("inspect_variable", name="number"), "--no-kernel")) == session
    assert "12345" not in last(api)
    assert session_of(answered(shared_session, tool("inspect_variable", name="number"))) == session
    assert "12345" in last(api)
