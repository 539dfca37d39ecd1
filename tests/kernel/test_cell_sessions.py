"""The current session of a kernel: who continues it, and what it survives."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import pytest
from cells import Configure, about, answered, ask, clis, ended, failure, history, plain, session_of
from messages_api import MessagesAPI
from rig.kernel import Kernel


def transcripts(home: Path, session_id: str) -> list[Path]:
    return list(home.glob(f".claude/projects/*/{session_id}.jsonl"))


def kill_clis(kernel: Kernel) -> None:
    processes = clis(kernel)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    assert ended(processes, 5)


@pytest.mark.long
def test_run_all(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Run All asks in order, in one session, on one process."""
    cells = ["%%claude\none", "x = 2", "%claude two?", "%%time\n%%claude\nthree", "%%claude --quiet\nfour", "%%claude\nfive"]
    results = loaded_kernel.run_all(cells)
    assert [result.status for result in results] == ["ok"] * 6
    assert history(api) == ["one", "two?", "three", "four", "five"]
    assert len({session_of(result) for result in results if result.displays}) == 1


def test_cells_in_any_order(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Whichever cell runs continues the conversation, also one that ran before."""
    for prompt in ("first", "second", "first"):
        answered(loaded_kernel, prompt)
    assert history(api) == ["first", "second", "first"]


def test_killed_between_cells(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A CLI killed between cells is not noticed: the next cell continues by session ID, without a word."""
    session = session_of(answered(loaded_kernel, "one"))
    kill_clis(loaded_kernel)
    result = answered(loaded_kernel, "two")
    assert session_of(result) == session
    assert history(api) == ["one", "two"]
    assert result.text.startswith("You said: two\n\nturn")
    assert len(result.outputs) == 1


def test_killed_a_moment_before_the_cell(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A CLI that dies just as the next cell begins is not noticed either."""
    session = session_of(answered(loaded_kernel, "one"))
    for number in range(3):
        for process in clis(loaded_kernel):
            os.kill(process.pid, signal.SIGKILL)
        result = answered(loaded_kernel, f"again {number}")
        assert session_of(result) == session
        assert result.text.startswith(f"You said: again {number}\n\nturn")
    assert history(api) == ["one", "again 0", "again 1", "again 2"]


def test_idle_process_is_closed(loaded_kernel: Kernel, api: MessagesAPI, configure: Configure) -> None:
    """A CLI idle for `idle_timeout` is closed, and the next cell resumes."""
    configure("idle_timeout", 1)
    session = session_of(answered(loaded_kernel, "one"))
    processes = clis(loaded_kernel)
    assert processes
    assert ended(processes)
    assert session_of(answered(loaded_kernel, "two")) == session
    assert history(api) == ["one", "two"]


def test_a_changed_setting_keeps_the_session(loaded_kernel: Kernel, api: MessagesAPI, configure: Configure) -> None:
    """Changing `max_warm` or `idle_timeout` starts processes anew and loses no session."""
    answered(loaded_kernel, "one")
    configure("max_warm", 1)
    answered(loaded_kernel, "two")
    configure("idle_timeout", 300)
    answered(loaded_kernel, "three")
    assert history(api) == ["one", "two", "three"]


def test_max_warm(loaded_kernel: Kernel, configure: Configure) -> None:
    """No more than `max_warm` idle processes stay alive."""
    configure("max_warm", 1)
    for number in range(3):
        answered(loaded_kernel, f"session {number}", "--new")
    loaded_kernel.wait_for(lambda: len(clis(loaded_kernel)) == 1, about="one warm process")


def test_warm_sessions_go_on_side_by_side(loaded_kernel: Kernel) -> None:
    """Going back and forth between two sessions needs no new process."""
    one = session_of(answered(loaded_kernel, "one"))
    two = session_of(answered(loaded_kernel, "two", "--new"))
    processes = set(clis(loaded_kernel))
    for session in (one, two, one):
        answered(loaded_kernel, "on", f"--resume {session}")
    assert set(clis(loaded_kernel)) == processes


def test_implicit_resume_of_a_lost_session(loaded_kernel: Kernel, api: MessagesAPI, home: Path) -> None:
    """When the current session turns out to be gone, a new one starts, and the cell says so."""
    first = answered(loaded_kernel, "one")
    lost = session_of(first)
    kill_clis(loaded_kernel)
    for path in transcripts(home, lost):
        path.unlink()
    result = answered(loaded_kernel, "two")
    assert session_of(result) != lost
    assert "gone" in result.text
    assert lost[:8] in result.text
    assert "gone" in result.bundle["text/html"]
    assert about(result)["turn"] == about(first)["turn"] + 1
    assert history(api) == ["two"]
    following = answered(loaded_kernel, "three")
    assert session_of(following) == session_of(result)
    assert "gone" not in following.text


def test_what_was_told_with_a_lost_session(loaded_kernel: Kernel, home: Path, notebook_dir: Path) -> None:
    """The remarks of a cell are not lost with the session: they are told where the prompt is sent again, once."""
    lost = session_of(answered(loaded_kernel, "one"))
    kill_clis(loaded_kernel)
    for path in transcripts(home, lost):
        path.unlink()
    (notebook_dir / ".mcp.json").write_text('{"mcpServers": {}}')
    try:
        text = answered(loaded_kernel, "two").text
    finally:
        (notebook_dir / ".mcp.json").unlink()
    assert "gone" in text
    assert text.count("Not loaded") == text.count(".mcp.json") == 1


def test_explicit_resume_of_a_lost_session(loaded_kernel: Kernel, api: MessagesAPI, home: Path) -> None:
    """An explicit `--resume` of a session that is gone is an error, and the current session stays current."""
    lost = session_of(answered(loaded_kernel, "one"))
    current = session_of(answered(loaded_kernel, "two", "--new"))
    kill_clis(loaded_kernel)
    for path in transcripts(home, lost):
        path.unlink()
    count = len(api.requests)
    failure(ask(loaded_kernel, "three", f"--resume {lost}"), "SessionNotFoundError")
    assert len(api.requests) == count
    assert session_of(answered(loaded_kernel, "four")) == current
    assert history(api) == ["two", "four"]


def test_resume_of_an_unknown_session(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`--resume` of what never was is SessionNotFoundError with a next step; nothing is sent, nothing changes."""
    current = session_of(answered(loaded_kernel, "one"))
    for wanted in (str(uuid.uuid4()), "ffffffff", "no such name"):
        result = ask(loaded_kernel, "hello", f"--resume '{wanted}'")
        text = failure(result, "SessionNotFoundError")
        assert wanted in text
        assert "%claude_session list" in text
    assert len(api.requests) == 1
    assert session_of(answered(loaded_kernel, "two")) == current


def test_ambiguous_name(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A name that two sessions have is an error that tells them apart."""
    ids = []
    for _ in range(2):
        ids.append(session_of(answered(loaded_kernel, "hello", "--new")))
        assert loaded_kernel.run("%claude_session name twins").ok
    text = failure(ask(loaded_kernel, "hello", "-r twins"), "SessionNotFoundError")
    assert all(session[:8] in text for session in ids)


def test_failed_new_turn_keeps_the_session_before(loaded_kernel: Kernel, api: MessagesAPI, configure: Configure) -> None:
    """A `--new` that never reached a CLI leaves the current session current."""
    current = session_of(answered(loaded_kernel, "one"))
    configure("cli_path", "/nowhere/claude")
    failure(ask(loaded_kernel, "two", "--new"), "CLINotFoundError")
    configure("cli_path", None)
    assert session_of(answered(loaded_kernel, "three")) == current


def test_chdir(loaded_kernel: Kernel, api: MessagesAPI, tmp_path: Path, notebook_dir: Path) -> None:
    """`os.chdir` does not lose the session, warm or resumed; a new one lives in the new directory, and both can be resumed."""
    old = session_of(answered(loaded_kernel, "one"))
    loaded_kernel.run(f"import os; os.chdir({str(tmp_path)!r})")
    try:
        assert session_of(answered(loaded_kernel, "two")) == old
        kill_clis(loaded_kernel)
        assert session_of(answered(loaded_kernel, "three")) == old
        assert history(api) == ["one", "two", "three"]
        new = session_of(answered(loaded_kernel, "here", "--new"))
        assert str(tmp_path) in str(api.requests[-1])
        kill_clis(loaded_kernel)
        assert session_of(answered(loaded_kernel, "four", f"-r {old[:8]}")) == old
        assert history(api) == ["one", "two", "three", "four"]
    finally:
        loaded_kernel.run(f"os.chdir({str(notebook_dir)!r})")
    assert session_of(answered(loaded_kernel, "there", f"-r {new[:8]}")) == new
    assert history(api) == ["here", "there"]


def test_directory_is_gone(loaded_kernel: Kernel, tmp_path: Path, notebook_dir: Path) -> None:
    """When the session's directory has been removed the cell says that, and not that the CLI is missing."""
    directory = tmp_path / "to be removed"
    directory.mkdir()
    loaded_kernel.run(f"import os; os.chdir({str(directory)!r})")
    answered(loaded_kernel, "one")
    loaded_kernel.run(f"os.chdir({str(notebook_dir)!r})")
    kill_clis(loaded_kernel)
    directory.rmdir()
    result = ask(loaded_kernel, "two")
    if result.ok:
        assert "gone" in result.text
    else:
        text = plain("\n".join(result.errors[0]["traceback"]))
        assert result.errors[0]["ename"] != "CLINotFoundError"
        assert "cli_path" not in text
        assert str(directory) in text
    answered(loaded_kernel, "three", "--new")


def test_session_of_the_command_line_is_found(loaded_kernel: Kernel, api: MessagesAPI, home: Path) -> None:
    """Sessions are the CLI's own: the transcript lies where `claude -r` finds it."""
    session = session_of(answered(loaded_kernel, "one"))
    loaded_kernel.wait_for(lambda: bool(transcripts(home, session)), about="a transcript")
