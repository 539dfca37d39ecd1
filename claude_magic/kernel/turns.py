"""The turns of this kernel and the sessions they belong to: pure data."""

from __future__ import annotations

from dataclasses import dataclass

from claude_magic.sdk.response import SessionAwareResponse


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of this kernel. `cell_id` is the notebook cell that it was asked in, `parent` the turn that it continues."""

    number: int
    prompt: str
    session_id: str | None
    cell_id: str | None = None
    parent: int | None = None


@dataclass(slots=True)
class Session:
    """A conversation that this kernel has taken part in. `directory` is where it started: the CLI keeps it there.

    `turns`, `tokens` and `cost_usd` (US dollars) are what this kernel's turns came to.
    """

    session_id: str
    directory: str
    name: str | None = None
    model: str | None = None
    turns: int = 0
    tokens: int = 0
    cost_usd: float | None = None
    last_turn: int | None = None
    context_used: float | None = None
    """How full the model's context was after the last turn, from 0 to 1."""

    @property
    def label(self) -> str:
        """How it is spoken of: the start of its ID, and its name if it has one."""
        return f"{self.session_id[:8]} ({self.name})" if self.name else self.session_id[:8]

    def add(self, turn: Turn, response: SessionAwareResponse) -> None:
        """Count a turn that has ended, however it ended."""
        self.turns += 1
        self.last_turn = turn.number
        self.model = response.model or self.model
        ended = response.ended
        if ended is not None and ended.context_tokens and ended.context_window:
            self.context_used = ended.context_tokens / ended.context_window
        self.tokens += response.input_tokens + response.output_tokens
        if response.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + response.cost_usd
