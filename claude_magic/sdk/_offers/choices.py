"""What the CLI says that there is to choose from: models and output styles, for whoever offers them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from claude_magic.errors import ConfigError

MODELS: Final = ("default", "opus", "sonnet", "haiku", "opusplan")
"""Names that the CLI resolves to a current model; full model names work, too."""

STYLES: Final = ("default", "Proactive", "Concise", "Explanatory", "Learning")
"""The CLI's own output styles (2.1.332); people have others besides."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What one CLI has to choose from; empty where it does not say. `models` are names, each with what it stands for."""

    models: Mapping[str, str] = field(default_factory=dict)
    styles: tuple[str, ...] = ()

    def refusal_of(self, style: str | None) -> ConfigError | None:
        """Return the error for a style that there is not: the CLI (2.1.332) says nothing, and goes on without one."""
        if not style or not self.styles or style in self.styles:
            return None
        return ConfigError(
            f"There is no output style {style!r}{near(style, self.styles)}.",
            next_step=f"Choose one of {', '.join(self.styles)}; nothing was sent.",
        )


def choices_in(said: Mapping[str, Any] | None) -> Choices:
    """Read what the CLI says of itself when it starts."""
    said = said or {}
    models = [model for model in said.get("models") or () if isinstance(model, dict) and isinstance(model.get("value"), str)]
    styles = [style for style in said.get("available_output_styles") or () if isinstance(style, str)]
    return Choices({model["value"]: str(model.get("description") or "") for model in models}, tuple(styles))


def near(word: str, names: Iterable[str]) -> str:
    """Return `; perhaps NAME is meant` for the name that somebody most likely meant, empty where none is like it."""
    by_folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), by_folded, 1)
    return f"; perhaps {by_folded[close[0]]} is meant" if close else ""
