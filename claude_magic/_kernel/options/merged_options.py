"""Merge a cell's options with the settings into the options of one turn."""

from __future__ import annotations

from typing import Any

from claude_magic._kernel.options.cell_options import OPTIONS, Options
from claude_magic._kernel.options.settings import Settings
from claude_magic.sdk.config import TurnOptions


def turn_options(options: Options, settings: Settings, *, schema: str | None = None) -> TurnOptions:
    """Return the options of a turn: the cell's, or the settings if it has none. Options with several values are added up.

    :param schema: the JSON schema of the reply, as text.
    """
    chosen: dict[str, Any] = {}
    for option in OPTIONS:
        if option.sets is not None:
            own, configured = getattr(options, option.name), getattr(settings, option.setting)
            chosen[option.sets] = ((*configured, *own) if option.several else own or configured) or None
    if chosen["bare"]:
        # The settings for tools are meant for Claude Code; a bare turn has only the tools that its own cell names.
        chosen |= {"allowed_tools": options.allow or None, "mcp": options.mcp or None, "style": options.style}
    return TurnOptions(**chosen, schema=schema)


def time_limit_s(options: Options, settings: Settings) -> float | None:
    """Return how many seconds a turn may run; `None` for no limit."""
    configured: float | None = settings.trait_values()["timeout"]
    return configured if options.timeout is None else options.timeout
