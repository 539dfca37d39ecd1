"""A test turn, which shows whether turns work: only on request, paid like any other, and deleted from the history."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from claude_magic._kernel.doctor.finding import Finding
from claude_magic.errors import ClaudeError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.config import ClaudeConfig, TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event, Retrying, SessionStarted, Unanswered
from claude_magic.sdk.host import Listener
from claude_magic.sdk.turn_request import TurnRequest

TOPIC = "test turn"
PROMPT = "Answer with the one word: ready"
LIMIT_S = 60.0

NOT_TRIED = Finding(TOPIC, "not tried; doctor --turn asks Claude for one word, which costs as much as any turn")


class _Heard(Listener):
    """Remembers the session, and the last event that says why the API does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.session_id = ""
        self.last = ""

    def emit(self, event: Event) -> None:
        match event:
            case SessionStarted(session_id=session_id):
                self.session_id = session_id
            case Unanswered(address=address):
                self.last = f"No answer came from {address}."
            case Retrying(attempt=attempt, error=error):
                self.last = f"It was tried {attempt} times: {error}."


async def try_turn(config: ClaudeConfig, options: TurnOptions | None = None) -> Finding:
    """Prompt Claude for one word, with a new client, and return whether it answered."""
    from claude_magic.sdk._history.sessions import delete_session
    from claude_magic.sdk.client import ClaudeClient

    began = time.monotonic()
    heard = _Heard()
    try:
        options = replace(options or TurnOptions(), max_turns=1)
        directory = working_directory()
        request = TurnRequest(prompt=Prompt(PROMPT), directory=directory, options=options, timeout_s=LIMIT_S)
        async with ClaudeClient(config) as client:
            response = await client.run_turn(request, heard)
    except ClaudeError as error:
        said = " ".join(filter(None, (f"{type(error).__name__}: {error.message}", heard.last)))
        return Finding(TOPIC, said, error.next_step or "Run it again.")
    finally:
        if heard.session_id:
            with contextlib.suppress(ClaudeError):
                delete_session(heard.session_id, directory)
    model = response.metadata.get("model")
    return Finding(TOPIC, f"{model or 'Claude'} answered in {time.monotonic() - began:.1f} s")
