"""What of Windows can be seen here: the package without the parts of Python that only Unix has, and its spellings of paths."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from claude_magic._paths import shorten_home
from claude_magic.errors import CLIDiedError, ConfigError
from claude_magic.sdk._cli.failures import start_failure

HOME = r"C:\Users\Ada Lovelace"

WITHOUT_UNIX = """
import importlib, os, pkgutil, signal, sys
import claude_magic

NAMES = [module.name for module in pkgutil.walk_packages(claude_magic.__path__, "claude_magic.")]
MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
OF_OS = ("fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid", "getpgrp", "getsid", "getuid", "killpg", "mkfifo",
         "pidfd_open", "register_at_fork", "setsid", "statvfs", "uname", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK",
         "WNOHANG")
OF_SIGNAL = ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "ITIMER_REAL",
             "alarm", "pthread_kill", "pthread_sigmask", "setitimer")

def load():
    # The supervisor is a script of its own, which nobody starts on Windows.
    for name in NAMES:
        if not name.endswith(".supervisor"):
            importlib.import_module(name)

load()  # the libraries are there from now on, as they are on this machine
for name in [name for name in sys.modules if name.partition(".")[0] == "claude_magic"]:
    del sys.modules[name]
sys.modules.update(dict.fromkeys(MODULES))
for module, names in ((os, OF_OS), (signal, OF_SIGNAL)):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "win32"
load()
print(len(NAMES))
"""


def test_nothing_of_unix_is_imported() -> None:
    """Every module can be imported where there are no modules, functions and signals of Unix."""
    ran = subprocess.run([sys.executable, "-c", WITHOUT_UNIX], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 100


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r"C:\Users\Ada Lovelace\notes.md", r"~\notes.md"),
        ("C:/Users/Ada Lovelace/notes.md", "~/notes.md"),
        (r"c:\users\ada lovelace", "~"),
        (r'{"path": "C:\\Users\\Ada Lovelace\\notes.md"}', r'{"path": "~\\notes.md"}'),
        ("cat /c/Users/Ada Lovelace/notes.md", "cat ~/notes.md"),
        ("cat /mnt/c/Users/Ada Lovelace/notes.md", "cat ~/notes.md"),
        (r"C:\Users\Ada Lovelace2\notes.md", r"C:\Users\Ada Lovelace2\notes.md"),
        (r"D:\Users\Ada Lovelace\notes.md", r"D:\Users\Ada Lovelace\notes.md"),
    ],
)
def test_spellings_of_the_home_directory(written: str, shown: str) -> None:
    """A home directory of Windows is shortened however it is written: with either slash, in JSON, by its shells."""
    assert shorten_home(written, HOME) == shown


def test_a_command_line_that_is_too_long(run_async: Callable[..., Any]) -> None:
    """What Windows says of a command line of more than 32,767 characters is told with what is long in it."""
    refused = OSError(2, "The filename or extension is too long")
    refused.winerror = 206  # type: ignore[attr-defined]  # as Python has it there
    command = ["claude.exe", "--allowedTools", "x" * 40_000]
    failure = start_failure(refused, CLIDiedError(""), command, directory=".", env={}, stderr="")
    error = run_async(failure)
    assert type(error) is ConfigError
    assert "--allowedTools has 40,000 bytes" in error.message
