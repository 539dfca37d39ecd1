"""What a magic gives to the code around it: the reply, which its cell shows already."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Self

from claude_magic.sdk.response import SessionAwareResponse


class Replies(list[SessionAwareResponse]):
    """The replies of a comparison. Awaiting them gives them, as it does one reply."""

    def __await__(self) -> Generator[None, None, Self]:
        yield from ()
        return self


Given = SessionAwareResponse | Replies


class Shown:
    """The value of a call that has just shown it, which would be shown once more if the cell ends with that call."""

    def __init__(self) -> None:
        self._given: Given | None = None

    def note(self, given: Given | None) -> None:
        """Note what was given and shown; `None`: nothing that need not be shown again."""
        self._given = given

    def skip(self, value: object) -> None:
        """Let IPython show a value as it would, or, once, not at all.

        :raises NotImplementedError: which is how IPython is told to show it.
        """
        if self._given is None or value is not self._given:
            raise NotImplementedError
        self._given = None


def given(replies: Sequence[SessionAwareResponse]) -> Given:
    """Return what a cell gives: its reply, or all of several."""
    return replies[0] if len(replies) == 1 else Replies(replies)
