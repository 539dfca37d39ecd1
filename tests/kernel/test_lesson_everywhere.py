"""A recorded lesson is the same wherever it is played: in JupyterLab, Notebook 7, nbclient and terminal IPython."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import shown, without_times
from nbclient import NotebookClient
from rig.environment import offline_environment
from rig.kernel import Kernel
from rig.lab import LAB, NOTEBOOK_7, Application, Lab, why_not
from rig.leaks import Ledger

pytestmark = pytest.mark.long

REPLY = """\
The **median** of `[1, 2, 9]` is $2$:

```python
from statistics import median

median([1, 2, 9])
```

| summary | value |
| --- | ---: |
| median | 2 |
| mean | 4 |

- see https://docs.python.org/3/library/statistics.html
- or ask again"""

RUN = json.dumps({"code": "print(6 * 7)\ncities"})
WRITE = json.dumps({"file_path": "made.txt", "content": "x"})

SETUP = """\
%load_ext claude_magic
import pandas as pd
cities = pd.DataFrame({"city": ["Bern", "Basel"], "km": [1, 95]})
City = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}"""
CELLS = [
    f"%%claude\n<<think They want a median.>><<say {REPLY}>>",
    '%%claude\nLook around. <<tool Bash {"command": "ls *.csv || true"}>><<say There is nothing.>>',
    f'%%claude --allow "mcp__kernel__run_code"\nCalculate. <<tool mcp__kernel__run_code {RUN}>><<say It is 42.>>',
    f"%%claude\nWrite it down. <<tool Write {WRITE}>><<say Written.>>",
    "%%claude --at 1\nA branch: what is in {{ cities }}?",
    "%%claude --compare sonnet,opus\nWho are you?",
    '%%claude --schema City --output city\n<<tool StructuredOutput {"city": "Bern"}>><<say Done.>>',
    "print(city.structured['city'])",
    "%claude And in one line?",
    "%%claude\n<<status 400>>",
]
"""The last cell fails, on purpose."""


@pytest.fixture(scope="module")
def lesson(module_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a notebook that plays its cassette, which was recorded live; the file was allowed by a click."""
    directory = tmp_path_factory.mktemp("lesson")
    recording = f"{SETUP}\n%config ClaudeMagics.cassette = {str(directory / 'lesson.jsonl')!r}\n"
    assert module_kernel.run(recording + "%config ClaudeMagics.cassette_mode = 'record'").ok
    for number, source in enumerate(CELLS):
        cell = module_kernel.start(source, cell_id=f"cell-{number}")
        module_kernel.wait_for(lambda cell=cell: cell.result.done or bool(module_kernel.widgets_named("TextModel")))
        if not cell.result.done:
            module_kernel.click("Allow once")
        assert cell.wait().ok is (number != len(CELLS) - 1), cell.result.outputs
    assert module_kernel.run("%config ClaudeMagics.cassette = None").ok
    playing = "%config ClaudeMagics.cassette = 'lesson.jsonl'\n%config ClaudeMagics.cassette_mode = 'replay'"
    sources = [f"{SETUP}\n{playing}\n%config ClaudeMagics.cassette_speed = 0", *CELLS]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[-1].metadata["tags"] = ["raises-exception"]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), directory / "lesson.ipynb")
    return directory


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a person without account and network, in another home."""
    return offline_environment(tmp_path_factory.mktemp("other-home"))


@pytest.fixture(scope="module")
def headless(lesson: Path, offline: dict[str, str]) -> nbformat.NotebookNode:
    """The lesson as nbclient leaves it."""
    notebook = nbformat.read(lesson / "lesson.ipynb", as_version=4)
    client = NotebookClient(notebook, coalesce_streams=True, resources={"metadata": {"path": str(lesson)}})
    executed: nbformat.NotebookNode = client.execute(env=offline)
    return executed


@pytest.mark.parametrize("application", [LAB, NOTEBOOK_7], ids=["jupyterlab", "notebook-7"])
def test_in_a_browser(
    application: Application, lesson: Path, headless: nbformat.NotebookNode, offline: dict[str, str], ledger: Ledger
) -> None:
    """Run All in a browser saves what nbclient has: every form of every output, and what its metadata says of the turn."""
    if reason := why_not():
        pytest.skip(reason)
    with Lab(lesson, offline, application) as lab, ledger.adopt_all(lab.pids), lab.open("lesson.ipynb") as notebook:
        notebook.run_all()
        saved = notebook.save()
    assert_same(saved, headless)


def test_in_a_terminal(lesson: Path, headless: nbformat.NotebookNode, offline: dict[str, str]) -> None:
    """IPython in a terminal runs the same notebook, and prints the same words as the notebook has in plain text."""
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "lesson.ipynb"]
    ran = subprocess.run(command, cwd=lesson, env=offline, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1, ran.stderr
    # What Claude's code prints comes before the reply: a terminal has no place above it that could be filled later.
    said = [plain_text(output) for cell in headless.cells for output in sorted(cell.outputs, key=order)]
    # A terminal has no buttons to pick by, so it says how.
    stdout, count = re.subn(r"%claude_session pick NUMBER\s+continues\s+from\s+another\s+one\.", "", ran.stdout)
    assert count == 1
    assert words(stdout.replace("Out[0]:", "")) == words("\n".join(said))


def order(output: nbformat.NotebookNode) -> int:
    """Return where an output stands in a terminal: what Claude's code prints, the parts of the reply, the error."""
    is_reply = 'class="claude-magic"' in output.get("data", {}).get("text/html", "")
    return 2 if output.output_type == "error" else bool(is_reply or output.get("metadata"))


def plain_text(output: nbformat.NotebookNode) -> str:
    """Return an output as a terminal would have it."""
    match output.output_type:
        case "stream":
            return str(output.text)
        case "error":
            return "\n".join(output.traceback)
    return str(output.data["text/plain"])


def words(text: str) -> list[str]:
    """Return what a reader reads: no markup, no lines of a table."""
    return re.findall(r"\w+", re.sub(r"^```\w+$", "", without_times(text), flags=re.MULTILINE))


def assert_same(one: nbformat.NotebookNode, other: nbformat.NotebookNode) -> None:
    """Assert that two executed notebooks hold the same outputs, with the same metadata, but for times."""
    for mine, yours in zip(one.cells, other.cells, strict=True):
        assert shown(mine.outputs) == shown(yours.outputs), mine.source
        assert about(mine.outputs) == about(yours.outputs), mine.source


def about(outputs: Sequence[nbformat.NotebookNode]) -> list[dict[str, Any]]:
    """Return what outputs tell of their turns, but for times."""
    told = json.dumps([output.metadata for output in outputs if output.get("metadata")])
    return json.loads(re.sub(r'"duration_s": [\d.]+', '"duration_s": 0', told))
