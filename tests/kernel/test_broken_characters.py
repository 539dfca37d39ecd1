"""Halves of characters and control characters, wherever they come from: shown, saved, exported, played and listed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cells import Configure, answered, usage_error
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel


def event(name: str, **data: Any) -> str:
    return f"<<event {name} {json.dumps({'index': 0, **data})}>>"


def delta(text: str) -> str:
    return event("content_block_delta", delta={"type": "text_delta", "text": text})


BLOCK = event("content_block_start", content_block={"type": "text", "text": ""})
DIVIDED = "".join((BLOCK, delta("smile \ud83d"), delta("\ude00 lone \ud83d"), delta(" on"), event("content_block_stop")))
TOOL = "<<tool {} {}>><<say done>>"
REPLIES = {
    "divided": DIVIDED,
    "said": "<<think hm \ud83d \0 \x1b[2J>><<say lone \ud83d \0 \x01 \x85 \x9b31m \x1b[31mred \u2028>>",
    "input": TOOL.format("Bash", json.dumps({"command": "echo \ud83d \x01", "description": "what \ud83d \0 \x1b[2J"})),
    "name": TOOL.format("Ba\0sh\ud83d", json.dumps({"x\ud83d": "\0"})),
    "result": TOOL.format("Bash", json.dumps({"command": r"printf 'a\000b\033[2J\377\355\240\200'"})),
    "run": TOOL.format("mcp__kernel__run_code", json.dumps({"code": "'\\ud83d' + chr(0)"})),
    "inspected": TOOL.format("mcp__kernel__inspect_variable", json.dumps({"name": "broken"})),
}


def sound(result: CellResult, status: str = "ok") -> CellResult:
    """Assert that what a notebook would save of a cell is well formed, moves no cursor and tells of no failure of ours."""
    assert result.status == status, result.outputs
    json.dumps(result.outputs, ensure_ascii=False).encode()
    assert "Traceback" not in str(result.outputs)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", result.text + result.stdout + result.stderr)
    return result


def asked(kernel: Kernel, prompt: str, options: str = "") -> CellResult:
    """Ask what no frontend could send: the prompt comes from a variable."""
    return kernel.run(f"get_ipython().run_cell_magic('claude', {options!r}, {prompt!r})", answer="y")


def test_divided(loaded_kernel: Kernel) -> None:
    """A character in two pieces is one again, half of one is shown as unknown, and control characters move no cursor."""
    assert sound(asked(loaded_kernel, DIVIDED, "--raw")).text.startswith("smile 😀 lone \ufffd on\n")
    sound(asked(loaded_kernel, REPLIES["said"], "--raw"))


@pytest.mark.long
def test_everything_of_a_conversation(loaded_kernel: Kernel, configure: Configure, api: MessagesAPI, tmp_path: Path) -> None:
    """Replies, tools and their results: live, recorded, played, listed, exported and resumed."""
    kernel = loaded_kernel
    kernel.run("broken = 'value \\ud83d \\x00 \\x1b[2J'")
    configure("cassette", str(tmp_path / "lesson.jsonl"))
    for mode in ("record", "replay"):
        configure("cassette_mode", mode)
        kernel.run("%claude_session new")
        for name, prompt in REPLIES.items():
            result = sound(asked(kernel, prompt, "--raw"))
            if name == "divided":
                assert result.text.startswith("smile 😀 lone \ufffd on\n"), result.text
        if mode == "record":
            for word in ("turns", "list", "show", f"export {tmp_path}/told.md", f"export {tmp_path}/told.ipynb"):
                sound(kernel.run(f"%claude_session {word}"))
    assert "smile 😀 lone" in (tmp_path / "lesson.jsonl").read_text("utf-8")
    assert "smile 😀 lone" in (tmp_path / "told.md").read_text("utf-8")
    json.loads((tmp_path / "told.ipynb").read_text("utf-8"))


def test_everything_that_is_sent(loaded_kernel: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """Prompts, values, system texts and files reach the API without half a character, which it would refuse."""
    kernel = loaded_kernel
    kernel.run("import pandas as pd\nbroken = 'value \\ud83d \\x00'\ntable = pd.DataFrame({'a\\ud83d': ['x\\ud83d', '\\x00']})")
    (notebook_dir / "broken\udcff.txt").write_text("data")
    sound(answered(kernel, "{{ broken }} {{ broken.upper() }} {{ table }}", "-i broken -i table --file brok*.txt"))
    sound(asked(kernel, "prompt \ud83d", '--system "system \ud83d \0"'))
    sound(kernel.run("from claude_magic import ask; print(ask('prompt \\ud83d').content)"))
    assert len(api.requests) == 3
    assert "\\ud83d" not in json.dumps(api.requests).replace("\\ud83d\\ude00", "").replace("\\\\ud83d", "")


def test_names(loaded_kernel: Kernel) -> None:
    """A title with halves and controls in it is cleaned before it is printed, listed and looked for."""
    answered(loaded_kernel, "hello")
    rename = "get_ipython().run_line_magic('claude_session', 'name {}')"
    assert "(a b [2J c)" in sound(loaded_kernel.run(rename.format("a\\0b\\x1b[2J \\u2028c"))).stdout
    assert "(x\ufffdy)" in sound(loaded_kernel.run(rename.format("x\\ud83dy"))).stdout
    assert "x\ufffdy" in sound(loaded_kernel.run("%claude_session list")).text
    sound(loaded_kernel.run("%claude_session resume x\ufffdy"))


@pytest.mark.parametrize("options", ["--model m\ud83d", "--model m\0", "--allow Bash(\ud83d)", "--file x\udcff"], ids=ascii)
def test_what_no_command_line_takes(loaded_kernel: Kernel, api: MessagesAPI, options: str) -> None:
    """A choice that would go to the CLI's command line, and a file that is not there, are errors that can be shown."""
    result = sound(asked(loaded_kernel, "hello", options), "error")
    assert result.errors or usage_error(result)
    assert api.requests == []
