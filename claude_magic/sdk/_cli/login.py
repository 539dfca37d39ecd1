"""Finds out whether the CLI is logged in, and with which command a person logs in."""

from __future__ import annotations

import os
from dataclasses import dataclass

from claude_magic._paths import cli_file
from claude_magic._text import json_object
from claude_magic.errors import CLINotFoundError
from claude_magic.sdk._cli.child import said_by
from claude_magic.sdk._cli.command_line import find_cli
from claude_magic.sdk._cli.environment import environment, fingerprint

LOGIN_TIMEOUT_S = 20.0

LOG_IN = ("auth", "login")
"""The CLI's arguments for logging in (2.1.332). It shows an address, and may want a code."""


@dataclass(frozen=True, slots=True)
class LoginStatus:
    """What the CLI says about its login, without the account's name. `source` is the variable or method it comes from.

    If there is no CLI, or it gives no answer, `is_known` is False, and so is `logged_in`.
    """

    logged_in: bool = False
    source: str = ""
    provider: str = ""
    is_known: bool = True


async def login_status(cli_path: str | os.PathLike[str] | None = None) -> LoginStatus:
    """Let the CLI tell whether somebody is logged in, or a key is in the environment.

    `claude auth status` (2.1.331) exits with 0 in both cases. It never prompts a person.
    """
    try:
        cli = find_cli(cli_path)
        said, exit_code = await said_by(cli, "auth", "status", env=environment({}, os.getcwd()), limit_s=LOGIN_TIMEOUT_S)
    except (CLINotFoundError, OSError):  # a TimeoutError is an OSError
        return LoginStatus(is_known=False)
    told = json_object(said)
    source = told.get("apiKeySource") or told.get("authMethod") or ""
    return LoginStatus(exit_code == 0, str(source), str(told.get("apiProvider") or ""), bool(told))


def login_marks(logged_in: bool) -> tuple[object, ...]:
    """Return a value that changes when `login_status` may have a new answer: after a change of the key, or after a login.

    A login changes the time of the CLI's own file. Every turn does, too (2.1.332), so the time counts only without a login.
    """
    try:
        file = os.stat(cli_file({}))
    except OSError:
        return (fingerprint({}),)
    return (fingerprint({}),) if logged_in else (fingerprint({}), file.st_mtime_ns)
