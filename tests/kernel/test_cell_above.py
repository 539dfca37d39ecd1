"""What did the cell above show, and why does it look odd? Claude gets its output and its figure, wherever the notebook is."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import answered
from messages_api import MessagesAPI
from PIL import Image
from rig.kernel import Kernel
from test_kernel_tools import images, results, told
from test_notebook_outline import context

QUESTION = "What did the cell above show, and why does it look odd?"
ANSWER = "The lowest of the 12 rows lies far below the others."
ABOVE = """\
import matplotlib.pyplot as plt
sales = [30] * 11 + [-400]
print(f"{len(sales)} rows, the lowest is {min(sales)}")
plt.figure(figsize=(2, 1))
plt.bar(range(12), sales)
plt.show()"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a frontend tells of the cells that it runs."""

    cell_ids: tuple[str | None, str | None]
    allow_stdin: bool = True
    is_vs_code: bool = False


VS_CODE = "vscode-notebook-cell:/notebooks/page.ipynb#W{}sZmlsZQ%3D%3D"
PLACES = {
    "JupyterLab": Place(("0d5bd3f6-67af-4beb-9e40-ce40ce9b9139", "46c419b8-5fec-4acc-8313-0d5bd3f667af")),
    "Notebook 7": Place(("0d5bd3f6", "46c419b8")),
    "VS Code": Place((VS_CODE.format(1), VS_CODE.format(2)), is_vs_code=True),
    "nbclient": Place((None, None), allow_stdin=False),
}


@pytest.fixture
def page(kernel: Kernel, notebook_dir: Path) -> Iterator[Path]:
    """The notebook's file, as it is saved while its cells run."""
    path = notebook_dir / "notebook.ipynb"
    yield path
    path.unlink(missing_ok=True)


def seen(result: dict[str, Any]) -> Image.Image:
    """Return the one image of a tool's result."""
    (image,) = images(result)
    picture = Image.open(io.BytesIO(base64.b64decode(image["source"]["data"])))
    picture.load()
    return picture


@pytest.mark.parametrize("name", PLACES)
def test_the_cell_above(loaded_kernel: Kernel, api: MessagesAPI, page: Path, name: str) -> None:
    """Its output goes along with the question; the tool gives its figure, and the Markdown around it; the prompt shows both."""
    kernel, place = loaded_kernel, PLACES[name]
    heading = nbformat.v4.new_markdown_cell("# Sales of the shop")
    cells = [heading, nbformat.v4.new_code_cell(ABOVE), nbformat.v4.new_code_cell("never_ran = 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), page)
    assert kernel.run("import matplotlib.pyplot").ok  # which may have something to say the first time
    if place.is_vs_code:
        assert kernel.run(f"__vsc_ipynb_file__ = {str(page)!r}").ok
    number = kernel.run(ABOVE, cell_id=place.cell_ids[0], allow_stdin=place.allow_stdin).reply["execution_count"]
    calls = [{"numbers": [number]}, {}, {"positions": [1, 3]}]
    script = "".join(f"<<tool mcp__kernel__read_cells {json.dumps(call)}>>" for call in calls)
    prompt = f"{QUESTION} {script}<<say {ANSWER}>>"
    result = answered(kernel, prompt, cell_id=place.cell_ids[1], allow_stdin=place.allow_stdin)
    assert f"In [{number}] import matplotlib.pyplot as plt (+5 lines) -> printed '12 rows, the lowest is -400';" in context(api)
    assert "figure;" in context(api)
    above, listed, around = results(api)[-3:]
    assert "Printed:\n```\n12 rows, the lowest is -400\n```" in told(above)
    assert seen(above).width > 100
    assert f"#1 markdown: # Sales of the shop\n#2 In [{number}] import matplotlib" in told(listed)
    assert "#3 code, not run in this kernel: never_ran = 1" in told(listed)
    assert "# Sales of the shop" in told(around)
    assert ANSWER in result.text
    assert re.search(r"with (\d+ of the )?cells? ", result.text)
    shown = kernel.run("%claude_session show --prompt").stdout
    assert shown.index("the lowest is -400") < shown.index(QUESTION)
    if place.is_vs_code:
        assert kernel.run("del __vsc_ipynb_file__").ok
