"""Every way in which a turn can fail gives its own error, which says what to do next and leaves the client usable."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from watching import QUICK, UNKNOWN, MakeConfig, Run, cli_pids, script

from claude_magic import errors
from claude_magic.errors import (
    APIError,
    BudgetExceededError,
    CassetteMismatchError,
    ClaudeError,
    CLIDiedError,
    CLIError,
    CLINotFoundError,
    NotLoggedInError,
    SessionNotFoundError,
    TurnLimitError,
)
from claude_magic.sdk import ClaudeClient, ClaudeConfig, SessionAwareClient
from claude_magic.sdk._cli.command_line import find_cli


def failure(run_async: Run, config: ClaudeConfig, prompt: str = "hello") -> ClaudeError:
    """Return the error that a prompt ends with; it says what to do next."""

    async def ask() -> ClaudeError:
        async with ClaudeClient(config) as client:
            with pytest.raises(ClaudeError) as caught:
                await client.query(prompt)
        return caught.value

    error = run_async(ask())
    assert error.next_step
    assert error.next_step in str(error)
    return error


@pytest.mark.short
def test_status_of_the_api(make_config: MakeConfig, run_async: Run) -> None:
    """A refusal is an APIError with its status; the session is named and goes on."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(env=QUICK)) as client:
            session_id = (await client.query_with_session("start")).session_id
            for status in (400, 403, 404, 413, 429, 500, 529):
                with pytest.raises(APIError) as caught:
                    await client.query_with_session(f"<<status {status}>>", auto_resume_last=True)
                assert (caught.value.status, caught.value.session_id) == (status, session_id)
                assert caught.value.next_step
            reply = await client.query_with_session("hello", auto_resume_last=True)
            assert (reply.content, reply.session_id) == ("You said: hello", session_id)

    run_async(ask())


def test_no_credential_in_the_text(make_config: MakeConfig, run_async: Run) -> None:
    """What the CLI says of a failure is in the error's text without the credentials of the config's `env`."""
    config = make_config(model="staple-of-paper", env={**QUICK, "OTHER_TOKEN": "staple-of-paper"})
    error = failure(run_async, config, "<<status 404>>")
    assert "[OTHER_TOKEN]" in str(error)
    assert "staple-of-paper" not in f"{error} {error!r}"


def test_refused_key_and_no_key(make_config: MakeConfig, run_async: Run) -> None:
    """401 is NotLoggedInError, and so is a CLI without login and key."""
    assert type(failure(run_async, make_config(env=QUICK), "<<status 401>>")) is NotLoggedInError
    config = make_config()
    del config.env["ANTHROPIC_API_KEY"]
    error = failure(run_async, config)
    assert type(error) is NotLoggedInError
    assert "claude_magic login" in str(error)


@pytest.mark.parametrize("prompt", ["<<drop>>", "<<say part>><<drop>>"])
def test_dropped_connection(prompt: str, make_config: MakeConfig, run_async: Run) -> None:
    """A connection that breaks again and again is an APIError without a status; what had arrived is in it, once."""
    error = failure(run_async, make_config(env=QUICK), prompt)
    assert isinstance(error, APIError)
    assert error.status is None
    assert "network" in error.next_step
    assert error.content.startswith("part") is ("part" in prompt)


def test_nobody_at_the_api(make_config: MakeConfig, run_async: Run) -> None:
    """An API that cannot be reached is an APIError without a status."""
    error = failure(run_async, make_config(env={**QUICK, "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}))
    assert isinstance(error, APIError)
    assert error.status is None


@pytest.mark.short
def test_no_cli(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """No file, a file that is not executable, a directory: CLINotFoundError names the path."""
    plain = tmp_path / "plain"
    plain.write_text("text")
    for path in (tmp_path / "nothing", plain, tmp_path):
        error = failure(run_async, make_config(cli_path=path))
        assert type(error) is CLINotFoundError
        assert path.name in str(error)
        with pytest.raises(CLINotFoundError):
            ClaudeClient(make_config(cli_path=path)).command("hello")


def test_cli_that_cannot_be_executed(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """An executable file that is no program, or whose interpreter is missing, is a CLIError."""
    for name, text in (("no-program", "just text"), ("no-interpreter", "#!/no/such/thing\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
        assert isinstance(failure(run_async, make_config(cli_path=tmp_path / name)), CLIError)


def test_stderr_is_in_the_error(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """A CLI that complains on stderr and exits 1 is a CLIDiedError with its exit code and its last lines."""
    cli = script(tmp_path / "cli", "import sys\nprint('x' * 50, file=sys.stderr)\nsys.exit('the disk is full')\n")
    error = failure(run_async, make_config(cli_path=cli))
    assert type(error) is CLIDiedError
    assert "exit code 1" in str(error)
    assert "the disk is full" in error.stderr
    assert "the disk is full" in str(error)


def test_cli_that_is_another_program(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """A CLI that says something else than JSON and ends well is a CLIDiedError, at once."""
    cli = script(tmp_path / "cli", "print('Welcome to the wrong program!')\nprint('[1]')\nprint('{broken')\n")
    assert type(failure(run_async, make_config(cli_path=cli))) is CLIDiedError


def test_killed_cli(make_config: MakeConfig, run_async: Run) -> None:
    """A CLI killed in mid-turn is a CLIDiedError with the signal, session and partial text; the session is resumed."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = str((await client.query_with_session("one")).session_id)
            # Killed in the first moments of a session, the CLI (2.1.331) may not have written its transcript yet.
            await client.close_session(session_id)
            events = client.stream_query("<<say part>><<hang>>", session_id=session_id)
            assert await anext(events) == "part"
            (pid,) = cli_pids()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(CLIDiedError, match="signal 9") as caught:
                await anext(events)
            assert caught.value.content == "part"
            assert caught.value.session_id == client.last_session_id == session_id
            reply = await client.query_with_session("<<history>>", auto_resume_last=True)
            assert reply.session_id == session_id
            assert (reply.content.startswith("- one\n"), reply.content.endswith("\n- <<history>>")) == (True, True)

    run_async(ask())


def test_stderr_of_a_cli_that_dies_in_mid_turn(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """What the CLI complained of before it died in a turn is in the error."""
    wrapper = f"""import subprocess, sys
cli = subprocess.Popen([{find_cli(None)!r}, *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
for line in cli.stdout:
    print(line, end="", flush=True)
    if '"subtype":"init"' in line:
        cli.kill()
        cli.wait()
        sys.exit("out of memory")
"""
    error = failure(run_async, make_config(cli_path=script(tmp_path / "cli", wrapper)), "<<hang>>")
    assert type(error) is CLIDiedError
    assert "out of memory" in error.stderr
    assert error.session_id


def test_budget_and_turn_limit(make_config: MakeConfig, run_async: Run) -> None:
    """A spent budget and too many rounds have errors of their own, and the next turn of the session has a new budget."""
    tool = '<<tool Glob {"pattern": "*"}>>'
    assert type(failure(run_async, make_config(max_turns=1), f"{tool}<<say done>>")) is TurnLimitError

    async def ask() -> None:
        async with SessionAwareClient(make_config(max_budget_usd=0.001)) as client:
            with pytest.raises(BudgetExceededError) as caught:
                await client.query_with_session(f"{tool * 5}<<say done>>")
            reply = await client.query_with_session("hello", resume_session_id=caught.value.session_id)
            assert reply.content == "You said: hello"

    run_async(ask())


def test_root_catches_all(make_config: MakeConfig, run_async: Run) -> None:
    """`except ClaudeError` catches errors of every kind; each class says what to do next or is told."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, ClaudeError) for kind in kinds)

    async def ask() -> None:
        async with SessionAwareClient(make_config(env=QUICK)) as client:
            for choices in (
                {"prompt": "<<status 400>>"},
                {"prompt": "<<hang>>", "timeout": 1},
                {"prompt": "x", "resume_session_id": UNKNOWN},
                {"prompt": "x", "workspace_id": "a/b"},
                {"prompt": "x", "files": ["missing"]},
            ):
                with pytest.raises(ClaudeError):
                    await client.query_with_session(**choices)

    run_async(ask())


def test_unknown_session_error(make_config: MakeConfig, run_async: Run) -> None:
    """SessionNotFoundError of a script names the ID and says what to do in words that fit a script."""

    async def ask() -> SessionNotFoundError:
        async with SessionAwareClient(make_config()) as client:
            with pytest.raises(SessionNotFoundError, match=UNKNOWN) as caught:
                await client.query("hello", session_id=UNKNOWN)
        return caught.value

    assert run_async(ask()).next_step


def messages(error: BaseException) -> Iterator[str]:
    """Yield what an exception and its causes say."""
    while error is not None:
        yield str(error)
        error = error.__cause__  # type: ignore[assignment]


def test_no_key_in_an_error(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """No error holds the API key, not even in its causes."""
    cli = script(tmp_path / "cli", "raise SystemExit(3)\n")
    for config, prompt in ((make_config(cli_path=cli), "hello"), (make_config(env=QUICK), "<<status 401>>")):
        assert "sk-dummy" not in "".join(messages(failure(run_async, config, prompt)))


def test_no_key_in_what_to_do_next() -> None:
    """Nor does one show in what to do next, which may be recorded, and in the recorded prompt of a mismatch."""
    key = "ghp_" + "a1B2" * 9
    error = CassetteMismatchError("No such turn.", next_step=f"Send {key}.", diff=f"- {key}\n+ else")
    assert key not in str(error)
    assert str(error).count("[credential]") == 2
    error = ClaudeError("Failed.", next_step="Send 9fK2mQ7xLp.")
    error.mask({"MY_TOKEN": "9fK2mQ7xLp"})
    assert str(error) == "Failed.\nSend [MY_TOKEN]."


def test_interrupted_from_outside(make_config: MakeConfig, run_async: Run) -> None:
    """SIGINT to the CLI alone in mid-turn is an error of ours, and the session goes on."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            events = client.stream_query("<<say part>><<hang>>")
            assert await anext(events) == "part"
            os.kill(*cli_pids(), signal.SIGINT)
            with pytest.raises(ClaudeError):
                await anext(events)
            reply = await client.query_with_session("hello", auto_resume_last=True)
            assert reply.content == "You said: hello"

    run_async(ask())
