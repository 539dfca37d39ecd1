"""Whether the CLI has an account to work with."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL

from claude_magic.errors import CLINotFoundError
from claude_magic.sdk._cli.command_line import find_cli
from claude_magic.sdk._cli.environment import environment

LOGIN_TIMEOUT_S = 20.0


async def logged_in(cli_path: str | os.PathLike[str] | None = None) -> bool:
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
            stdout=DEVNULL,
            stderr=DEVNULL,
            env=environment({}, os.getcwd()),
            start_new_session=True,
        )
    except (CLINotFoundError, OSError):
        return False
    try:
        return await asyncio.wait_for(process.wait(), LOGIN_TIMEOUT_S) == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
