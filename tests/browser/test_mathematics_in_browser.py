"""Mathematics in a real JupyterLab: what is typeset while a reply streams, settled, and in a notebook that is not trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from messages_api import MessagesAPI
from rig.lab import Lab, LabNotebook

DRESSED = r"$a$ \(b\) \[c\] $$d$$ \begin{align}e\end{align} $\mmlToken{mtext}[fontfamily=\"x\"]{pwn}$ \ref{x}"
FORMULAS = "So $x^2$, \\(\\frac{1}{2}\\):\n\n\\[\na \\\\\n+ b\n\\]\n\n\\begin{align}\na &= b \\\\\n&= c\n\\end{align}\n"
NONE = "It is $HOME/bin:$PATH, df$a*df$b, from $5 to $10 and $\\unicode{x41}$ or \\(\\href{https://pwn.example}{x}\\)."

MARKDOWN = """
from IPython.display import Markdown, display
from claude_magic._render.parts import safe_markdown
display(Markdown(safe_markdown.text_markdown({none!r})))
display(Markdown(safe_markdown.escape({dressed!r})))
display(Markdown(safe_markdown.text_markdown({formulas!r})))
"""
MATHML = """
from IPython.display import HTML, display
from claude_magic._render.parts.markdown_html import text_html
from claude_magic._render.parts.mathml import with_mathml
display(HTML(with_mathml(text_html({formulas!r}))))
"""


def script(prompt: str) -> str | None:
    """Say formulas, what is none, and call a tool by everything that wears delimiters."""
    if prompt != "Formulas":
        return None
    run = json.dumps({"code": f"print({DRESSED!r})\nraise ValueError({DRESSED!r})"})
    write = json.dumps({"file_path": DRESSED, "content": DRESSED})
    said = f"<<say {FORMULAS}>>", f"<<tool mcp__kernel__run_code {run}>>", f"<<say {NONE}>>", f"<<tool Write {write}>>"
    return "".join((*said, f"<<say {FORMULAS}>>"))


@pytest.fixture(scope="module")
def module_api() -> Iterator[MessagesAPI]:
    """The scripted API of this module."""
    with MessagesAPI(script) as api:
        yield api


def typeset(notebook: LabNotebook, index: int, within: str = "") -> int:
    """How many formulas MathJax has made of what a cell shows."""
    return notebook.cell(index).locator(f".jp-OutputArea {within} mjx-container").count()


def wait_for(notebook: LabNotebook, index: int, count: int) -> None:
    """Return when MathJax has made so many formulas in a cell."""
    found = (
        f"document.querySelectorAll('.jp-Notebook .jp-Cell')[{index}].querySelectorAll('.jp-OutputArea mjx-container').length"
    )
    notebook.page.wait_for_function(f"() => {found} >= {count}")


def distrusted(lab: Lab, name: str) -> str:
    """Write a copy of a saved notebook that JupyterLab does not trust: its outputs are not those that were signed."""
    notebook: Any = nbformat.read(lab.root / name, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                output.data["text/html"] += "<!---->"
    nbformat.write(notebook, lab.root / f"other-{name}")
    return f"other-{name}"


@pytest.mark.long
def test_only_formulas_are_typeset(lab: Lab) -> None:
    """Formulas are typeset, each once, in the reply's text alone: live, settled, as Markdown, as MathML, and not trusted."""
    texts = {"none": NONE, "dressed": DRESSED, "formulas": FORMULAS}
    cells = ["%load_ext claude_magic", "%%claude --allow mcp__kernel__run_code\nFormulas"]
    cells += [MARKDOWN.format(**texts), MATHML.format(**texts)]
    lab.write("mathematics.ipynb", [("code", cell) for cell in cells])
    with lab.open("mathematics.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1, wait=False)
        deny = notebook.cell(1).get_by_role("button", name="Deny", exact=True)
        deny.wait_for()
        wait_for(notebook, 1, 4)
        assert typeset(notebook, 1) == 4
        assert typeset(notebook, 1, ".claude-ask") == 0
        deny.click()
        notebook.wait_idle()
        wait_for(notebook, 1, 8)
        assert typeset(notebook, 1) == typeset(notebook, 1, ".claude-text") == 8
        notebook.run_cell(2)
        notebook.run_cell(3)
        wait_for(notebook, 2, 4)
        assert typeset(notebook, 2) == 4
        assert notebook.cell(3).locator(".jp-OutputArea math").count() == 4
        assert typeset(notebook, 3) == 0
        notebook.save()
    with lab.open(distrusted(lab, "mathematics.ipynb")) as notebook:
        wait_for(notebook, 3, 4)
        wait_for(notebook, 1, 8)
        assert typeset(notebook, 1) == typeset(notebook, 1, ".claude-text") == 8
        assert typeset(notebook, 2) == typeset(notebook, 3) == 4
        letters = notebook.cell(3).locator(".jp-OutputArea span[style*='font-size']").first
        assert letters.evaluate("span => getComputedStyle(span).fontSize") == "0px"
