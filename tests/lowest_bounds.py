"""Try the package with the lowest versions that pyproject.toml allows, or as it is installed.

    python tests/lowest_bounds.py            make an environment with the lowest versions, and run the sample in it
    python tests/lowest_bounds.py --newest   the same with the newest versions, on the newest Python that is here
    python tests/lowest_bounds.py --sample   run the sample in this environment

The sample takes the ways that break first: a script and cells that ask the scripted API, in a shell without a kernel.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent

REPLY = """Some **bold** text, `code`, a formula $x^2$ and a table.

| a | b |
|---|---|
| 1 | 2 |

```python
x = 1
```"""
HTML = "get_ipython().display_formatter.format(reply)[0]['text/html']"
"""What a notebook would show of the reply."""


def lowest() -> list[str]:
    """Return the requirements of the package, each at its lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = [re.match(r"([\w.-]+)>=([\w.]+)", requirement) for requirement in project["dependencies"]]
    assert all(found), "a requirement without a lower bound"
    return [f"{match[1]}=={match[2]}" for match in found if match]


def in_new_environment(python: str, requirements: list[str]) -> None:
    """Install the package beside these requirements in an environment of its own, and run the sample there."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([python, "-m", "venv", directory], check=True)
        own = Path(directory, "Scripts" if os.name == "nt" else "bin", "python")
        pip = [str(own), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-e", str(ROOT), *requirements], check=True)
        subprocess.run([str(own), __file__, "--sample"], check=True)


def newest_python() -> str | None:
    """Return the newest Python that is newer than this one, from the PATH or from pyenv; `None` where there is none."""
    places = [*os.get_exec_path(), *Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions").glob("*/bin")]
    found: dict[tuple[int, ...], str] = {tuple(sys.version_info[:2]): ""}
    for path in (path for place in places for path in Path(place).glob("python3.*") if path.name[8:].isdecimal()):
        tell = [str(path), "-c", "import ensurepip, sys, venv; print(*sys.version_info[:2])"]
        told = subprocess.run(tell, capture_output=True, text=True)  # a shim of pyenv may have nothing behind it
        if told.returncode == 0:
            found.setdefault(tuple(map(int, told.stdout.split())), str(path))
    return found[max(found)] or None


def sample() -> None:
    """Ask from a script and from cells, and look at what comes back."""
    from messages_api import MessagesAPI
    from rig.environment import isolated_environment

    with tempfile.TemporaryDirectory() as home, MessagesAPI() as api:
        os.environ.update(isolated_environment(Path(home), api.url))
        work = Path(home, "work")
        work.mkdir()
        os.chdir(work)
        asyncio.run(from_a_script())
        from_cells()
        os.chdir(ROOT)


async def from_a_script() -> None:
    from claude_magic.sdk import SessionAwareClient

    async with SessionAwareClient() as client:
        first = await client.query_with_session("<<say one>>")
        second = await client.query_with_session("<<history>>", resume_session_id=first.session_id)
    assert first.content == "one", first
    assert "<<say one>>" in second.content, second


def from_cells() -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    for cell, expected in {
        "%load_ext claude_magic": "",
        f"%%claude --output reply\n<<say {REPLY}>>": "bold",
        HTML: "<table",
        '%%claude --schema list[int] --output numbers\n<<tool StructuredOutput {"value": [1, 2]}>>': "",
        "import asyncio; asyncio.run(asyncio.sleep(0))": "",
        "%claude_session": "in a terminal",
        "%claude_session doctor": "Nothing is in the way",
        "%unload_ext claude_magic": "",
    }.items():
        with capture_output() as captured:
            result = shell.run_cell(cell)
        result.raise_error()
        said = f"{captured.stdout}{result.result or ''}"
        assert expected in said, (cell, said)
        print(f"ok: {cell.splitlines()[0][:60]}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--sample"]:
            sample()
        case ["--newest"]:
            if python := newest_python():
                print(f"The sample on {python}:", flush=True)
                in_new_environment(python, [])
            else:
                print("There is no newer Python here.")
        case _:
            in_new_environment(sys.executable, lowest())
