"""The cassette that records or plays this kernel's turns, as its settings say."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from claude_magic._kernel.options.settings import Settings
from claude_magic._paths import own_command, shorten_home, with_home
from claude_magic.sdk._workspaces import directory_if_there

if TYPE_CHECKING:
    from claude_magic.sdk._cassette.cassette import Cassette

WITHOUT_LOGIN = "without-login"
"""The mode that plays if nobody is logged in, and is live otherwise."""


class CassetteSettings:
    """The cassette of one kernel. It is opened when a turn first needs it: by then all settings have been made.

    :param logged_in: tells whether the CLI has an account; called only in the mode `without-login`.
    """

    def __init__(self, settings: Settings, logged_in: Callable[[], bool]) -> None:
        self._settings = settings
        self._logged_in = logged_in
        self._cassette: Cassette | None = None
        self._told = False
        self._place = directory_if_there()  # if it is gone, opening the cassette will say so
        settings.observe(self._begin, ["cassette"])
        settings.observe(self._tell_again, ["cassette_mode"])

    @property
    def plays_only(self) -> bool:
        """Whether every turn is played, so that no CLI is needed."""
        return bool(self._settings.cassette) and self._mode() == "replay"

    def cassette(self) -> Cassette | None:
        """Return the cassette for the next turn, if any; in the mode `off` only one already in use: its turns may be continued.

        :raises CassetteError: if it cannot be read, or holds nothing to play.
        """
        if not self._settings.cassette:
            return None
        mode = self._mode()
        if self._cassette is None:
            if mode == "off":
                return None
            from claude_magic.sdk._cassette.cassette import Cassette

            self._cassette = Cassette(os.path.join(self._place, with_home(self._settings.cassette)), mode)
        elif self._cassette.mode != mode:
            self._cassette.use(mode)
        self._cassette.speed = self._settings.cassette_speed
        return self._cassette

    def remark(self) -> str | None:
        """Return what the first cell should say about the source of its answers, `None` for nothing."""
        unasked = self._settings.cassette_mode == WITHOUT_LOGIN
        cassette = self.cassette() if not self._told and self.plays_only else None
        if cassette is None or not (unasked or cassette.note):
            return None
        self._told = True
        name = shorten_home(str(self._settings.cassette))
        reason = "Nobody is logged in, so the answers" if unasked else "The answers"
        live = f"To go live, run {own_command('login')} in a terminal." if unasked else ""
        return " ".join(filter(None, (f"{reason} are played from {name}.", cassette.note, live)))

    def _mode(self) -> str:
        mode: str = self._settings.cassette_mode
        if mode != WITHOUT_LOGIN:
            return mode
        return "off" if self._logged_in() else "replay"

    def _begin(self, change: object) -> None:
        self._cassette, self._told = None, False
        # Cells may change the directory before the first turn.
        self._place = directory_if_there()

    def _tell_again(self, change: object) -> None:
        self._told = False
