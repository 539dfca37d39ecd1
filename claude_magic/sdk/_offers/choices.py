"""The models and output styles that the CLI offers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from claude_magic.errors import ConfigError

MODELS: Final = ("default", "opus", "sonnet", "haiku", "opusplan")
"""Names that the CLI resolves to a current model; full model names work, too."""

STYLES: Final = ("default", "Proactive", "Concise", "Explanatory", "Learning")
"""The CLI's own output styles (2.1.332). People may define more."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What one CLI offers; empty if it does not report it. `models` maps each name to its description."""

    models: Mapping[str, str] = field(default_factory=dict)
    styles: tuple[str, ...] = ()

    def refusal_of(self, style: str | None) -> ConfigError | None:
        """Return the error for an unknown style. The CLI (2.1.332) would ignore it without a word."""
        if not style or not self.styles or style in self.styles:
            return None
        return ConfigError(
            f"There is no output style {style!r}{near(style, self.styles)}.",
            next_step=f"Choose one of {', '.join(self.styles)}; nothing was sent.",
        )


def choices_in(said: Mapping[str, Any] | None) -> Choices:
    """Read the report that the CLI gives when it starts."""
    said = said or {}
    models = [model for model in said.get("models") or () if isinstance(model, dict) and isinstance(model.get("value"), str)]
    styles = [style for style in said.get("available_output_styles") or () if isinstance(style, str)]
    return Choices({model["value"]: str(model.get("description") or "") for model in models}, tuple(styles))


def near(word: str, names: Iterable[str]) -> str:
    """Return `; perhaps NAME is meant` for the most similar name, empty if none is similar."""
    by_folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), by_folded, 1)
    return f"; perhaps {by_folded[close[0]]} is meant" if close else ""
