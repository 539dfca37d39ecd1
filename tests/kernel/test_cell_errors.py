"""Failed turns: one error of ours each, with a next step, what had arrived kept, and the next cell working."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from cells import answered, ask, clis, failure, history, kept, on_page, only_cli, session_of, start
from messages_api import MessagesAPI
from rig.environment import isolated_environment
from rig.kernel import Kernel
from rig.pace import at_some_pace

frontends = pytest.mark.parametrize("allow_stdin", [True, False], ids=["live", "static"])


@pytest.mark.parametrize(("status", "allow_stdin"), [(400, True), (400, False), (403, True), (404, True), (413, True)])
def test_api_refuses(loaded_kernel: Kernel, api: MessagesAPI, status: int, allow_stdin: bool) -> None:
    """A request that the API refuses: APIError at once; the session goes on."""
    result = ask(loaded_kernel, f"<<status {status}>>", allow_stdin=allow_stdin)
    failure(result, "APIError")
    following = answered(loaded_kernel, "and on", allow_stdin=allow_stdin)
    assert session_of(following) == session_of(result)


def test_api_refuses_after_a_tool(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """What Claude said and did before the failure stays in the cell."""
    calls = '<<say First this.>><<tool Bash {"command": "echo called"}>>'
    result = ask(loaded_kernel, f"{calls}<<drop>>", "--allow Bash(echo:*)")
    failure(result, "APIError")
    kept(result, "First this.", "echo called")


def test_overloaded_then_answered(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """529 is tried again; the status line says so while it waits, and nothing of it stays."""
    answered(loaded_kernel, "warm up")
    cell = start(loaded_kernel, "<<status 529 2>><<say fine>>")
    cell.wait_for(lambda _: "Retrying (2 of 10)" in on_page(loaded_kernel))
    assert "overloaded (529)" in on_page(loaded_kernel)
    result = cell.wait()
    assert result.ok
    assert result.text.startswith("fine\n")
    assert "Retrying" not in result.bundle["text/html"]
    assert len(api.requests) == 4


@frontends
def test_refused_key(loaded_kernel: Kernel, api: MessagesAPI, allow_stdin: bool) -> None:
    """401 is NotLoggedInError after one request; the session goes on."""
    session = session_of(answered(loaded_kernel, "one"))
    before = len(api.requests)
    text = failure(ask(loaded_kernel, "<<status 401>>", allow_stdin=allow_stdin), "NotLoggedInError")
    assert "claude_magic login" in text
    assert len(api.requests) == before + 1
    assert session_of(answered(loaded_kernel, "<<history>>")) == session


@frontends
def test_dropped_in_mid_stream(loaded_kernel: Kernel, api: MessagesAPI, allow_stdin: bool) -> None:
    """A connection that drops in the middle: APIError, with what had arrived kept."""
    session = session_of(answered(loaded_kernel, "one"))
    result = ask(loaded_kernel, "<<say The beginning.>><<drop>>", allow_stdin=allow_stdin)
    failure(result, "APIError")
    kept(result, "The beginning.")
    assert session_of(result) == session
    assert session_of(answered(loaded_kernel, "two")) == session
    assert history(api)[0] == "one"


@pytest.mark.parametrize(
    ("number", "allow_stdin"),
    [(signal.SIGKILL, True), (signal.SIGTERM, False)],
    ids=["SIGKILL-live", "SIGTERM-static"],
)
def test_cli_killed_in_mid_turn(loaded_kernel: Kernel, api: MessagesAPI, number: signal.Signals, allow_stdin: bool) -> None:
    """A CLI that is killed in mid-turn: CLIDiedError, with what had arrived kept; the next cell resumes the session."""
    session = session_of(answered(loaded_kernel, "one", "--allow Bash(true:*)"))
    prompt = '<<say The beginning.>><<tool Bash {"command": "true"}>><<hang>>'
    cell = start(loaded_kernel, prompt, "--allow Bash(true:*)", allow_stdin=allow_stdin)
    api.wait_for_requests(3)
    for process in clis(loaded_kernel):
        os.kill(process.pid, number)
    result = cell.wait()
    failure(result, "CLIDiedError")
    kept(result, "The beginning.")
    assert session_of(result) == session
    assert session_of(answered(loaded_kernel, "two")) == session
    assert history(api)[0] == "one"
    assert history(api)[-1] == "two"


def test_cli_killed_in_the_first_turn(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Killed in the first turn of a session, it still leaves a kernel whose next cell works."""
    cell = start(loaded_kernel, "<<say The beginning.>><<hang>>")
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    for process in clis(loaded_kernel):
        process.kill()
    failure(cell.wait(), "CLIDiedError")
    answered(loaded_kernel, "two")


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_run_all_stops(loaded_kernel: Kernel, api: MessagesAPI, kind: str) -> None:
    """Behind a failed turn the other cells do not run."""
    above = "%%time\n" if kind == "sync" else ""
    codes = ["%%claude\none", f"{above}%%claude\n<<status 400>>", "%%claude\nnever"]
    results = loaded_kernel.run_all(codes)
    assert [result.status for result in results] == ["ok", "error", "aborted"]
    assert "never" not in str(api.prompts())
    failure(results[1], "APIError")


@at_some_pace
def test_caught_in_code(loaded_kernel: Kernel, pace: int) -> None:
    """In code the failure is an exception of ours that carries the session and the text."""
    answered(loaded_kernel, "one")
    code = (
        "from claude_magic.errors import ClaudeError\n"
        f"try:\n    get_ipython().run_cell_magic('claude', '--timeout {pace}', '<<say The beginning.>><<hang>>')\n"
        "except ClaudeError as error:\n    caught = [type(error).__name__, error.content, error.session_id]"
    )
    result = loaded_kernel.run(code)
    assert result.ok, result.outputs
    assert loaded_kernel.value("caught") == ["TurnTimeoutError", "The beginning.", session_of(result)]


def test_many_failures_leave_nothing(loaded_kernel: Kernel) -> None:
    """Failing again and again leaves no process, thread or widget behind."""
    only_cli(loaded_kernel)
    threads = "len(__import__('threading').enumerate())"
    before = loaded_kernel.value(threads), len(clis(loaded_kernel))
    for _ in range(5):
        failure(ask(loaded_kernel, "<<status 400>>"), "APIError")
    assert (loaded_kernel.value(threads), len(clis(loaded_kernel))) == before
    assert dict(loaded_kernel.widgets) == {}


def test_not_logged_in(tmp_path: Path, api: MessagesAPI) -> None:
    """Without an account: NotLoggedInError says how to log in; nothing is sent."""
    environment = isolated_environment(tmp_path / "home", api.url)
    del environment["ANTHROPIC_API_KEY"]
    with Kernel(tmp_path, environment) as kernel:
        kernel.run("%load_ext claude_magic")
        text = failure(ask(kernel, "hello"), "NotLoggedInError")
        assert "claude_magic login" in text
        assert "ANTHROPIC_API_KEY" in text
        assert api.requests == []
        failure(ask(kernel, "hello", allow_stdin=False), "NotLoggedInError")
        assert dict(kernel.widgets) == {}
