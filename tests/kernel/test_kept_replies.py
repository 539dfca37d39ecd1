"""How many replies are kept."""

from __future__ import annotations

from claude_magic._kernel.state.known_sessions import Replies
from claude_magic.sdk.response import SessionAwareResponse


def test_what_is_kept_is_bounded() -> None:
    """Old replies are let go where all together would be too large; the last one is always kept."""
    replies = Replies(limit=100)
    for number in range(1, 6):
        replies.add(number, SessionAwareResponse("x" * 40))
    assert [number for number in range(1, 6) if replies.get(number)] == [4, 5]
    replies.add(6, SessionAwareResponse("x" * 400))
    assert [number for number in range(1, 7) if replies.get(number)] == [6]
