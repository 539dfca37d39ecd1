"""Whether the CLI has an account to work with, and how somebody logs in."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from typing import Any

from claude_magic._paths import cli_home
from claude_magic.errors import CLINotFoundError
from claude_magic.sdk._cli.child import apart
from claude_magic.sdk._cli.command_line import find_cli
from claude_magic.sdk._cli.environment import environment, fingerprint

LOGIN_TIMEOUT_S = 20.0

LOG_IN = ("auth", "login")
"""What the CLI (2.1.332) is called with to log in; it shows an address, and may take a code."""


@dataclass(frozen=True, slots=True)
class LoginStatus:
    """What the CLI says of its account, without whose it is: `source` is the variable or the way that it has it from.

    `is_known` is False where no CLI could be asked, or it said nothing: then it counts as one without an account.
    """

    logged_in: bool = False
    source: str = ""
    provider: str = ""
    is_known: bool = True


async def login_status(cli_path: str | os.PathLike[str] | None = None) -> LoginStatus:
    """Ask the CLI whether somebody is logged in, or a key is in the environment; without a CLI nobody is.

    `claude auth status` (2.1.331) ends with 0 when it has either, and asks nobody for that.
    """
    try:
        cli = find_cli(cli_path)
        process = await asyncio.create_subprocess_exec(
            cli,
            "auth",
            "status",
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=DEVNULL,
            env=environment({}, os.getcwd()),
            **apart(),
        )
    except (CLINotFoundError, OSError):
        return LoginStatus(is_known=False)
    try:
        said, _ = await asyncio.wait_for(process.communicate(), LOGIN_TIMEOUT_S)
    except TimeoutError:
        return LoginStatus(is_known=False)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told = _object(said)
    source = told.get("apiKeySource") or told.get("authMethod") or ""
    return LoginStatus(process.returncode == 0, str(source), str(told.get("apiProvider") or ""), bool(told))


def login_marks(logged_in: bool) -> tuple[object, ...]:
    """Return what is another when it is worth asking again: after another key was set, or somebody without one has logged in.

    The CLI (2.1.332) writes into a file of its own then, as it does in each turn.
    """
    try:
        file = os.stat((cli_home({}) if "CLAUDE_CONFIG_DIR" in os.environ else cli_home({}).parent) / ".claude.json")
    except OSError:
        return (fingerprint({}),)
    return (fingerprint({}),) if logged_in else (fingerprint({}), file.st_mtime_ns)


def _object(said: bytes) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
