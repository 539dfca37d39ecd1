"""The versions that Google Colab and Kaggle keep: the package installs beside exactly these, and the core works there.

Such a kernel is of 2022: cells block, no click is heard while they run, and the completer knows no context.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cells import WIDGET, about, answered, ask, clis, ended, history, start
from messages_api import MessagesAPI
from rig.kernel import Kernel
from rig.leaks import Ledger

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PINS = {"ipython": "7.34.0", "ipykernel": "6.17.1", "ipywidgets": "7.7.1", "traitlets": "5.7.1"}


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """The interpreter of an environment with Colab's versions, in which the package is installed as its users do."""
    with tempfile.TemporaryDirectory(prefix="colab-") as directory:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        python = Path(directory) / "bin" / "python"
        pinned = [f"{name}=={version}" for name, version in PINS.items()]
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pinned, str(ROOT)]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield python


@pytest.fixture(scope="module")
def module_kernel(notebook_dir: Path, environment: dict[str, str], ledger: Ledger, python: Path) -> Iterator[Kernel]:
    """In the place of the kernel of other modules: one that takes itself for Colab's."""
    there = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    with Kernel(notebook_dir, there, notebook=None, python=python) as kernel, ledger.adopt(lambda: kernel.pid):
        assert kernel.run("import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')").ok
        yield kernel


def test_versions(loaded_kernel: Kernel) -> None:
    """These are the versions, and none was replaced."""
    names = tuple(PINS)
    loaded_kernel.run("from importlib.metadata import version")
    assert loaded_kernel.value(f"[version(name) for name in {names}]") == list(PINS.values())


def test_conversation(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Cells share a conversation; the settled output has its forms and its metadata, and no widget is left."""
    answered(loaded_kernel, "one")
    result = answered(loaded_kernel, "two {{ 1 + 1 }} is $x$?")
    assert history(api) == ["one", "two 2 is $x$?"]
    assert set(result.bundle) == {"text/html", "text/markdown", "text/plain"}
    assert about(result)["turn"] == 2
    assert not loaded_kernel.widgets


def test_question_in_words(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """No button is shown for what cannot be clicked: the question comes by `input()`, and Stop stays hidden."""
    cell = start(loaded_kernel, '<<tool Bash {"command": "touch asked"}>><<say done>>')
    loaded_kernel.wait_for(lambda: bool(cell.unanswered))
    stop = loaded_kernel.widgets[loaded_kernel.button("Stop")]
    assert "claude-hidden" in stop["_dom_classes"]
    loaded_kernel.answer_input("y")
    assert "done" in cell.wait().bundle["text/plain"]
    assert (loaded_kernel.notebook_dir / "asked").exists()


def test_code_of_claudes(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Code runs in the person's namespace; its output is shown and read by Claude, its failure, too."""
    code = '<<tool mcp__kernel__run_code {"code": "y = 41 + 1; print(\'printed\'); y"}>>'
    wrong = '<<tool mcp__kernel__run_code {"code": "1/0"}>><<say done>>'
    result = answered(loaded_kernel, code + wrong, '--allow "mcp__kernel__run_code"')
    assert "printed" in result.stdout
    assert loaded_kernel.value("y") == 42
    sent = str(api.requests[-1]["messages"])
    assert "42" in sent
    assert "ZeroDivisionError" in sent


def test_interrupt(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """An interrupt stops the turn, what had arrived stays, and the conversation goes on."""
    cell = start(loaded_kernel, "<<say begun>><<hang>>")
    api.wait_for_requests(1)
    loaded_kernel.interrupt()
    assert [error["ename"] for error in cell.wait().errors] == ["TurnInterrupted"]
    assert answered(loaded_kernel, "again").ok


def test_words_and_comparison(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """The panel, the tree, a comparison and its pick, `ask()` and an error's next step are as everywhere."""
    answered(loaded_kernel, "hello", "--samples 2")
    assert "goes on from answer 2, turn" in loaded_kernel.run("%claude_session pick 2").stdout
    for word in ("", "turns", "list"):
        assert loaded_kernel.run(f"%claude_session {word}").ok
    assert loaded_kernel.run("from claude_magic import ask\nprint(ask('by name').content)").stdout.startswith(
        "You said: by name"
    )
    assert ask(loaded_kernel, "x", "--nonsense").status == "error"
    loaded_kernel.run("1")
    assert all(WIDGET not in str(state) for state in loaded_kernel.widgets.values())
    loaded_kernel.widgets.clear()


def test_completion(loaded_kernel: Kernel) -> None:
    """Tab behind the magics offers options and words with the older completer, too."""
    offered = loaded_kernel.value("get_ipython().complete('--mo', '%%claude --mo', 13)[1]")
    assert offered[:2] == ["--mode", "--model"] or offered[:2] == ["--model", "--mode"]
    assert "restore" in loaded_kernel.value("get_ipython().complete('re', '%claude_session re', 18)[1]")


def test_unload(loaded_kernel: Kernel) -> None:
    """Unloading ends every process, and loading again works."""
    processes = clis(loaded_kernel)
    assert loaded_kernel.run("%unload_ext claude_magic").ok
    assert ended(processes)
    assert loaded_kernel.run("%load_ext claude_magic").ok
