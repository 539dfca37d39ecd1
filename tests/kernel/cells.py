"""What the tests of the magics share: asking, and reading a cell's outcome, the API's log and the CLI processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import psutil
from messages_api import MessagesAPI
from rig import TIMEOUT_S, CellResult, RunningCell
from rig.kernel import Kernel
from rig.leaks import running

Configure = Callable[[str, object], None]

WIDGET = "application/vnd.jupyter.widget-view+json"
SETTLED = {"text/html", "text/markdown", "text/plain"}

SCREENFUL = 12
"""Lines that an error may take in a cell."""

NEXT_STEP_WORDS = (
    r"\b(run|check|correct|give|raise|choose|change|ask|send|wait|use|set|starts?|say|continue[sd]?|list|type|shows"
    r"|take|put|install|save)\b"
)


def ask(kernel: Kernel, prompt: str, options: str = "", **run: Any) -> CellResult:
    """Run a `%%claude` cell to its end."""
    return kernel.run(f"%%claude {options}\n{prompt}", **run)


def answered(kernel: Kernel, prompt: str, options: str = "", **run: Any) -> CellResult:
    """Run a `%%claude` cell that must succeed."""
    result = ask(kernel, prompt, options, **run)
    assert result.ok, result.outputs
    return result


def about(result: CellResult) -> dict[str, Any]:
    """Return what the settled output's metadata says of the turn."""
    found: dict[str, Any] = result.metadata["claude_magic"]
    return found


def session_of(result: CellResult) -> str:
    """Return the session ID in the settled output's metadata."""
    return str(about(result)["session_id"])


def sent_text(api: MessagesAPI) -> str:
    """Return the last text that the user sent in the newest request, as it arrived: nothing stripped."""
    message = next(message for message in reversed(api.requests[-1]["messages"]) if message["role"] == "user")
    content = message["content"]
    return content if isinstance(content, str) else [block["text"] for block in content if block["type"] == "text"][-1]


def history(api: MessagesAPI) -> list[str]:
    """Return the prompts that the newest request holds, oldest first."""
    return api.prompts()[-1]


def clis(kernel: Kernel) -> list[psutil.Process]:
    """Return the CLI processes of a kernel."""
    return running(kernel.children(), "claude")


def ended(processes: Sequence[psutil.Process], timeout_s: float = TIMEOUT_S) -> bool:
    """Wait for processes to end; say whether they did."""
    return not psutil.wait_procs(processes, timeout=timeout_s)[1]


def stopped_soon(cell: RunningCell, stop: Callable[[], None]) -> CellResult:
    """Stop a turn, and see the cell end while its CLI still lives: one that takes long to stop would be killed before."""
    # An older one, of another session, may be on its way out.
    process = max(clis(cell.kernel), key=psutil.Process.create_time)
    stop()
    result = cell.wait()
    assert process in clis(cell.kernel)
    return result


def failure(result: CellResult, name: str) -> str:
    """Assert that a cell failed with this error, in a screenful, with a next step and no foreign traceback; return the text."""
    assert result.status == "error", result.outputs
    assert [error["ename"] for error in result.errors] == [name], result.outputs
    text = plain("\n".join(result.errors[0]["traceback"]))
    assert len(text.splitlines()) <= SCREENFUL, text
    assert "Traceback" not in text, text
    assert ".py" not in text, text
    sentence, *rest = text.splitlines()
    assert sentence.startswith(f"{name}: "), text
    assert re.search(NEXT_STEP_WORDS, " ".join(rest), re.IGNORECASE), f"no next step: {text}"
    assert result.stderr == "", result.stderr
    assert WIDGET not in result.bundle
    return text


def kept(result: CellResult, *texts: str) -> None:
    """Assert that the settled output of a failed cell holds what had arrived, labelled as unfinished, in every form."""
    label = "nterrupted" if result.errors[0]["ename"] == "TurnInterrupted" else result.errors[0]["ename"]
    for form in SETTLED:
        for text in (*texts, label):
            assert text in result.bundle[form], f"{form}: {result.bundle[form][-500:]}"


def plain(text: str) -> str:
    """Return text without its ANSI colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def without_times(text: str) -> str:
    """Return what a reply or a part of it says, live or played, but for times and the numbers of cells that went along."""
    text = re.sub(r"(?:<|&lt;)?\d+(?:\.\d+)? s\b", "TIME", plain(text))
    text = re.sub(
        r"<span>with (?:\d+ of the )?cells? [\d, -]+</span>\u2003|\bwith (?:\d+ of the )?cells? [\d, -]+ · ", "", text
    )
    text = text.replace("<span>recorded</span>\u2003", "").replace(" · recorded ·", " ·")  # of a turn that cost nothing
    text = re.sub(r"<span>not done again: [^<]*</span>\s?|not\s+done\s+again: \w+(?:,\s\w+)*[\s·]*", "", text)
    return text.replace(" recorded</span>", "</span>").replace(" recorded", "")


def begin_anew(kernel: Kernel) -> None:
    """Let the kernel forget its conversations, as `%reload_ext` does not."""
    for line in ("%unload_ext claude_magic", "%load_ext claude_magic"):
        assert kernel.run(line).ok


def shown(outputs: Sequence[dict[str, Any]]) -> list[str]:
    """Return all that a notebook would keep of a cell, in every form, but for times."""
    forms = [
        {"kind": output["output_type"]} | (output.get("data") or {"text": output.get("text") or output.get("traceback")})
        for output in outputs
    ]
    return [without_times(f"{name}: {text}") for form in forms for name, text in sorted(form.items())]


def usage_error(result: CellResult) -> str:
    """Assert that a cell failed with a usage error of one line; return the line."""
    assert result.status == "error", result.outputs
    assert result.reply["ename"] == "UsageError", result.reply
    assert not result.errors
    assert not result.displays
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def on_page(kernel: Kernel) -> str:
    """Return what the open widgets show."""
    return "\n".join(str(state["value"]) for state in kernel.widgets.values() if isinstance(state.get("value"), str))


def start(kernel: Kernel, prompt: str, options: str = "", *, kind: str = "async", **run: Any) -> RunningCell:
    """Start a `%%claude` cell, `async` as usual, or `sync` below `%%time`."""
    above = "%%time\n" if kind == "sync" else ""
    return kernel.start(f"{above}%%claude {options}\n{prompt}", **run)


def only_cli(kernel: Kernel, prompt: str = "one", options: str = "") -> tuple[str, psutil.Process]:
    """Ask once with every other CLI gone; return the session and the process that serves it."""
    others = clis(kernel)
    for process in others:
        process.kill()
    assert ended(others)
    session = session_of(answered(kernel, prompt, options))
    (process,) = clis(kernel)
    return session, process
