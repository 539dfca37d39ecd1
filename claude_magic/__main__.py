"""`python -m claude_magic login` and `python -m claude_magic doctor`: the commands for a terminal."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence

from claude_magic._version import __version__
from claude_magic.errors import ClaudeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m claude_magic", description="Claude Code inside Jupyter.")
    parser.add_argument("--version", action="version", version=f"claude_magic {__version__}")
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    login = words.add_parser("login", help="log in; other options go to the CLI, such as --console for an API account")
    doctor = words.add_parser(
        "doctor", help="check versions, CLI, login and files, and say what to do; paste it into a bug report"
    )
    for parser_of_word in (login, doctor):
        parser_of_word.add_argument(
            "--cli", metavar="PATH", help="the Claude CLI to use instead of the one in claude-agent-sdk"
        )
    doctor.add_argument("--json", action="store_true", help="write JSON")
    doctor.add_argument("--turn", action="store_true", help="also try a turn, which costs as much as any turn")
    chosen, rest = parser.parse_known_args(arguments)
    if rest and chosen.word != "login":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return _log_in(chosen.cli, rest) if chosen.word == "login" else _diagnose(chosen.cli, chosen.json, chosen.turn)
    except ClaudeError as error:
        print(error, file=sys.stderr)
        return 1


def _log_in(cli_path: str | None, rest: Sequence[str]) -> int:
    """Let the CLI log in, in this terminal, and say if a key or token in the environment takes precedence over this login."""
    from claude_magic.sdk._cli.command_line import find_cli
    from claude_magic.sdk._cli.environment import LOG_IN, login_status

    if ended := subprocess.call([find_cli(cli_path), *LOG_IN, *rest]):
        return ended
    status = asyncio.run(login_status(cli_path))
    if not status.logged_in:
        print("The CLI still has no login.", file=sys.stderr)
        return 1
    key = f" {status.source} is set and takes precedence." if status.source.endswith(("_KEY", "_TOKEN")) else ""
    print(f"Logged in.{key} The next %%claude cell can use it; running kernels need no restart.")
    return 0


def _diagnose(cli_path: str | None, json: bool, turn: bool) -> int:
    from claude_magic._kernel.doctor.machine import NOT_TRIED, as_json, look, report, try_turn
    from claude_magic.sdk.config import ClaudeConfig

    findings = asyncio.run(look(cli_path))
    findings.append(asyncio.run(try_turn(ClaudeConfig(cli_path=cli_path))) if turn else NOT_TRIED)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(as_json(findings) if json else report(findings, columns))
    return int(any(finding.next_step for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
