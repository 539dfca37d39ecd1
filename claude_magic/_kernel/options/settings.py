"""The settings: what can be set with `%config ClaudeMagics.NAME = VALUE`, or in `ipython_config.py`.

They are merged here with the options of a cell, which take precedence, into the options of one turn.
"""

from __future__ import annotations

import math
from typing import Any

from traitlets import Bool, CaselessStrEnum, Float, Int, TraitError, Unicode, validate
from traitlets.config import Configurable

from claude_magic._kernel.options.cell_options import OPTIONS, Options
from claude_magic._kernel.options.option import LIMITS
from claude_magic.sdk.config import ClaudeConfig, TurnOptions

TURN_TRAITS = [option.setting for option in OPTIONS if option.sets is not None]
"""The traits that decide how a process is started for a turn."""

CASSETTE_MODES = ("record", "replay", "auto", "off", "without-login")

CLIENT_TRAITS = ["cli_path", "max_warm", "idle_timeout", "background"]
"""The traits that decide how the client is created."""


class Settings(Configurable):
    """The defaults of every cell of this kernel; a cell's own options take precedence."""

    # Changing `locals()` in a class body changes the class's namespace, as Python documents.
    locals().update({option.setting: option.trait.tag(config=True) for option in OPTIONS if option.trait is not None})

    cli_path = Unicode(None, allow_none=True, help="The CLI to run; None: the one in claude-agent-sdk.").tag(config=True)
    max_warm = Int(2, min=1, help="CLI processes that stay alive between cells.").tag(config=True)
    idle_timeout = Float(
        600.0, min=1.0, help="Seconds until an idle CLI process ends and the last cell loses its buttons."
    ).tag(config=True)
    rerun = CaselessStrEnum(
        ("continue", "redo"),
        "continue",
        help="What a cell does when it is run again: continue the session, or replace its turn.",
    ).tag(config=True)
    value_limit = Int(10_000, min=100, help="Characters of one value in a prompt; a longer one is cut.").tag(config=True)
    cassette = Unicode(None, allow_none=True, help="File that turns are recorded to and played from.").tag(config=True)
    cassette_mode = CaselessStrEnum(
        CASSETTE_MODES,
        "auto",
        help="record; replay; auto: replay what is recorded, go live for the rest; off; without-login: replay if logged out.",
    ).tag(config=True)
    cassette_speed = Float(1.0, min=0.0, help="How many times faster than recorded; 0: at once.").tag(config=True)
    background = Bool(True, help="Let Claude leave commands and helpers running between cells.").tag(config=True)
    presentation = Bool(False, help="Show replies for an audience: larger, and without their cost.").tag(config=True)
    nest_asyncio = Bool(
        True, help="Let asyncio.run(...) work in cells: nest_asyncio2 is applied when a cell first calls it."
    ).tag(config=True)

    @validate(*(option.setting for option in OPTIONS if option.trait is not None and option.kind in LIMITS))
    def _is_limit(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if value is not None and not 0 < value < math.inf:
            raise TraitError(f"ClaudeMagics.{name} cannot be {value}: it must be more than 0, or None for no limit.")
        return value

    @validate("cassette_speed")
    def _is_speed(self, proposal: Any) -> Any:
        if not math.isfinite(proposal["value"]):
            raise TraitError(
                f"ClaudeMagics.cassette_speed cannot be {proposal['value']}: it must be a number, or 0 to play at once."
            )
        return proposal["value"]

    def client_config(self) -> ClaudeConfig:
        """Return the configuration of the client."""
        env = {} if self.background else {"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1"}
        return ClaudeConfig(cli_path=self.cli_path, max_warm=self.max_warm, idle_timeout=self.idle_timeout, env=env)


def turn_options(options: Options, settings: Settings, *, schema: str | None = None) -> TurnOptions:
    """Return the options of a turn: the cell's, or the settings if it has none; for an option with several values, both.

    :param schema: the JSON schema of the reply, as text.
    """
    chosen: dict[str, Any] = {}
    for option in OPTIONS:
        if option.sets is not None:
            own, configured = getattr(options, option.name), getattr(settings, option.setting)
            chosen[option.sets] = ((*configured, *own) if option.several else own or configured) or None
    if chosen["bare"]:
        # The settings for rules, servers and style are for Claude Code's own prompt; a bare turn has only those of its cell.
        chosen |= {"allowed_tools": options.allow or None, "mcp": options.mcp or None, "style": options.style}
    return TurnOptions(**chosen, schema=schema)


def time_limit_s(options: Options, settings: Settings) -> float | None:
    """Return how many seconds a turn may run; `None` for no limit."""
    configured: float | None = settings.trait_values()["timeout"]
    return configured if options.timeout is None else options.timeout
