"""Findings that need no kernel (versions, CLI, login, API, the directory, where files can be written), and their report.

A test turn shows whether turns work: only on request, paid like any other, and deleted from the history.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from claude_magic._characters import strip_controls
from claude_magic._kernel.state.directory_trust import Trust
from claude_magic._paths import NO_HOME, cli_home, our_config, shorten_home
from claude_magic._redaction import redact
from claude_magic._text import word_wrapper
from claude_magic.errors import ClaudeError, NotLoggedInError
from claude_magic.sdk._workspaces import directory_if_there, working_directory
from claude_magic.sdk.config import ClaudeConfig, TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event, Retrying, SessionStarted, Unanswered
from claude_magic.sdk.host import Listener
from claude_magic.sdk.turn_request import TurnRequest

_PACKAGES: Final = (
    *("claude_magic", "claude-agent-sdk", "anyio", "ipython", "ipykernel", "ipywidgets", "jupyterlab_widgets"),
    *("jupyterlab", "notebook", "nest-asyncio2"),
)

_ACCOUNTS: Final = {"claude.ai": "an account of claude.ai", "oauth_token": "a token", "third_party": "the provider's own login"}
"""The CLI's (2.1.332) names of login methods, and their meanings."""

_TURN_TOPIC = "test turn"
_TURN_PROMPT = "Answer with the one word: ready"
_TURN_LIMIT_S = 60.0

_WIDTH = 100
_NARROWEST = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `next_step` says what to do; it is empty if nothing is wrong."""

    topic: str
    text: str
    next_step: str = ""


NOT_TRIED = Finding(_TURN_TOPIC, "not tried; doctor --turn prompts Claude for one word, which costs as much as any turn")


async def look(cli_path: str | None = None) -> list[Finding]:
    """Return all findings about the machine and a CLI, the default one or that at `cli_path`. Changes and sends nothing."""
    cli, login = await asyncio.gather(_cli(cli_path), _login(cli_path))
    return [Finding("versions", ", ".join(_versions())), cli, login, *_way_to_the_api(), _directory(), *_writable()]


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield f"{name} {importlib.metadata.version(name)}"


async def _cli(cli_path: str | None) -> Finding:
    from claude_magic.sdk._cli.command_line import OLDEST_CLI, find_cli
    from claude_magic.sdk._cli.environment import environment
    from claude_magic.sdk._cli.failures import version_of

    try:
        cli = find_cli(cli_path)
    except ClaudeError as error:
        return Finding("CLI", error.message, error.next_step)
    version = await version_of(cli, environment({}, directory_if_there() or os.sep))
    comes = "comes with claude-agent-sdk" if f"{os.sep}_bundled{os.sep}" in cli else "not the one of claude-agent-sdk"
    if version is None:
        return Finding(
            "CLI", f"{cli} does not say its version", "Leave cli_path empty, or set it to the path of the Claude CLI."
        )
    if _numbers(version) < _numbers(OLDEST_CLI):
        step = f"Update it to {OLDEST_CLI} or later, or leave cli_path empty."
        return Finding("CLI", f"{version} is too old, {OLDEST_CLI} is needed: {cli}", step)
    return Finding("CLI", f"{version}, {comes}: {cli}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


async def _login(cli_path: str | None) -> Finding:
    from claude_magic.sdk._cli.environment import login_status

    status = await login_status(cli_path)
    if not status.logged_in and not status.is_known:
        return Finding("login", "not known: the CLI does not say whether anybody is logged in")
    if not status.logged_in:
        return Finding("login", "nobody is logged in, and no variable holds a key", NotLoggedInError.next_step)
    source = _ACCOUNTS.get(status.source, status.source) or "logged in; the CLI does not say how"
    other = f", provider {status.provider}" if status.provider not in ("", "firstParty") else ""
    return Finding("login", f"{source}{other}")


def _way_to_the_api() -> Iterator[Finding]:
    from claude_magic.sdk._cli.environment import api_address, decides

    yield Finding("API", api_address(os.environ))
    names = sorted(name for name in os.environ if decides(name) and name not in ("HOME", "PATH", "SHELL"))
    yield Finding("variables", f"set: {', '.join(names)}" if names else "none that the CLI reads is set")


def _directory() -> Finding:
    here = directory_if_there()
    if not here:
        return Finding("directory", "it is gone", "Make it again, or go to another one (%cd in a notebook).")
    waiting = [one for one in Trust().unloaded(here) if not one.waits_for_a_change]
    if not waiting:
        return Finding("directory", f"{here}; nothing in it needs your approval")
    return Finding("directory", f"{here}; not loaded without your approval: {', '.join(map(str, waiting[:6]))}")


def _writable() -> Iterator[Finding]:
    # "the CLI's own" holds sessions and settings; "our own", which directories the person trusts.
    places: dict[str, tuple[Callable[[], str | Path], str]] = {
        "the CLI's own": (lambda: cli_home({}), "Set HOME or CLAUDE_CONFIG_DIR to a directory in which you may write."),
        "our own": (
            our_config,
            "Set XDG_CONFIG_HOME to a directory in which you may write; otherwise each kernel asks for trust again.",
        ),
        "temporary": (
            lambda: os.environ.get("TMPDIR") or tempfile.gettempdir(),
            "Make the directory that TMPDIR names, or set TMPDIR to one in which you may write.",
        ),
    }
    for name, (place, step) in places.items():
        try:
            path = Path(place())
            # Other directories are created when they are needed; the one for temporary files is not.
            reason = "it does not exist" if name == "temporary" and not os.path.isdir(path) else _obstacle(path)
        except (OSError, RuntimeError) as error:
            yield Finding(f"files, {name}", str(error), step)
            continue
        yield Finding(f"files, {name}", f"{path}{f': {reason}' if reason else ''}", step if reason else "")


def _obstacle(path: Path) -> str:
    """Return why files cannot be written below a directory, which may not exist yet; empty if they can."""
    if path.is_relative_to(NO_HOME):
        return "there is no home directory"
    there = next(parent for parent in (path, *path.parents) if os.path.exists(parent))
    if not os.path.isdir(there):
        return f"{there} is not a directory"
    try:
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return str(error.strerror or error)


def _why_unanswered(event: Event) -> str:
    match event:
        case Unanswered(address=address):
            return f"No answer came from {address}."
        case Retrying(attempt=attempt, error=error):
            return f"It was tried {attempt} times: {error}."
    return ""


async def try_turn(config: ClaudeConfig, options: TurnOptions | None = None) -> Finding:
    """Prompt Claude for one word, with a new client, and return whether it answered."""
    from claude_magic.sdk._history.sessions import delete_session
    from claude_magic.sdk.client import ClaudeClient

    began = time.monotonic()
    heard: list[Event] = []
    try:
        options = replace(options or TurnOptions(), max_turns=1)
        directory = working_directory()
        request = TurnRequest(prompt=Prompt(_TURN_PROMPT), directory=directory, options=options, timeout_s=_TURN_LIMIT_S)
        async with ClaudeClient(config) as client:
            response = await client.run_turn(request, Listener(heard.append))
    except ClaudeError as error:
        why = [*filter(None, map(_why_unanswered, heard))][-1:]
        said = " ".join([f"{type(error).__name__}: {error.message}", *why])
        return Finding(_TURN_TOPIC, said, error.next_step or "Run it again.")
    finally:
        for event in heard:
            if isinstance(event, SessionStarted):
                with contextlib.suppress(ClaudeError):
                    delete_session(event.session_id, directory)
    model = response.metadata.get("model")
    return Finding(_TURN_TOPIC, f"{model or 'Claude'} answered in {time.monotonic() - began:.1f} s")


def report(findings: Sequence[Finding], columns: int | None = None) -> str:
    """Write each finding in lines of at most `columns`, with `!` if something must be done, and at the end what to do."""
    width = max(len(finding.topic) for finding in findings)
    lines = []
    for finding in map(_shareable, findings):
        head = f"{'!' if finding.next_step else ' '} {finding.topic:<{width}}  "
        room = max(_NARROWEST, min(_WIDTH, (columns or _WIDTH) - len(head)))
        wrapped = word_wrapper(room).wrap(finding.text) or [""]
        lines += [head + wrapped[0], *(" " * len(head) + line for line in wrapped[1:])]
    steps = list(dict.fromkeys(finding.next_step for finding in map(_shareable, findings) if finding.next_step))
    if not steps:
        return "\n".join([*lines, "", "Nothing is in the way."])
    return "\n".join([*lines, "", "What to do:", *(f"{number}. {step}" for number, step in enumerate(steps, 1))])


def as_json(findings: Sequence[Finding]) -> str:
    """Write the findings as a JSON object: whether all is well, and each finding by its topic."""
    told = [asdict(_shareable(finding)) for finding in findings]
    found = {one.pop("topic"): one for one in told}
    return json.dumps({"ok": not any(one.next_step for one in findings), "findings": found}, indent=2, ensure_ascii=False)


def _shareable(finding: Finding) -> Finding:
    return Finding(finding.topic, _for_anybody(finding.text), _for_anybody(finding.next_step))


def _for_anybody(text: str) -> str:
    """Mask credentials, and shorten the home directory to `~`, also where it is written with its links resolved."""
    home = os.path.expanduser("~")
    return strip_controls(redact(shorten_home(shorten_home(text), os.path.realpath(home))))
