"""VS Code, by its documented rules: nothing that a cell shows may vanish, and cells are known again after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import answered, history
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel

CELL = "vscode-notebook-cell:/notebooks/a.ipynb#W{}sZmlsZQ%3D%3D"


@pytest.fixture
def code(loaded_kernel: Kernel) -> Iterator[Kernel]:
    """The module's kernel as VS Code starts it."""
    tell_path(loaded_kernel)
    yield loaded_kernel
    assert loaded_kernel.run("del __vsc_ipynb_file__").ok


def tell_path(kernel: Kernel) -> None:
    assert kernel.run(f"__vsc_ipynb_file__ = {str(kernel.notebook_dir / 'a.ipynb')!r}").ok


def shown(result: CellResult) -> list[dict[str, Any]]:
    """Return the outputs as VS Code has them: an update that changes metadata takes away the others (vscode #181369)."""
    outputs: list[dict[str, Any]] = []
    for message in result.messages:
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                outputs.append({"data": {"text/plain": content["text"]}, "metadata": {}, "id": None})
            case "display_data":
                outputs.append({**content, "id": content["transient"].get("display_id")})
            case "update_display_data":
                display_id = content["transient"]["display_id"]
                for output in [output for output in outputs if output["id"] == display_id]:
                    if output["metadata"] != content["metadata"]:
                        outputs[:] = [output]
                    output.update(data=content["data"], metadata=content["metadata"])
    return outputs


def texts(result: CellResult) -> str:
    return "\n".join(output["data"].get("text/plain", "") for output in shown(result))


def test_nothing_vanishes(code: Kernel, api: MessagesAPI) -> None:
    """What Claude's code prints and displays stays when the reply settles, which has its metadata."""
    run = '<<tool mcp__kernel__run_code {"code": "print(123); display(456)"}>><<say done>>'
    result = answered(code, run, '--allow "mcp__kernel__run_code"')
    assert all(text in texts(result) for text in ("123", "456", "done"))
    assert "Claude is answering" not in texts(result)
    assert shown(result)[-1]["metadata"]["claude_magic"]["turn"] == 1


def test_nothing_vanishes_by_a_pick(code: Kernel, api: MessagesAPI) -> None:
    """Picking another one of several replies, and the end of their buttons, takes no output away."""
    result = code.run("print(123)\n%claude --samples 2 <<say done>>", cell_id=CELL.format(0))
    code.run("%claude_session pick 2")
    assert "123" in texts(result)
    assert texts(result).count("done") == 2


def test_redo_after_restore(code: Kernel, api: MessagesAPI) -> None:
    """Cell IDs are addresses there: `--redo` finds the restored turn by its prompt, or says that it found none."""
    path = Path(code.notebook_dir / "a.ipynb")
    results = [answered(code, prompt, cell_id=CELL.format(number)) for number, prompt in enumerate(("one", "two", "three"))]
    notebook = nbformat.v4.new_notebook()
    for result in results:
        outputs = [
            nbformat.v4.new_output("display_data", output["data"], metadata=output["metadata"]) for output in shown(result)
        ]
        notebook.cells.append(nbformat.v4.new_code_cell(result.code, outputs=outputs))
    nbformat.write(notebook, path)
    code.restart()
    assert code.run("%load_ext claude_magic").ok
    tell_path(code)
    assert "Restored 3 turns" in code.run("%claude_session restore").stdout
    answered(code, "two", "--redo", cell_id=CELL.format(7))
    assert history(api) == ["one", "two"]
    unknown = answered(code, "something else", "--redo", cell_id=CELL.format(8))
    assert "found no restored turn" in unknown.bundle["text/plain"]
