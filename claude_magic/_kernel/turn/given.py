"""The value that a magic returns: the reply. The cell has already shown it, so IPython must not show it again."""

from __future__ import annotations

from collections.abc import Generator
from typing import Self

from claude_magic.sdk.response import SessionAwareResponse


class Replies(list[SessionAwareResponse]):
    """The replies of a comparison. They can be awaited, as one reply can: the result is the same list."""

    def __await__(self) -> Generator[None, None, Self]:
        yield from ()
        return self


Given = SessionAwareResponse | Replies


class Shown:
    """The value that the last magic returned and showed. IPython would show it again if the cell ends with that call."""

    def __init__(self) -> None:
        self._given: Given | None = None

    def note(self, given: Given | None) -> None:
        """Remember the value that was returned and shown; `None` forgets the last one."""
        self._given = given

    def skip(self, value: object) -> None:
        """Show nothing for the remembered value, once. IPython calls this for each reply that it would show.

        :raises NotImplementedError: it is another value; IPython then shows it as usual.
        """
        if self._given is None or value is not self._given:
            raise NotImplementedError
        self._given = None
