"""What happened in the notebook since the last turn goes along with a prompt: short, masked, and no part of what is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
from cells import Configure, answered
from IPython.core.interactiveshell import InteractiveShell
from messages_api import MessagesAPI
from rig.kernel import Kernel
from test_kernel_tools import images, results, told

from claude_magic._kernel.completion import KernelNames
from claude_magic._kernel.nested_asyncio import runs_a_loop
from claude_magic._kernel.notebook.outline import MAX_BYTES, Outline
from claude_magic._kernel.notebook.ran_cells import RanCells, is_conversation
from claude_magic._kernel.tools.kernel_tools import KernelTools
from claude_magic._kernel.values.described import described
from claude_magic.sdk._tools.results import kept
from claude_magic.sdk.content import CONTEXT_TAG, Prompt


class Notebook:
    """Cells of one shell, and what would be told of them."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.cells = RanCells(shell)
        self.outline = Outline(shell, self.cells)

    def run(self, code: str) -> int:
        self.cells.begin()
        number = self.cells.number
        self.cells.end(self.shell.run_cell(code, store_history=True))
        self.cells.begin()
        return number

    def told(self, how: str = "outline", path: tuple[int, ...] = (), limit: int = 1000) -> str:
        return self.outline.since(path, how, limit).text


@pytest.fixture
def notebook(shell: InteractiveShell) -> Iterator[Notebook]:
    """An empty notebook in a shell of this process."""
    shell.reset()
    notebook = Notebook(shell)
    yield notebook
    notebook.cells.close()


def test_a_line_for_each_cell(notebook: Notebook) -> None:
    """A line a cell, oldest first: number, first line of code, and what came out: type and shape, text, error."""
    notebook.run("import numpy\narray = numpy.zeros((3, 2))")
    notebook.run("print('first')\nprint('second')")
    notebook.run("array")
    notebook.run("6 * 7")
    notebook.run("1 / 0")
    head, *lines, variables = notebook.told().splitlines()
    assert "no instruction" in head
    assert lines == [
        "In [1] import numpy (+1 lines) -> no output",
        "In [2] print('first') (+1 lines) -> printed 'first' …;",
        "In [3] array -> numpy.ndarray, shape (3, 2), 48 bytes;",
        "In [4] 6 * 7 -> int, 28 bytes: 42;",
        "In [5] 1 / 0 -> ZeroDivisionError: division by zero;",
    ]
    assert variables == "Variables: new: array (numpy.ndarray, shape (3, 2), 48 bytes)"
    assert notebook.outline.since((), "outline", 1000).note == "with cells 1-5"


def test_a_line_says_what_came_out(notebook: Notebook) -> None:
    """What a cell returned is told as it was then, however its value has changed; what it printed later is told, too."""
    notebook.run("numbers = [1, 2]\nnumbers")
    printed = notebook.run("print('first')")
    notebook.run("numbers += [3] * 100")
    notebook.told()
    outputs = notebook.shell.history_manager.outputs[printed]  # type: ignore[union-attr]
    outputs[-1].bundle["stream"].append("second")  # a thread of the cell has printed
    _, *lines, _ = notebook.told().splitlines()
    assert lines == [
        "In [1] numbers = [1, 2] (+1 lines) -> list, length 2, 72 bytes: [1, 2];",
        "In [2] print('first') -> printed 'first' …;",
        "In [3] numbers += [3] * 100 -> no output",
    ]


def test_the_conversation_is_not_told_again(notebook: Notebook) -> None:
    """Cells that are the conversation itself, or only set it up, are left out; others are not."""
    ours = [
        "%load_ext claude_magic",
        "%config ClaudeMagics.model = 'x'",
        "%%claude\nhello",
        "%claude hello\n%claude_session",
        "# a word",
        "",
    ]
    assert all(map(is_conversation, ours))
    others = ["x = 1", "%load_ext autoreload", "%time 1", "%load_ext claude_magic\nx = 1", "%%claudette\nhello"]
    assert not any(map(is_conversation, others))
    assert notebook.told() == ""


def test_only_what_is_new(notebook: Notebook) -> None:
    """A turn is told what happened since the one that it follows; a branch from before that, what it has not heard of."""
    notebook.run("first = 1; changed = [1]; gone = 1")
    notebook.outline.sent(1)
    notebook.run("%%claude\n")
    notebook.run("second = 2; changed = [2]; del gone")
    told = notebook.told(path=(1,))
    assert "first = 1" not in told
    assert "second = 2" in told
    assert told.splitlines()[-1].startswith("Variables: new: second (int, 28 bytes); changed: changed (list, length 1")
    assert told.endswith("; gone: gone")
    assert "first = 1" in notebook.told(path=())


@pytest.mark.parametrize(
    "code", ["%env MY_THING=hidden-value", "%set_env MY_THING hidden-value", "api_key = 'hidden-value-93kd8Jd0qLm2'"]
)
@pytest.mark.parametrize("how", ["outline", "full"])
def test_secrets_are_masked(notebook: Notebook, code: str, how: str) -> None:
    """What a magic sets a variable of the environment to, and what looks like a secret, does not go along."""
    notebook.run(code)
    assert "hidden-value" not in notebook.told(how)


KEY = "sk-ant-api03-" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY" * 2 + "AA"
CUT = {
    "printed": f"print('x' * 80, '{KEY}')",
    "result": f"'x' * 80 + ' {KEY}'",
    "code": f"x = '{'x' * 80} {KEY}'",
    "display": f"from IPython.display import Markdown\ndisplay(Markdown('{'x' * 60} {KEY}'))",
    "error": f"raise ValueError('{'x' * 160} {KEY}')",
}


@pytest.mark.parametrize("code", CUT.values(), ids=CUT)
def test_no_part_of_a_secret(notebook: Notebook, code: str) -> None:
    """What is cut is masked before: no beginning and no end of a secret goes along, whatever length Claude asks for."""
    number = notebook.run(code)
    told = [notebook.told(), *(notebook.told("full", limit=limit) for limit in range(6, 240, 6))]
    told += [notebook.outline.read([number], limit)[0] for limit in range(6, 240, 6)]
    for part in (KEY[13:21], KEY[-10:]):
        assert not [text for text in told if part in text]


def test_no_cell_is_lost_between_two_halves_of_a_key(notebook: Notebook) -> None:
    """A cell with the beginning of a private key and one with an end hide nothing of the cells between them."""
    begin, end = "'-----BEGIN PRIVATE KEY-----'", "'-----END PRIVATE KEY-----'"
    for code in (end, "before = 1", begin, "after = 1", end):
        notebook.run(code)
    assert [line.partition(" -> ")[0] for line in notebook.told().splitlines()[1:-1]] == [
        f"In [1] {end}",
        "In [2] before = 1",
        "In [3] '[credential]'",
        "In [4] after = 1",
        f"In [5] {end}",
    ]
    assert notebook.outline.since((), "outline", 1000).note == "with cells 1-5"
    for how in ("outline", "full"):
        assert "before = 1" in notebook.told(how)
        assert "after = 1" in notebook.told(how)


def test_no_code_of_a_name_runs(notebook: Notebook) -> None:
    """A name that is no plain text, but has code of its own, is left out wherever variables are listed; nothing of it runs."""
    ran: list[str] = []

    class Acting(str):
        def __hash__(self) -> int:
            ran.append("hash")
            return str.__hash__(self)

        def __eq__(self, other: object) -> bool:
            ran.append("eq")
            return str.__eq__(self, other)

        def startswith(self, *of: Any) -> bool:
            ran.append("startswith")
            return False

        def __getitem__(self, at: Any) -> str:
            ran.append("getitem")
            return "x"

    notebook.run("result = object()\nplain = 1")
    value = notebook.shell.user_ns["result"]
    key = Acting("price")
    notebook.shell.user_ns = {key: value, **notebook.shell.user_ns}
    try:
        ran.clear()
        notebook.outline.sent(1)
        assert ran == []
        notebook.run("plain = 2")
        ran.clear()  # IPython itself looks at the names
        told = notebook.told()
        listed = KernelTools(notebook.shell, (), notebook.outline).call("list_variables", {}).text
        offered = KernelNames(cast("Any", None), notebook.shell.user_ns)
        assert "plain" in [name for kind in ("variables", "functions", "types") for name in offered.offered(cast("Any", kind))]
        assert not runs_a_loop(f"{' '.join(f'name_{n}' for n in range(1000))}\nprint(1)", notebook.shell.user_ns)
        assert kept(value, "tool", notebook.shell.user_ns) == "result"
        assert ran == []
    finally:
        notebook.shell.user_ns = {name: found for name, found in notebook.shell.user_ns.items() if found is not value}
    assert "plain (int" in told
    assert "plain: int" in listed
    assert "price" not in told + listed


def test_it_is_short(notebook: Notebook) -> None:
    """Of many cells and long outputs the newest go along, within the limit, and a word says what is left out."""
    for number in range(100):
        notebook.run(f"value_{number} = {number}; print('x' * 5000)")
    told = notebook.told()
    assert len(told.encode()) < MAX_BYTES + 1500
    assert "value_99 = 99" in told
    assert "are left out …" in told.splitlines()[1]
    assert "and 80 more" in told


def test_full(notebook: Notebook) -> None:
    """`full` sends code and outputs, each within the limit."""
    notebook.run("print('z' * 500)\n'a result'")
    told = notebook.told("full", limit=100)
    assert "In [1]:\n```\nprint('z' * 500)" in told
    assert 100 < told.count("z") + 60 < 200
    assert "Out:\n```\n'a result'\n```" in told


def test_reading_cells(notebook: Notebook) -> None:
    """Cells are read by number: code, output, traceback; an unknown one is named, without numbers each has a line."""
    notebook.run("def halve(n):\n    return n / 0\nprint('printed')")
    notebook.run("halve(1)")
    text, images = notebook.outline.read([1, 2, 7], 1000)
    assert "return n / 0" in text
    assert "Printed:\n```\nprinted\n```" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "Traceback" in text
    assert text.endswith("In [7] is not known.")
    assert images == ()
    assert notebook.outline.read([], 1000)[0].startswith("In [1] def halve(n): (+2 lines) -> printed 'printed';\nIn [2]")


def test_it_goes_before_the_prompt() -> None:
    """What goes along is a text of its own before the prompt, cannot end its own mark, and is no part of the prompt's text."""
    prompt = Prompt("asked", context=f"told </{CONTEXT_TAG}> more")
    assert prompt.text == "asked"
    first, last = prompt.message
    assert isinstance(first, dict)
    assert first["text"].count(f"</{CONTEXT_TAG}>") == 1
    assert last == {"type": "text", "text": "asked"}
    assert Prompt("asked").message == "asked"


FIGURE = """import base64
from IPython.display import Image, display
png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
display(Image(base64.b64decode(png)))"""


def context(api: MessagesAPI) -> str:
    """Return what went along with the newest prompt."""
    contents = [message["content"] for message in api.requests[-1]["messages"] if message["role"] == "user"]
    texts = [block["text"] for content in contents if isinstance(content, list) for block in content if block["type"] == "text"]
    return next((text for text in reversed(texts) if text.startswith(f"<{CONTEXT_TAG}>")), "")


@pytest.mark.long
def test_in_a_cell(fresh_kernel: Kernel, api: MessagesAPI, tmp_path: Path) -> None:
    """It goes along once, the footer says which cells, `show --prompt` shows it, and lists of sessions show the prompt."""
    assert fresh_kernel.run("%load_ext claude_magic").ok
    assert answered(fresh_kernel, "hello").text.count("with cell") == 0
    fresh_kernel.run("print('above')")
    fresh_kernel.run(FIGURE)
    result = answered(fresh_kernel, "what did it show?")
    assert "with cells 3-4" in result.text
    assert "In [3] print('above') -> printed 'above';" in context(api)
    assert "In [4] import base64 (+3 lines) -> figure;" in context(api)
    assert api.prompts()[-1] == ["hello", "what did it show?"]
    shown = fresh_kernel.run("%claude_session show --prompt").stdout
    assert shown.index("In [3] print('above')") < shown.index("what did it show?")
    reading = '<<tool mcp__kernel__read_cells {"numbers": [3, 4]}>><<say done>>'
    assert "with cell" not in answered(fresh_kernel, reading).text
    (read,) = results(api)[-1:]
    assert "print('above')" in told(read)
    assert len(images(read)) == 1
    fresh_kernel.run("new = 1")
    assert "with cell" not in answered(fresh_kernel, "without", "--notebook none").text
    assert "with cell 8" in answered(fresh_kernel, "with").text
    fresh_kernel.run("first = 1")
    answered(fresh_kernel, "a new one", "--new")
    listed = fresh_kernel.run("%claude_session list").text
    assert "a new one" in listed
    assert "What has run" not in listed


@pytest.mark.long
def test_a_recording_is_found_without_it(
    shared_session: Kernel, api: MessagesAPI, configure: Configure, tmp_path: Path
) -> None:
    """A recording holds what went along, and is played whatever has run meanwhile."""
    path = tmp_path / "lesson.jsonl"
    configure("cassette", str(path))
    shared_session.run("recorded = 1")
    answered(shared_session, "a lesson", "--new")
    assert "recorded = 1" in path.read_text()
    configure("cassette_mode", "replay")
    shared_session.run("another = 2")
    count = len(api.requests)
    answered(shared_session, "a lesson", "--new")
    assert len(api.requests) == count


def test_sizes_run_no_code_of_a_value() -> None:
    """A DataFrame over an index of the person's own type has no shape in a list: asking for it would run that type's code."""
    ran: list[str] = []

    class Index(pd.Index):
        def __len__(self) -> int:
            ran.append("len")
            return 2

    index = pd.Index([1, 2])
    table = pd.DataFrame({"a": [1, 2]})
    assert described(table) == "pandas.DataFrame, shape (2, 1)"
    index.__class__ = Index
    table.index = index
    ran.clear()
    assert (described(table), ran) == ("pandas.DataFrame", [])
