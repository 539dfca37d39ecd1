"""The tool `read_cells`: the notebook in order, Markdown and what has not run among it, as kernel and file know it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.notebook.cell_reading import MAX_CHARACTERS, MAX_FILE_BYTES, MAX_IMAGES, read_cells
from claude_magic._kernel.notebook.ran_cells import RanCells

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
KEY = "sk-ant-api03-" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY" * 2 + "AA"


class Page:
    """A notebook's file, and a shell in which some of its cells have run."""

    def __init__(self, shell: InteractiveShell, path: Path) -> None:
        self.shell, self.path = shell, path
        self.cells = RanCells(shell)
        self.saved: list[Any] = []

    def run(self, code: str, cell_id: str | None = None) -> int:
        self.cells.begin(code, cell_id=cell_id)
        number = self.cells.number
        self.cells.end(self.shell.run_cell(code, store_history=True))
        self.cells.begin()
        return number

    def save(self, *cells: Any) -> None:
        nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), self.path)

    def listed(self) -> list[str]:
        return read_cells(self.cells, self.path, (), (), 1000)[0].splitlines()

    def read(self, *positions: int, numbers: tuple[int, ...] = (), limit: int = 1000) -> str:
        return read_cells(self.cells, self.path, numbers, positions, limit)[0]

    def say(self, kind: str, /, **content: Any) -> None:
        """Let the running cell send a message, as ipykernel's publisher tells its hooks."""
        self.cells._displayed({"header": {"msg_type": kind}, "content": content})


@pytest.fixture
def page(shell: InteractiveShell, tmp_path: Path) -> Iterator[Page]:
    shell.reset()
    page = Page(shell, tmp_path / "page.ipynb")
    yield page
    page.cells.close()


def code(source: str, *outputs: Any, **options: Any) -> Any:
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), **options)


def output(**data: Any) -> Any:
    return nbformat.v4.new_output("display_data", data={name.replace("_", "/"): value for name, value in data.items()})


def test_in_order(page: Page) -> None:
    """A line for each cell as they stand in the file: what has run by its number, the rest by what is saved of it."""
    page.run("x = 6\nx * 7")
    page.run("print('changed')", cell_id="changed")
    page.run("y = 1")
    page.save(
        nbformat.v4.new_markdown_cell("# Title\n\nWords"),
        code("x = 6\nx * 7"),
        code("%%claude\nWhat is it?", output(text_plain="An answer")),
        code("print('new')", id="changed"),
        code("z = 1", nbformat.v4.new_output("stream", text="printed\n"), output(image_png=PNG)),
        nbformat.v4.new_raw_cell(""),
    )
    assert page.listed() == [
        "page.ipynb, as saved: # is a cell's position.",
        "#1 markdown: # Title (+1 lines)",
        "#2 In [1] x = 6 (+1 lines) -> int, 28 bytes: 42;",
        "#3 a prompt: %%claude (+1 lines)",
        "#4 code, not run in this kernel: print('new') (changed since In [2])",
        "#5 code, not run in this kernel: z = 1 -> saved: printed; figure;",
        "#6 raw: (empty)",
        "Earlier runs, and cells that are not in the file:",
        "In [3] y = 1 -> no output",
    ]


def test_in_full(page: Page) -> None:
    """Cells are read by their place in the file: Markdown, code that ran, saved outputs of what did not, with figures."""
    page.run("print('from the kernel')")
    error = nbformat.v4.new_output("error", ename="ValueError", evalue="bad", traceback=["\x1b[31mValueError\x1b[0m: bad"])
    pasted = nbformat.v4.new_markdown_cell("![](attachment:a.png)", attachments={"a.png": {"image/png": PNG}})
    table = "<table><tr><td>1</td></tr></table>"
    page.save(
        nbformat.v4.new_markdown_cell("# Title\n\nWords"),
        code("print('from the kernel')"),
        code("z", output(image_png=PNG, text_plain="<Figure>"), error, output(text_html=table)),
        pasted,
    )
    text, images = read_cells(page.cells, page.path, (), (1, 2, 3, 4, 9), 1000)
    assert "#1, markdown:\n```\n# Title\n\nWords\n```" in text
    assert "#2, In [1]:\n```\nprint('from the kernel')\n```\nPrinted:\n```\nfrom the kernel\n```" in text
    assert "Saved output:\n```\nfigure\n```\nSaved output:\n```\nValueError: bad\n```\nSaved output:\n```\n| 1 |" in text
    assert "There is no cell #9: page.ipynb has 4 as saved." in text
    assert [image.data for image in images] == [PNG, PNG]


BROKEN = {
    "no JSON": b"{",
    "binary": b"\xff\xfe\0\1",
    "a list": b"[]",
    "old": b'{"worksheets": []}',
    "deep": b"[" * 100_000,
    "empty": b"",
    "large": b" " * (MAX_FILE_BYTES + 1),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_files(page: Page, data: bytes) -> None:
    """A file that is broken, or huge, is told of, and what has run is listed all the same."""
    page.run("x = 1")
    page.path.write_bytes(data)
    first, second = page.listed()
    assert first.startswith("page.ipynb ")
    assert first.endswith(" These cells have run:")
    assert second == "In [1] x = 1 -> no output"
    assert page.read(1) + " These cells have run:" == first


ODD: list[Any] = [
    None,
    7,
    {},
    {"cell_type": 3, "source": {"a": 1}, "outputs": "x", "id": 5, "attachments": [1]},
    {
        "cell_type": "code",
        "source": ["a", 1],
        "outputs": [None, 3, {}, {"data": 3}, {"data": {"text/plain": 3}}, {"output_type": "error", "traceback": 7}],
    },
    {"cell_type": "markdown", "source": "x", "attachments": {"a": 1, "b": {"image/png": 3}}},
]


def test_odd_cells(page: Page) -> None:
    """Cells that no frontend writes are read as far as they go."""
    page.path.write_text(json.dumps({"cells": ODD}))
    assert len(page.listed()) == 1 + len(ODD)
    assert page.read(*range(1, 1 + len(ODD)))


def test_without_a_file(page: Page) -> None:
    """Where the file is not known, or gone, that is said."""
    assert "is not known" in read_cells(page.cells, None, (), (1,), 1000)[0]
    assert "cannot be read" in page.read(1)


@pytest.mark.long
def test_it_is_bounded(page: Page) -> None:
    """However many cells are read, and however long they are, the result has an end, and says what is left out."""
    cells = [code(f"x = {number}", output(text_plain="y" * 5000), output(image_png=PNG)) for number in range(1000)]
    page.save(*cells)
    assert page.listed()[-1] == "… 700 more; read them by their positions …"
    text, images = read_cells(page.cells, page.path, (), range(1, 500), 10**9)
    assert len(text) < MAX_CHARACTERS + 1000
    assert 0 < len(images) <= MAX_IMAGES
    assert "more cells are left out; read them in a call of their own" in text


def test_secrets_of_the_file(page: Page) -> None:
    """A secret in Markdown, code or a saved output is masked, also where it is cut."""
    page.save(
        nbformat.v4.new_markdown_cell(f"my key {KEY}"),
        code(f"key = '{KEY}'", output(text_plain=f"{'x' * 80} {KEY}"), output(text_html=f"<p>{'x' * 90} {KEY}</p>")),
    )
    told = "\n".join([*page.listed(), *(page.read(1, 2, limit=limit) for limit in range(6, 240, 6))])
    assert KEY[13:21] not in told
    assert KEY[-10:] not in told


def shown_in(page: Page, number: int) -> str:
    return read_cells(page.cells, None, (number,), (), 1000)[0]


def test_displays_of_a_cell(page: Page) -> None:
    """What a cell displays is told by what can be read of it, an updated one as it is last."""
    page.cells.begin("displays")
    page.say("display_data", data={"text/plain": "<HTML object>", "text/html": "<p>Some words</p>"})
    page.say("display_data", data={"text/plain": "first"}, transient={"display_id": "a"})
    page.say("update_display_data", data={"text/plain": "last"}, transient={"display_id": "a"})
    page.say("update_display_data", data={"text/plain": "nobody's"}, transient={"display_id": "b"})
    page.shell.run_cell("displays = 1", store_history=True)
    page.cells.begin()
    text = shown_in(page, 1)
    assert "Displayed:\n```\nSome words\n```\nDisplayed:\n```\nlast\n```" in text
    assert "first" not in text
    assert "nobody's" not in text


def test_a_display_that_changes_later(page: Page) -> None:
    """The line about a cell says what its display shows now, also if a later cell has updated it."""
    page.shell.user_ns["say"] = page.say
    page.run("say('display_data', data={'text/plain': 'first'}, transient={'display_id': 'a'})")
    assert page.listed()[1].endswith("-> first;")
    page.run("say('update_display_data', data={'text/plain': 'last'}, transient={'display_id': 'a'})")
    assert page.listed()[1].endswith("-> last;")


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("goes_on", [False, True])
def test_cleared(page: Page, *, waits: bool, goes_on: bool) -> None:
    """What a cell has cleared is not told, also of a stream; a clearing that waits takes effect when something comes."""
    page.shell.user_ns["say"] = page.say
    lines = [
        "for number in range(30):",
        f"    say('clear_output', wait={waits})",
        "    print('step', number)",
        "    say('display_data', data={'text/plain': f'shown {number}'})",
        *([f"say('clear_output', wait={waits})"]),
        *(["print('at last')"] if goes_on else []),
    ]
    text = shown_in(page, page.run("\n".join(lines)))
    stays = waits and not goes_on
    assert ("step 29" in text, "shown 29" in text) == (stays, stays)
    assert ("Printed:\n```\nat last\n```" in text) is goes_on
    assert "step 28" not in text
    assert "shown 28" not in text


def test_the_newest_displays_stay(page: Page) -> None:
    """Of what is displayed the newest stays, up to a few megabytes, the last one whole; of the rest a line."""
    for number in range(60):
        page.cells.begin(f"cell {number}")
        bundle = {"text/html": f"<p>{number} {'A' * 400_000}</p>"}
        page.say("display_data", data=bundle)
        page.shell.run_cell(f"value = {number}", store_history=True)
    page.cells.begin("large")
    page.say("display_data", data={"image/png": PNG + "A" * 9_000_000})
    page.shell.run_cell("large = 1", store_history=True)
    page.cells.begin()
    assert sum(page.cells._sizes.values()) < 10_000_000
    assert len(read_cells(page.cells, None, (61,), (), 1000)[1]) == 1
    assert "Displayed:\n```\n0 AAA" in shown_in(page, 1)
    # The conversation's own displays are not kept.
    page.cells.begin("%%claude\nhello")
    page.say("display_data", data={"text/plain": "a reply"})
    assert len(page.cells._displays) == 61
