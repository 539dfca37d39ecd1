"""A `cli_path` that does not name the CLI: nothing, no program, another program."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells import answered, ask, failure, plain
from rig import CellResult
from rig.kernel import Kernel
from rig.leaks import running

PROGRAMS = {
    "exits at once": "#!/bin/sh\nexit 1\n",
    "exits well at once": "#!/bin/sh\nexit 0\n",
    "prints garbage and ends": "#!/bin/sh\necho garbage\necho '{broken'\necho boom >&2\nexit 3\n",
    "prints garbage and ends well": "#!/bin/sh\nread line\necho garbage\nexit 0\n",
    "prints JSON that is no message": "#!/bin/sh\nread line\necho '{}'\necho '{\"type\": 1}'\nexit 0\n",
}

LIMIT_S = 60.0
"""Less than the programs sleep."""


def ask_through(kernel: Kernel, path: str | Path, options: str = "") -> CellResult:
    """Ask with this `cli_path`, and assert that the next cell works with the right one."""
    kernel.run("%load_ext claude_magic")
    assert kernel.run(f"%config ClaudeMagics.cli_path = {str(path)!r}", timeout_s=LIMIT_S).ok
    result = ask(kernel, "hello", options, timeout_s=LIMIT_S)
    assert kernel.run("%config ClaudeMagics.cli_path = None", timeout_s=LIMIT_S).ok
    answered(kernel, "hello", timeout_s=LIMIT_S)
    return result


def program_of(tmp_path: Path, source: str | bytes) -> Path:
    program = tmp_path / "not-claude"
    program.write_bytes(source if isinstance(source, bytes) else source.encode())
    program.chmod(0o755)
    return program


def test_missing(kernel: Kernel) -> None:
    """Where nothing is, CLINotFoundError names the path and the setting."""
    text = failure(ask_through(kernel, "/nowhere/claude"), "CLINotFoundError")
    assert "/nowhere/claude" in text
    assert "cli_path" in text


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_not_executable(kernel: Kernel, tmp_path: Path, kind: str) -> None:
    """For what cannot be executed CLINotFoundError says so, and not that it does not exist."""
    program = tmp_path / "not-claude"
    program.write_text("#!/bin/sh\n") if kind == "file" else program.mkdir()
    text = failure(ask_through(kernel, program), "CLINotFoundError")
    assert str(program) in text
    assert "does not exist" not in text


# What follows has hung kernels: one that hangs is restarted behind its test.


@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_another_program(kernel: Kernel, tmp_path: Path, source: str) -> None:
    """A program that ends without an answer is CLIDiedError, at once, with what it wrote to stderr."""
    text = failure(ask_through(kernel, program_of(tmp_path, source)), "CLIDiedError")
    assert ("boom" in text) == ("boom" in source)


def test_says_nothing(kernel: Kernel, tmp_path: Path) -> None:
    """A program that never answers is ended by `--timeout`, and by the change of `cli_path`."""
    program = program_of(tmp_path, "#!/bin/sh\necho garbage\nexec sleep 1000\n")
    failure(ask_through(kernel, program, "--timeout 1"), "TurnTimeoutError")
    assert not running(kernel.children(), "sleep")


def test_no_program(kernel: Kernel, tmp_path: Path) -> None:
    """An executable file that the system cannot run fails the cell, and does not hang it."""
    program = program_of(tmp_path, b"\x00\x01\x02")
    result = ask_through(kernel, program)
    assert result.status == "error"
    assert str(program) in plain("\n".join(result.errors[0]["traceback"]))


def test_unload_while_a_program_says_nothing(fresh_kernel: Kernel, tmp_path: Path) -> None:
    """`%unload_ext` takes no longer because the CLI that was started ahead does not answer."""
    program = program_of(tmp_path, "#!/bin/sh\nexec sleep 1000\n")
    fresh_kernel.run(f"get_ipython().config.ClaudeMagics.cli_path = {str(program)!r}\n%load_ext claude_magic")
    fresh_kernel.wait_for(lambda: bool(running(fresh_kernel.children(), "sleep")), about="the program")
    assert fresh_kernel.run("%unload_ext claude_magic", timeout_s=LIMIT_S).ok
    assert fresh_kernel.children() == []
