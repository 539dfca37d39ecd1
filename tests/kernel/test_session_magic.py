"""`%claude_session`, word by word, where no widgets can be shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells import answered, failure, history, session_of, usage_error
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel


def say(kernel: Kernel, words: str) -> CellResult:
    return kernel.run(f"%claude_session {words}", allow_stdin=False)


def shown(result: CellResult) -> str:
    assert result.ok, result.outputs
    text: str = result.stdout + result.text
    for name in ("Session(", "SessionInfo(", "datetime", "None"):
        assert name not in text, text
    return text


@pytest.mark.parametrize("words", ["", "show"])
def test_nothing_current_yet(loaded_kernel: Kernel, words: str) -> None:
    """Before the first turn it says that there is no current session and how to get one."""
    text = shown(say(loaded_kernel, words))
    assert "no session yet" in text.lower()
    assert "%%claude" in text


@pytest.mark.parametrize("words", ["", "show"])
def test_show(loaded_kernel: Kernel, notebook_dir: Path, words: str) -> None:
    """It shows the current session: ID, directory, model, turns, tokens, and how to continue it in a terminal."""
    result = answered(loaded_kernel, "hello")
    answered(loaded_kernel, "hello again")
    text = shown(say(loaded_kernel, words))
    session = session_of(result)
    assert session in text
    assert f"claude -r {session}" in text or f"claude --resume {session}" in text
    assert str(notebook_dir) in text
    assert "opus" in text
    assert "2" in text


def test_list(loaded_kernel: Kernel) -> None:
    """`list` shows the sessions of this directory, the newest first, with their names."""
    one = session_of(answered(loaded_kernel, "the first prompt of one"))
    assert say(loaded_kernel, "name Alpha").ok
    two = session_of(answered(loaded_kernel, "the first prompt of two", "--new"))
    text = shown(say(loaded_kernel, "list"))
    assert text.index(two[:8]) < text.index(one[:8])
    assert "Alpha" in text


def test_new(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`new` makes the next cell start another session; the old one is kept."""
    one = session_of(answered(loaded_kernel, "one"))
    assert shown(say(loaded_kernel, "new"))
    assert session_of(answered(loaded_kernel, "two")) != one
    assert history(api) == ["two"]
    answered(loaded_kernel, "three", f"-r {one}")
    assert history(api) == ["one", "three"]


def test_resume(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`resume X` makes a session current by ID, prefix or name."""
    one = session_of(answered(loaded_kernel, "one"))
    say(loaded_kernel, "name The one")
    answered(loaded_kernel, "two", "--new")
    for number, words in enumerate((one, one[:8], "The one", "'The one'")):
        say(loaded_kernel, "new")
        assert one[:8] in shown(say(loaded_kernel, f"resume {words}"))
        assert session_of(answered(loaded_kernel, f"on {number}")) == one
    assert history(api) == ["one", "on 0", "on 1", "on 2", "on 3"]


def test_name(loaded_kernel: Kernel) -> None:
    """`name TITLE` names the current session, any number of times, with any characters."""
    session = session_of(answered(loaded_kernel, "one"))
    for title in ("first title", "Übung 2: “naïve” – 50 %", "-r"):
        assert say(loaded_kernel, f"name {title}").ok
        assert title in shown(say(loaded_kernel, "list"))
        assert session_of(answered(loaded_kernel, "on", f'--resume="{title}"')) == session


def test_delete(loaded_kernel: Kernel, api: MessagesAPI, home: Path) -> None:
    """`delete X` removes a session for good; another one stays current."""
    gone = session_of(answered(loaded_kernel, "one"))
    current = session_of(answered(loaded_kernel, "two", "--new"))
    assert shown(say(loaded_kernel, f"delete {gone[:8]}"))
    assert list(home.glob(f".claude/projects/*/{gone}.jsonl")) == []
    assert gone[:8] not in shown(say(loaded_kernel, "list"))
    failure(say(loaded_kernel, f"resume {gone}"), "SessionNotFoundError")
    assert session_of(answered(loaded_kernel, "three")) == current


def test_delete_the_current_one(loaded_kernel: Kernel, api: MessagesAPI, home: Path) -> None:
    """After the current session was deleted the next cell starts a new one, and the transcript does not come back."""
    gone = session_of(answered(loaded_kernel, "one"))
    assert say(loaded_kernel, f"delete {gone}").ok
    assert session_of(answered(loaded_kernel, "two")) != gone
    assert history(api) == ["two"]
    assert list(home.glob(f".claude/projects/*/{gone}.jsonl")) == []


@pytest.mark.parametrize("words", ["resume ffffffff", "delete ffffffff", "resume no such name"])
def test_unknown_session(loaded_kernel: Kernel, words: str) -> None:
    """A session that is not there is SessionNotFoundError with a next step."""
    failure(say(loaded_kernel, words), "SessionNotFoundError")


@pytest.mark.parametrize(
    ("words", "parts"),
    {
        "nme x": ("nme", "name"),
        "lst": ("lst", "list"),
        "frobnicate": ("frobnicate", "resume"),
        "resume": ("resume", "session"),
        "name": ("name", "title"),
        "name ''": ("name", "title"),
        "delete": ("delete", "session"),
        "name x": ("no current session", "%%claude"),
    }.items(),
)
def test_mistakes(loaded_kernel: Kernel, words: str, parts: tuple[str, ...]) -> None:
    """An unknown word, a missing argument, a name for no session: one line that says what to write."""
    line = usage_error(say(loaded_kernel, words))
    for part in parts:
        assert part in line


def test_help(loaded_kernel: Kernel) -> None:
    """`%claude_session?` lists its words."""
    text = loaded_kernel.run("%claude_session?").payload[0]["data"]["text/plain"]
    for word in ("new", "list", "resume", "name", "delete"):
        assert f"%claude_session {word}" in text
