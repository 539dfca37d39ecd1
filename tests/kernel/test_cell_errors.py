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
def test_api_refuses(shared_session: Kernel, api: MessagesAPI, status: int, allow_stdin: bool) -> None:
    """A request that the API refuses: APIError at once; the session goes on."""
    result = ask(shared_session, f"<<status {status}>>", allow_stdin=allow_stdin)
    failure(result, "APIError")
    following = answered(shared_session, "and on", allow_stdin=allow_stdin)
    assert session_of(following) == session_of(result)


@pytest.mark.short
def test_api_refuses_after_a_tool(shared_session: Kernel, api: MessagesAPI) -> None:
    """What Claude said and did before the failure stays in the cell."""
    calls = '<<say First this.>><<tool Bash {"command": "echo called"}>>'
    result = ask(shared_session, f"{calls}<<drop>>", "--allow Bash(echo:*)")
    failure(result, "APIError")
    kept(result, "First this.", "echo called")


def test_overloaded_then_answered(shared_session: Kernel, api: MessagesAPI) -> None:
    """529 is tried again; the status line says so while it waits, and nothing of it stays."""
    answered(shared_session, "warm up")
    cell = start(shared_session, "<<status 529 2>><<say fine>>")
    cell.wait_for(lambda _: "Retrying (2 of 10)" in on_page(shared_session))
    assert "overloaded (529)" in on_page(shared_session)
    result = cell.wait()
    assert result.ok
    assert result.text.startswith("fine\n")
    assert "Retrying" not in result.bundle["text/html"]
    assert len(api.requests) == 4


@frontends
def test_refused_key(shared_session: Kernel, api: MessagesAPI, allow_stdin: bool) -> None:
    """401 is NotLoggedInError after one request; the session goes on."""
    session = session_of(answered(shared_session, "one"))
    before = len(api.requests)
    text = failure(ask(shared_session, "<<status 401>>", allow_stdin=allow_stdin), "NotLoggedInError")
    assert "claude_magic login" in text
    assert len(api.requests) == before + 1
    assert session_of(answered(shared_session, "<<history>>")) == session


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


def test_cli_killed_in_the_first_turn(shared_session: Kernel, api: MessagesAPI) -> None:
    """Killed in the first turn of a session, it still leaves a kernel whose next cell works."""
    cell = start(shared_session, "<<say The beginning.>><<hang>>")
    cell.wait_for(lambda _: "The beginning." in on_page(shared_session))
    for process in clis(shared_session):
        process.kill()
    failure(cell.wait(), "CLIDiedError")
    answered(shared_session, "two")


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_run_all_stops(loaded_kernel: Kernel, api: MessagesAPI, kind: str) -> None:
    """Behind a failed turn the other cells do not run."""
    above = "%%time\n" if kind == "sync" else ""
    codes = ["%%claude\none", f"{above}%%claude\n<<status 400>>", "%%claude\nnever"]
    results = loaded_kernel.run_all(codes)
    assert [result.status for result in results] == ["ok", "error", "aborted"]
    assert "never" not in str(api.prompts())
    failure(results[1], "APIError")


@pytest.mark.short
@at_some_pace
def test_caught_in_code(shared_session: Kernel, pace: int) -> None:
    """In code the failure is an exception of ours that carries the session and the text."""
    answered(shared_session, "one")
    code = (
        "from claude_magic.errors import ClaudeError\n"
        f"try:\n    get_ipython().run_cell_magic('claude', '--timeout {pace}', '<<say The beginning.>><<hang>>')\n"
        "except ClaudeError as error:\n    caught = [type(error).__name__, error.content, error.session_id]"
    )
    result = shared_session.run(code)
    assert result.ok, result.outputs
    assert shared_session.value("caught") == ["TurnTimeoutError", "The beginning.", session_of(result)]


def test_many_failures_leave_nothing(shared_session: Kernel) -> None:
    """Failing again and again leaves no process, thread or widget behind."""
    only_cli(shared_session)
    # A loop keeps the threads in which it has looked at files.
    threads = "sorted(t.name for t in __import__('threading').enumerate() if not t.name.startswith('asyncio'))"
    before = shared_session.value(threads), len(clis(shared_session))
    for _ in range(5):
        failure(ask(shared_session, "<<status 400>>"), "APIError")
    assert (shared_session.value(threads), len(clis(shared_session))) == before
    assert dict(shared_session.widgets) == {}


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
