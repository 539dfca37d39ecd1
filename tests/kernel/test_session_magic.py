"""`%claude_session`, word by word, where no widgets can be shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import SETTLED, answered, ask, failure, history, session_of, usage_error
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
def test_nothing_current_yet(shared_session: Kernel, words: str) -> None:
    """Before the first turn it says that there is no current session and how to get one."""
    text = shown(say(shared_session, words))
    assert "no session yet" in text.lower()
    assert "%%claude" in text


@pytest.mark.short
@pytest.mark.parametrize("words", ["", "show"])
def test_show(shared_session: Kernel, notebook_dir: Path, words: str) -> None:
    """It shows the current session: ID, directory, model, turns, tokens, and how to continue it in a terminal."""
    result = answered(shared_session, "hello")
    answered(shared_session, "hello again")
    text = shown(say(shared_session, words))
    session = session_of(result)
    assert session in text
    (command,) = re.findall(r"cd .* -r [\w-]+", text)
    directory, program = re.fullmatch(rf"cd (\S+) && (\S+) -r {session}", command).groups()
    assert directory == str(notebook_dir)
    # It names what is started here, and starts.
    assert subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.endswith("(Claude Code)\n")
    assert str(notebook_dir) in text
    assert "opus" in text
    assert "2" in text


def test_how_large_a_request_is(shared_session: Kernel, api: MessagesAPI) -> None:
    """`show --prompt` and the panel say what a request holds, by part, as the live process counts; nothing is sent for it."""
    answered(shared_session, "hello")
    pattern = r"about [\d,]+ tokens \(.*\bsystem tools [\d,]+.*\bsystem prompt [\d,]+"
    assert re.search(rf"hello\n\nA whole request of .*: {pattern}", shown(say(shared_session, "show --prompt")))
    assert re.search(rf"a request +{pattern}", shown(say(shared_session, "show")))
    assert len(api.requests) == 1
    assert say(shared_session, "new").ok
    assert "A whole request" not in shown(say(shared_session, "show --prompt"))


@pytest.mark.short
def test_list(shared_session: Kernel) -> None:
    """`list` shows the sessions of this directory, the newest first, with their names."""
    one = session_of(answered(shared_session, "the first prompt of one"))
    assert say(shared_session, "name Alpha").ok
    two = session_of(answered(shared_session, "the first prompt of two", "--new"))
    text = shown(say(shared_session, "list"))
    assert text.index(two[:8]) < text.index(one[:8])
    assert "Alpha" in text


def test_list_shows_what_one_looks_for(loaded_kernel: Kernel) -> None:
    """`list` shows name, last prompt, turns, time and size of each session; `list TEXT` those that TEXT fits."""
    one = session_of(answered(loaded_kernel, "Wie viele Überlebende?"))
    answered(loaded_kernel, "more")
    assert say(loaded_kernel, "name Titanic clean-up").ok
    two = session_of(answered(loaded_kernel, "What is a median?", "--new"))
    lines = shown(say(loaded_kernel, "list")).splitlines()
    assert lines[0].split() == ["row", "session", "name", "last", "prompt", "turns", "last", "used", "from", "size"]
    (line,) = [line for line in lines if line.split()[1:2] == [one[:8]]]
    assert line.split()[2:6] == ["Titanic", "clean-up", "more", "2"]
    assert line.endswith(" KB")
    (line,) = [line for line in lines if line.split()[1:2] == [two[:8]]]
    assert line.endswith("current")
    for words, found in {
        "titanic": one,
        "'CLEAN-up'": one,
        "überleb": one,
        one[:6]: one,
        one.upper(): one,
        "MEDIAN": two,
    }.items():
        text = shown(say(loaded_kernel, f"list {words}"))
        assert [other[:8] in text for other in (one, two)] == [found == one, found == two]
    assert "'zeppelin'" in shown(say(loaded_kernel, "list zeppelin"))


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


def test_resume_shows_where_it_stands(shared_session: Kernel) -> None:
    """`resume X` shows the last turns: the prompt on a line, and how the reply begins."""
    one = session_of(answered(shared_session, "<<say the oldest>>"))
    for prompt in ("two\n<<say second>>", "<<say # <b>third</b>>>", "<<stream 50 20 0>>"):
        answered(shared_session, prompt)
    say(shared_session, "new")
    result = say(shared_session, f"resume {one[:8]}")
    text = shown(result)
    assert text.index(f"continues {one[:8]}") < text.index("> two <<say second>>") < text.index("\nthird\n")
    assert text.rstrip().endswith("…")
    assert "oldest" not in text
    assert set(result.bundle) == SETTLED
    assert "<b>third" not in result.bundle["text/html"] + result.bundle["text/markdown"]


def test_name(shared_session: Kernel) -> None:
    """`name TITLE` names the current session, any number of times, with any characters."""
    session = session_of(answered(shared_session, "one"))
    for title in ("first title", "Übung 2: “naïve” – 50 %", "-r", "say 'hi'"):
        assert say(shared_session, f"name {title}").ok
        assert title in shown(say(shared_session, "list"))
        assert session_of(answered(shared_session, "on", f'--resume="{title}"')) == session


def test_delete(shared_session: Kernel, api: MessagesAPI, home: Path) -> None:
    """`delete X` removes a session for good; another one stays current."""
    gone = session_of(answered(shared_session, "one"))
    current = session_of(answered(shared_session, "two", "--new"))
    assert shown(say(shared_session, f"delete {gone[:8]}"))
    assert list(home.glob(f".claude/projects/*/{gone}.jsonl")) == []
    assert gone[:8] not in shown(say(shared_session, "list"))
    failure(say(shared_session, f"resume {gone}"), "SessionNotFoundError")
    assert session_of(answered(shared_session, "three")) == current


def test_delete_the_current_one(shared_session: Kernel, api: MessagesAPI, home: Path) -> None:
    """After the current session was deleted the next cell starts a new one, and the transcript does not come back."""
    gone = session_of(answered(shared_session, "one"))
    assert say(shared_session, f"delete {gone}").ok
    assert session_of(answered(shared_session, "two")) != gone
    assert history(api) == ["two"]
    assert list(home.glob(f".claude/projects/*/{gone}.jsonl")) == []


def tell(kernel: Kernel) -> str:
    """Hold a session of two turns and a failed one; return its ID."""
    session = session_of(answered(kernel, "What is *a*?\n<<say A **letter** <b>>>"))
    answered(kernel, '<<tool Bash {"command": "pwd"}>><<say 42>>', "--allow Bash")
    assert ask(kernel, "<<status 400>>").status == "error"
    return session


@contextmanager
def inside(kernel: Kernel, directory: Path) -> Iterator[Kernel]:
    """Let the kernel's working directory be another one for a while."""
    assert kernel.run(f"import os; before = os.getcwd(); os.chdir({str(directory)!r})").ok
    yield kernel
    assert kernel.run("os.chdir(before)").ok


@pytest.fixture
def told(loaded_kernel: Kernel, tmp_path: Path) -> Iterator[Kernel]:
    """The kernel in a directory of the test's own, with a session of two turns and a failed one."""
    with inside(loaded_kernel, tmp_path):
        tell(loaded_kernel)
        yield loaded_kernel


@pytest.fixture(scope="module")
def told_before() -> set[str]:
    """The session that the tests share which only read it."""
    return set()


@pytest.fixture
def told_once(kernel: Kernel, tmp_path: Path, told_before: set[str], request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """The same for tests that only read the session: the first of them tells it."""
    if not told_before or not any(session in shown(say(kernel, "show")) for session in told_before):
        request.getfixturevalue("loaded_kernel")
        told_before.add(tell(kernel))
    with inside(kernel, tmp_path):
        yield kernel


def exported(kernel: Kernel, words: str, path: Path) -> str:
    """Export, and return what was written; nothing else may be in the directory then."""
    before = set(path.parent.iterdir())
    text = shown(say(kernel, f"export {words}"))
    assert "3 turns" in text
    assert path.name in text
    assert set(path.parent.iterdir()) == before | {path}
    return path.read_text()


def test_export_markdown(told: Kernel, tmp_path: Path) -> None:
    """`export` to .md writes prompts and replies; a second time it wants --force, and the file stays as it was."""
    say(told, "name letters & numbers")
    written = exported(told, "notes.md", tmp_path / "notes.md")
    assert written.startswith("# letters &amp; numbers\n")
    order = ["> What is *a*?", "A **letter** &lt;b&gt;", "## Turn 2", "**Bash** `pwd` ✓", "\n42\n", "scripted 400"]
    assert sorted(order, key=written.index) == order
    (tmp_path / "notes.md").write_text("mine")
    assert "--force" in usage_error(say(told, "export notes.md"))
    assert (tmp_path / "notes.md").read_text() == "mine"
    assert exported(told, "--force notes.md", tmp_path / "notes.md") == written


def test_export_notebook(told: Kernel, tmp_path: Path, api: MessagesAPI) -> None:
    """`export` to .ipynb writes a valid notebook whose outputs are the replies and whose cells run again."""
    written = nbformat.reads(exported(told, "talk.ipynb", tmp_path / "talk.ipynb"), as_version=4)
    nbformat.validate(written)
    load, first, second, failed = written.cells
    about: Any = first.outputs[0].metadata["claude_magic"]
    assert about == {"session_id": about["session_id"], "turn": 1}
    assert "<strong>letter</strong>" in first.outputs[0].data["text/html"]
    assert "scripted 400" in failed.outputs[0].data["text/plain"]
    say(told, "new")
    for cell in (load, first, second):
        assert told.run(cell.source).ok
    assert history(api) == ["What is *a*?\n<<say A **letter** <b>>>", second.source.removeprefix("%%claude\n")]


@pytest.mark.parametrize(
    ("typed", "name"),
    {
        "my notes.md": "my notes.md",
        '"my notes.md"': "my notes.md",
        "'my notes.md' --force": "my notes.md",
        "it's.md": "it's.md",
        "NOTES.MD": "NOTES.MD",
        "../{}/über –.md": "über –.md",
        "~/in home.md": "in home.md",
    }.items(),
)
def test_export_paths(told_once: Kernel, tmp_path: Path, home: Path, typed: str, name: str) -> None:
    """A path is taken as it is meant: with spaces, quotes, `..` and `~`."""
    written = exported(told_once, typed.replace("{}", tmp_path.name), (home if typed.startswith("~") else tmp_path) / name)
    assert written.startswith("# What is")


def test_export_keeps_a_link(told_once: Kernel, tmp_path: Path) -> None:
    """What a link leads to is replaced, not the link."""
    (tmp_path / "real.md").write_text("old")
    (tmp_path / "link.md").symlink_to(tmp_path / "real.md")
    assert "3 turns" in shown(say(told_once, "export link.md --force"))
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_text().startswith("# What is")


def test_export_leaves_its_folder_by_no_link(told_once: Kernel, tmp_path: Path, home: Path) -> None:
    """A link out of the folder, as one that came with it may be, is not written through, also where nothing is yet."""
    (tmp_path / "notes.md").symlink_to(home / "elsewhere.md")
    (tmp_path / "out").symlink_to(home)
    (beside := tmp_path.parent / f"{tmp_path.name}-beside").mkdir()
    (beside / "docs").symlink_to(home)
    for path in ("notes.md", "out/notes.md", "notes.md --force", f"../{beside.name}/docs/notes.md", f"{beside}/docs/notes.md"):
        result = say(told_once, f"export {path}")
        assert "is a link out of its folder; name the file itself, ~/" in json.dumps(result.outputs), result.outputs
    (beside / "here").symlink_to(tmp_path)
    assert "Wrote" in shown(say(told_once, f"export {beside}/here/own.md"))
    assert not (home / "elsewhere.md").exists()
    assert not (home / "notes.md").exists()


@pytest.mark.parametrize(
    ("typed", "parts"),
    {
        "notes": (".md", ".ipynb", "no ending"),
        "notes.txt": (".md", ".ipynb", ".txt"),
        ".": ("is a directory", "file name"),
        "sub.md --force": ("is a directory",),
        "nowhere/notes.md": ("no directory", "nowhere"),
        "plain.md/notes.md": ("no directory", "plain.md"),
        "pipe.md --force": ("cannot be replaced",),
        f"{'x' * 300}.md": ("cannot be written", "too long"),
        "/proc/notes.md": ("/proc/notes.md", "cannot be written"),
        "--force": (".md",),
        "''": (".md",),
    }.items(),
)
def test_export_mistakes(told_once: Kernel, tmp_path: Path, typed: str, parts: tuple[str, ...]) -> None:
    """A path that cannot be written to: one line that says why and what to write, and nothing is left behind."""
    (tmp_path / "sub.md").mkdir()
    (tmp_path / "plain.md").write_text("")
    os.mkfifo(tmp_path / "pipe.md")
    before = set(tmp_path.rglob("*"))
    line = usage_error(say(told_once, f"export {typed}"))
    for part in parts:
        assert part in line
    assert set(tmp_path.rglob("*")) == before


def test_export_of_what_is_gone(told: Kernel, tmp_path: Path, home: Path) -> None:
    """Without a transcript there is nothing to export, and no file."""
    for path in home.glob(".claude/projects/*/*.jsonl"):
        path.unlink()
    assert "no turns" in usage_error(say(told, "export notes.md"))
    assert not (tmp_path / "notes.md").exists()


def test_export_after_compaction(told: Kernel, tmp_path: Path) -> None:
    """What was said before the conversation was compacted is exported too."""
    answered(told, "/compact")
    written = json.loads(exported(told, "talk.ipynb", tmp_path / "talk.ipynb"))
    assert len(written["cells"]) == 4


@pytest.mark.parametrize("words", ["resume ffffffff", "delete ffffffff", "resume no such name"])
def test_unknown_session(shared_session: Kernel, words: str) -> None:
    """A session that is not there is SessionNotFoundError with a next step."""
    failure(say(shared_session, words), "SessionNotFoundError")


@pytest.mark.parametrize(
    ("words", "parts"),
    {
        "nme x": ("nme", "name"),
        "lst": ("lst", "list"),
        "frobnicate": ("frobnicate", "resume"),
        "name": ("name", "title"),
        "name ''": ("name", "title"),
        "delete": ("delete", "session"),
        "name x": ("no current session", "%%claude"),
        "export": ("export", ".md", ".ipynb"),
        "export x.md": ("no current session", "%%claude"),
    }.items(),
)
def test_mistakes(loaded_kernel: Kernel, words: str, parts: tuple[str, ...]) -> None:
    """An unknown word, a missing argument, a name for no session: one line that says what to write."""
    line = usage_error(say(loaded_kernel, words))
    for part in parts:
        assert part in line


@pytest.mark.short
def test_help(shared_session: Kernel) -> None:
    """`%claude_session?` lists its words."""
    text = shared_session.run("%claude_session?").payload[0]["data"]["text/plain"]
    for word in ("new", "list", "resume", "name", "export", "delete"):
        assert f"%claude_session {word}" in text
