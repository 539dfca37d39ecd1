"""`doctor`, in a kernel and in a terminal, and `login`: what they find, say and leave out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cells import ask, failure, usage_error
from messages_api import MessagesAPI
from rig.environment import NOWHERE, own_variables
from rig.kernel import Kernel

from claude_magic.__main__ import main
from claude_magic._kernel.doctor.machine import Finding, as_json, look, report, try_turn
from claude_magic.sdk import ClaudeConfig
from claude_magic.sdk._cli.command_line import OLDEST_CLI

SECRET = "hunter2-9f8e7d6c5b4a"
Run = Callable[..., Any]


@pytest.fixture
def in_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Do what `python -m claude_magic ...` does in an empty directory; the exit code, and all that was printed."""
    monkeypatch.chdir(tmp_path)
    for name, value in own_variables(home, NOWHERE).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def topics(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.topic: finding for finding in findings}


def fake_cli(tmp_path: Path, version: str) -> Path:
    """Make a CLI that logs in at once: it has a login when it was called so."""
    program = tmp_path / "other-claude"
    program.write_text(
        f"""#!/bin/sh
case "$*" in
  --version) echo "{version} (Claude Code)";;
  "auth status") [ -e "{tmp_path}/login" ] && echo '{{"authMethod": "claude.ai", "email": "me@home"}}';;
  "auth login"*) echo "$*" > "{tmp_path}/login";;
esac
"""
    )
    program.chmod(0o755)
    return program


def test_in_a_kernel(loaded_kernel: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """It names versions, CLI, login, frontend, directory and files, and asks the API nothing."""
    result = loaded_kernel.run("%claude_session doctor")
    assert result.ok, result.outputs
    for text in ("claude-agent-sdk", "ipykernel", "2.1.", "ANTHROPIC_API_KEY", "clicks work", str(notebook_dir), "Nothing is"):
        assert text in result.stdout, text
    assert api.requests == []


def test_a_turn_on_request(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`doctor --turn` asks once, in a session that is gone afterwards; the kernel's own goes on."""
    assert ask(loaded_kernel, "one").ok
    before = loaded_kernel.run("%claude_session list").bundle["text/plain"]
    result = loaded_kernel.run("%claude_session doctor --turn")
    assert "answered in" in result.stdout, result.outputs
    assert len(api.requests) == 2
    assert loaded_kernel.run("%claude_session list").bundle["text/plain"] == before
    assert ask(loaded_kernel, "two").ok
    assert api.prompts()[-1] == ["one", "two"]


def test_another_argument(loaded_kernel: Kernel) -> None:
    """`doctor` takes nothing but `--turn`."""
    assert "--turn" in usage_error(loaded_kernel.run("%claude_session doctor please"))


def test_nothing_private(in_terminal: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no password of a proxy and no home directory is in the report, and JSON says the same."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@127.0.0.1:8")
    for arguments in (["doctor"], ["doctor", "--json"]):
        code, printed = in_terminal(*arguments)
        assert code == 0
        assert SECRET not in printed
        assert str(home) not in printed
        assert "127.0.0.1:8" in printed
    told = json.loads(printed)
    assert told["ok"]
    assert told["findings"]["login"] == {"text": "ANTHROPIC_API_KEY", "next_step": ""}


def test_without_a_login(tmp_path: Path, environment: dict[str, str]) -> None:
    """Where nobody is logged in it ends with 1, and with a command that exists."""
    command, env = [sys.executable, "-m", "claude_magic", "doctor"], environment | {"ANTHROPIC_API_KEY": ""}
    ran = subprocess.run(command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert ran.returncode == 1, ran.stderr
    assert "! login" in ran.stdout
    assert "1. Run `python -m claude_magic login` in a terminal" in ran.stdout.splitlines()[-1]


def test_an_older_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_async: Run) -> None:
    """A CLI that is too old, is not there or is no Claude is told apart from one that will do."""
    monkeypatch.chdir(tmp_path)
    said = {version: topics(run_async(look(str(fake_cli(tmp_path, version)))))["CLI"] for version in ("2.1.9", "3.0.0", "")}
    assert OLDEST_CLI in said["2.1.9"].text
    assert OLDEST_CLI in said["2.1.9"].next_step
    assert not said["3.0.0"].next_step
    assert "does not say its version" in said[""].text
    assert "does not exist" in topics(run_async(look("/nowhere/claude")))["CLI"].text


def test_a_login_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_async: Run) -> None:
    """A CLI that says nothing, or is not there, is no reason to tell somebody to log in."""
    monkeypatch.chdir(tmp_path)
    for cli in (str(fake_cli(tmp_path, "3.0.0")), "/nowhere/claude"):
        found = topics(run_async(look(cli)))["login"]
        assert found.text.startswith("not known")
        assert not found.next_step


def test_whose_login_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_async: Run) -> None:
    """Of an account the kind is said, not whose it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "login").touch()
    assert topics(run_async(look(str(fake_cli(tmp_path, "3.0.0")))))["login"] == Finding("login", "an account of claude.ai")


def test_places_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_async: Run) -> None:
    """A directory for temporary files that is not there, and a home that is a file, come with what to do."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "file" / ".claude"))
    found = topics(run_async(look()))
    assert "TMPDIR" in found["files, temporary"].next_step
    assert "is not a directory" in found["files, the CLI's own"].text
    assert "CLAUDE_CONFIG_DIR" in found["files, the CLI's own"].next_step
    assert not found["files, our own"].next_step


def test_a_gone_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_async: Run) -> None:
    """The working directory that somebody has deleted is one finding, and the others are there."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    found = topics(run_async(look()))
    assert "gone" in found["directory"].text
    assert "2.1." in found["CLI"].text


def test_a_turn_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, api: MessagesAPI, run_async: Run
) -> None:
    """A test turn that fails says why and what to do, and leaves no session behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / ".claude"))
    before = set(home.rglob("*.jsonl"))
    found = run_async(try_turn(ClaudeConfig(env=own_variables(home, api.url) | {"ANTHROPIC_API_KEY": ""})))
    assert found.text.startswith("NotLoggedInError: ")
    assert "login" in found.next_step
    assert set(home.rglob("*.jsonl")) == before


def test_what_to_do_is_said_once() -> None:
    """The report ends with each step once, in the order of the findings; without any it says so."""
    findings = [
        Finding("a", "one", "Do this."),
        Finding("b", "two"),
        Finding("c", "three", "Do this."),
        Finding("d", "", "That."),
    ]
    assert report(findings).splitlines()[-3:] == ["What to do:", "1. Do this.", "2. That."]
    assert report([Finding("b", "two")]).splitlines() == ["  b  two", "", "Nothing is in the way."]
    assert not json.loads(as_json(findings))["ok"]


def test_login(in_terminal: Callable[..., Any], tmp_path: Path) -> None:
    """`login` runs the CLI's own, with what is handed on, and says that a kernel need not be restarted."""
    code, printed = in_terminal("login", "--cli", str(fake_cli(tmp_path, "3.0.0")), "--console")
    assert code == 0
    assert (tmp_path / "login").read_text() == "auth login --console\n"
    assert "running kernels need no restart" in printed


def test_login_that_fails(in_terminal: Callable[..., Any], tmp_path: Path) -> None:
    """`login` without a CLI, or with one that does not log in, ends with 1 and says so."""
    code, printed = in_terminal("login", "--cli", "/nowhere/claude")
    assert code == 1
    assert "does not exist" in printed
    program = fake_cli(tmp_path, "3.0.0")
    program.write_text("#!/bin/sh\nexit 1\n")
    assert in_terminal("login", "--cli", str(program))[0] == 1


def test_a_key_set_in_a_cell(kernel: Kernel, api: MessagesAPI) -> None:
    """After a refusal for lack of a login, a key that a cell sets holds for the next cell, without a restart."""
    kernel.run("%load_ext claude_magic\n%claude_session new")
    kernel.run("import os; key = os.environ.pop('ANTHROPIC_API_KEY')")
    try:
        text = failure(ask(kernel, "one"), "NotLoggedInError")
        assert "python -m claude_magic login" in text
        assert "restart" not in text
        # What is proposed in its place can be run as it stands.
        line = next(line for line in text.splitlines() if line.startswith("    import getpass"))
        compile(line.strip(), "cell", "exec")
        assert api.requests == []
    finally:
        kernel.run("os.environ['ANTHROPIC_API_KEY'] = key")
    assert ask(kernel, "two").ok
    assert len(api.requests) == 1


def test_a_login_while_a_lesson_is_played(fresh_kernel: Kernel, api: MessagesAPI) -> None:
    """A lesson for those without a login goes live with the first cell after one, and stays so without asking again."""
    lesson = fresh_kernel.notebook_dir / "lesson.jsonl"
    setup = "%load_ext claude_magic\n%config ClaudeMagics.cassette = 'lesson.jsonl'\n%config ClaudeMagics.cassette_mode = "
    assert fresh_kernel.run(f"{setup}'record'").ok
    assert ask(fresh_kernel, "one").ok
    fresh_kernel.run(
        "import os; key = os.environ.pop('ANTHROPIC_API_KEY')\n%config ClaudeMagics.cassette_mode = 'without-login'"
    )
    api.requests.clear()
    played = ask(fresh_kernel, "one")
    assert played.ok
    assert "python -m claude_magic login" in played.text + played.stdout
    assert api.requests == []
    fresh_kernel.run("os.environ['ANTHROPIC_API_KEY'] = key")
    assert ask(fresh_kernel, "two").ok
    assert len(api.requests) == 1
    assert lesson.exists()
