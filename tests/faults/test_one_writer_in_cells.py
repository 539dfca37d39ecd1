"""What has happened to a session behind the notebook's back stands in the next cell, which goes on."""

from __future__ import annotations

from pathlib import Path

import psutil
from messages_api import MessagesAPI, prompts_of
from rig.kernel import Kernel
from rig.leaks import running

STATE = "get_ipython().magics_manager.registry['ClaudeMagics'].state"


def kill_clis(kernel: Kernel) -> None:
    children = running(kernel.children(), "claude")
    for child in children:
        child.kill()
    psutil.wait_procs(children)


def session_of(kernel: Kernel) -> str:
    return str(kernel.value(f"{STATE}.current.session_id"))


def transcript(home: Path, session_id: str) -> Path:
    (path,) = (home / ".claude/projects").glob(f"*/{session_id}.jsonl")
    return path


def test_another_kernel(loaded_kernel: Kernel, fresh_kernel: Kernel, notebook_dir: Path, api: MessagesAPI) -> None:
    """Two kernels that share a session both see what the other has said, and each says so."""
    assert loaded_kernel.run("%%claude\none").ok
    fresh_kernel.run(f"%cd {notebook_dir}\n%load_ext claude_magic")
    assert fresh_kernel.run(f"%%claude -r {session_of(loaded_kernel)}\ntheirs").ok
    cell = loaded_kernel.run("%%claude\ntwo")
    assert cell.ok
    assert "Another process went on with the session" in cell.text
    assert prompts_of(api.requests[-1]) == ["one", "theirs", "two"]
    again = fresh_kernel.run("%%claude\nthree")
    assert "Another process went on with the session" in again.text
    assert prompts_of(api.requests[-1]) == ["one", "theirs", "two", "three"]


def test_transcript_is_a_directory(loaded_kernel: Kernel, home: Path, api: MessagesAPI) -> None:
    """A transcript that cannot be read is told, and the cell goes on in a new session; so is each cell after it."""
    assert loaded_kernel.run("%%claude\none").ok
    session_id = session_of(loaded_kernel)
    path = transcript(home, session_id)
    path.unlink()
    path.mkdir()
    try:
        # Other options want another process, so that the session is resumed from disk.
        cell = loaded_kernel.run("%%claude --effort low\ntwo")
        assert cell.ok, cell
        assert "cannot be read: Is a directory; this is a new one, without the earlier turns." in cell.text
        assert loaded_kernel.run("%%claude\nthree").ok
        assert prompts_of(api.requests[-1]) == ["two", "three"]
    finally:
        path.rmdir()


def test_redo_behind_a_broken_off_branch(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`--redo` of a cell that followed a broken-off branch begins where the replaced turn began."""
    assert loaded_kernel.run("%%claude\none", cell_id="a").ok
    cell = loaded_kernel.start("%%claude --fork\n<<say so far>><<hang>>", cell_id="b")
    loaded_kernel.wait_for(lambda: "so far" in str(loaded_kernel.widgets))
    kill_clis(loaded_kernel)
    assert not cell.wait().ok
    assert loaded_kernel.run("%%claude\ntwo", cell_id="c").ok
    before = prompts_of(api.requests[-1])[:-1]
    assert before[0] == "one"
    assert loaded_kernel.run("%%claude --redo\nthree", cell_id="c").ok
    assert prompts_of(api.requests[-1]) == [*before, "three"]
