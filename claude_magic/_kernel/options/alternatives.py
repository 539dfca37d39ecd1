"""What is different about each of the turns that a comparison asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several ways to ask the same: another model, or once more."""

    model: str | None = None
    sample: int | None = None

    @property
    def label(self) -> str:
        """How it is named to a reader."""
        model = (self.model or "").removeprefix("claude-")
        return ", ".join(filter(None, (model, f"sample {self.sample}" if self.sample else "")))

    @property
    def typed(self) -> str:
        """The options that ask for it."""
        model = f"--compare {self.model}" if self.model else ""
        return " ".join(filter(None, (model, f"--samples {self.sample}" if self.sample else "")))
