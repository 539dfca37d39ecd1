"""A CLI that does not start is told in words of its own: what is in the way, how large or how old it is, and what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from rig.environment import isolated_environment, own_variables
from rig.kernel import Kernel

from claude_magic.errors import ClaudeError, CLIDiedError, CLITooOldError, ConfigError
from claude_magic.sdk import ClaudeClient, ClaudeConfig
from claude_magic.sdk._cli import child
from claude_magic.sdk.config import TurnOptions

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def fails(config: ClaudeConfig, options: TurnOptions | None = None) -> ClaudeError:
    """Return the error that a prompt ends with."""
    async with ClaudeClient(config) as client:
        with pytest.raises(ClaudeError) as caught:
            await client.run_turn(client.request("hello", options=options))
    assert caught.value.next_step
    return caught.value


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def test_long_system_prompt(sdk_env: dict[str, str], api: MessagesAPI, run_async: Run) -> None:
    """A system prompt that is longer than a word of a command line may be arrives whole, and leaves no file."""
    system = "".join(f"line {number} of a long text, größer\n" for number in range(20_000))

    async def ask() -> None:
        async with ClaudeClient(ClaudeConfig(env=sdk_env, system=system)) as client:
            assert (await client.query("hello")).content == "You said: hello"
            # Another process, and the same again.
            assert (await client.query("two")).content == "You said: two"

    run_async(ask())
    assert [system.strip() in str(request["system"][-1]["text"]) for request in api.requests] == [True, True]


def test_what_is_too_long(sdk_env: dict[str, str], run_async: Run) -> None:
    """What cannot go through a file is refused with its name and its size."""
    rules = tuple(f"Bash(command-{number}:*)" for number in range(10_000))
    error = run_async(fails(ClaudeConfig(env=sdk_env, allowed_tools=list(rules))))
    assert type(error) is ConfigError
    assert f"--allowedTools has {len(','.join(rules)):,} bytes" in str(error)
    error = run_async(fails(ClaudeConfig(env=sdk_env | {"DATA": "x" * 200_000})))
    assert "the variable DATA has 200,000 bytes" in str(error)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_root_and_bypass(sdk_env: dict[str, str], run_async: Run) -> None:
    """Root cannot bypass permissions: the error says so, and what a container may set."""
    config = ClaudeConfig(env=sdk_env, permission_mode="bypassPermissions")
    error = run_async(fails(config))
    assert type(error) is ConfigError
    assert "root" in str(error)
    assert "permission_mode" in error.next_step
    assert "IS_SANDBOX=1" in error.next_step


OLD = """\
case "$1" in --version) echo '2.1.250 (Claude Code)'; exit 0;; esac
printf '\\033[31m%s\\033[0m\\n' "{said}" >&2
exit 1
"""


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("error: unknown option '--system-prompt-snapshot'", "--system-prompt-snapshot"),
        ("error: option '--effort <level>' argument 'max' is invalid. Allowed choices are low, high.", "max of --effort"),
    ],
)
def test_old_cli(sdk_env: dict[str, str], run_async: Run, tmp_path: Path, said: str, named: str) -> None:
    """A CLI that lacks a flag, or a value of one: its version, the flag, and the version that has it."""
    cli = program(tmp_path / "old", OLD.format(said=said))
    error = run_async(fails(ClaudeConfig(env=sdk_env, cli_path=cli)))
    assert type(error) is CLITooOldError
    for part in (named, "2.1.250", "2.1.330 or later"):
        assert part in error.message
    assert "Update it" in error.next_step


def test_temporary_directory(sdk_env: dict[str, str], run_async: Run, tmp_path: Path) -> None:
    """A TMPDIR in which nothing can be written is named, with the variable and the reason."""
    (tmp_path / "file").touch()
    error = run_async(fails(ClaudeConfig(env=sdk_env | {"TMPDIR": str(tmp_path / "file")})))
    assert type(error) is CLIDiedError
    assert str(tmp_path / "file") in error.message
    assert "not a directory" in error.message
    assert "TMPDIR" in error.next_step
    assert "cli_path" not in str(error)


def test_broken_settings_of_the_cli(api: MessagesAPI, run_async: Run, tmp_path: Path) -> None:
    """A broken .claude.json is named, with the command that puts its backup back; that command helps."""
    config = ClaudeConfig(env=own_variables(tmp_path / "home", api.url))

    async def ask() -> str:
        async with ClaudeClient(config) as client:
            return (await client.query("hello")).content

    run_async(ask())
    settings = tmp_path / "home" / ".claude" / ".claude.json"
    settings.write_text('{"broken": ')
    error = run_async(fails(config))
    assert type(error) is ConfigError
    assert str(settings) in error.message
    before, found, command = error.next_step.partition("cp -f ")
    assert found, before
    assert os.system(found + command.rstrip(".")) == 0
    assert run_async(ask()) == "You said: hello"


def test_loop_without_processes(sdk_env: dict[str, str], tmp_path: Path) -> None:
    """A loop that starts no processes is named, and one that does."""

    class Loop(asyncio.SelectorEventLoop):
        async def _make_subprocess_transport(self, *args: Any, **options: Any) -> Any:
            raise NotImplementedError

    with asyncio.Runner(loop_factory=Loop) as runner:
        error = runner.run(fails(ClaudeConfig(env=sdk_env)))
    assert type(error) is ConfigError
    assert "Loop" in error.message
    assert "ProactorEventLoop" in error.next_step


def test_colours_on_stderr(sdk_env: dict[str, str], run_async: Run, tmp_path: Path) -> None:
    """What the CLI wrote to stderr is shown without colours, titles, links and other control sequences."""
    said = r"\033]0;title\007\033[1;31mred\033[0m \033]8;;http://x\033\\link\033]8;;\033\\\r\033[2K\0337end"
    cli = program(tmp_path / "cli", f"printf '{said}\\n' >&2\nexit 3\n")
    error = run_async(fails(ClaudeConfig(env=sdk_env, cli_path=cli)))
    assert error.stderr == "red link\nend"
    assert "\x1b" not in str(error)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no supervisor")
def test_a_start_that_an_interrupt_hits(
    sdk_env: dict[str, str], run_async: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: MessagesAPI
) -> None:
    """A process that our interrupt ends before it has a session of its own is started again."""
    hit = tmp_path / "hit.py"
    hit.write_text(
        "import os, signal, sys\n"
        f"with open({str(tmp_path / 'tries')!r}, 'a+') as file:\n"
        "    file.write('x')\n"
        "    tries = file.tell()\n"
        "if tries == 1:\n"
        "    signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        f"os.execv(sys.executable, [sys.executable, '-I', '-S', {child._SUPERVISOR!r}, *sys.argv[1:]])\n"
    )
    monkeypatch.setattr(child, "_SUPERVISOR", str(hit))

    async def ask() -> str:
        async with ClaudeClient(ClaudeConfig(env=sdk_env)) as client:
            return (await client.query("hello")).content

    assert run_async(ask()) == "You said: hello"
    assert (tmp_path / "tries").read_text() == "xx"


def test_directory_gone_before_loading(fresh_kernel: Kernel) -> None:
    """In a directory that is gone `%load_ext` works, a cell says what is wrong, and `%cd` is all that it takes."""
    fresh_kernel.run("import os, shutil\nhere = os.getcwd()\nshutil.rmtree(here)")
    assert fresh_kernel.run("%load_ext claude_magic").ok
    for code in ("%%claude\nhello", "%claude_session", "%claude_session list", "from claude_magic import ask\nask('hello')"):
        error = fresh_kernel.run(code).errors[0]
        assert error["ename"] == "ConfigError", code
        assert "gone" in error["traceback"][0]
        assert len(error["traceback"]) == 2
    assert fresh_kernel.run("%config ClaudeMagics.effort = 'low'").ok
    fresh_kernel.run("os.mkdir(here)\n%cd $here")
    assert fresh_kernel.run("%%claude\nhello").text.startswith("You said: hello")


def test_directory_gone_later(fresh_kernel: Kernel) -> None:
    """When the directory goes while a session lives there, the cell says so; in another one a new session works."""
    fresh_kernel.run("%load_ext claude_magic")
    assert fresh_kernel.run("%%claude\none").ok
    fresh_kernel.run("import os, shutil\nhere = os.getcwd()\nshutil.rmtree(here)")
    for options in ("", "--new", "--model opus"):
        error = fresh_kernel.run(f"%%claude {options}\ntwo").errors[0]
        assert "gone" in error["traceback"][0]
    fresh_kernel.run("os.mkdir(here)\n%cd $here")
    assert fresh_kernel.run("%%claude --new\ntwo").text.startswith("You said: two")


FEW = """\
import os, resource
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
used = max(map(int, os.listdir("/proc/self/fd")))
resource.setrlimit(resource.RLIMIT_NOFILE, (used + 2, limits[1]))
"""
ENOUGH = "resource.setrlimit(resource.RLIMIT_NOFILE, limits)"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs the number of open files")
def test_few_descriptors(fresh_kernel: Kernel) -> None:
    """With no file descriptor left a cell says how many there are and what to do; with enough the next one works."""
    fresh_kernel.run("%load_ext claude_magic")
    assert fresh_kernel.run("%%claude\none").ok
    fresh_kernel.run(FEW)
    result = fresh_kernel.run("%%claude --new --model haiku\ntwo")
    fresh_kernel.run(ENOUGH)
    (error,) = result.errors
    assert error["ename"] == "CLIDiedError"
    assert "Too many open files" in error["traceback"][0]
    assert "ulimit -n" in error["traceback"][1]
    assert fresh_kernel.run("%%claude\nthree").text.startswith("You said: three")


def test_words_of_a_notebook(tmp_path: Path, api: MessagesAPI) -> None:
    """In a cell the next step is what one types there."""
    cli = program(tmp_path / "old", OLD.format(said="error: unknown option '--system-prompt-snapshot'"))
    with Kernel(tmp_path, isolated_environment(tmp_path / "home", api.url)) as kernel:
        kernel.run(f"%load_ext claude_magic\n%config ClaudeMagics.cli_path = {str(cli)!r}")
        (error,) = kernel.run("%%claude\nhello").errors
        assert "%config ClaudeMagics.cli_path = None" in "\n".join(error["traceback"])
