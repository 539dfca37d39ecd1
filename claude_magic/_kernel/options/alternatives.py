"""How the turns of a comparison differ from each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """One turn of a comparison: another model, or another sample of the same."""

    model: str | None = None
    sample: int | None = None

    @property
    def label(self) -> str:
        """Its name for a reader."""
        model = (self.model or "").removeprefix("claude-")
        return ", ".join(filter(None, (model, f"sample {self.sample}" if self.sample else "")))

    @property
    def typed(self) -> str:
        """The options that a person types for it."""
        model = f"--compare {self.model}" if self.model else ""
        return " ".join(filter(None, (model, f"--samples {self.sample}" if self.sample else "")))
