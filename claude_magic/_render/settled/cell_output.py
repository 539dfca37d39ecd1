"""The output that a `%%claude` cell leaves in the notebook: one reply, or several side by side, and the metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claude_magic._render.settled.comparison import columns_bundle
from claude_magic._render.settled.reply import SettledReply, reply_bundle


def output_bundle(replies: Sequence[SettledReply], current: int, *, for_audience: bool = False) -> dict[str, str]:
    """Return the replies of a cell in the three forms that a notebook stores.

    :param current: the number of the reply that the next cell continues, from 1; 0 for none.
    :param for_audience: whether they are shown to a room.
    """
    if len(replies) == 1:
        return reply_bundle(replies[0], for_audience=for_audience)
    return columns_bundle(replies, current, for_audience=for_audience)


def output_metadata(replies: Sequence[SettledReply], current: int) -> dict[str, Any]:
    """Return the output's metadata about the turns; a notebook keeps it with the output.

    For several replies it is the metadata of the current one (`None` values if there is none), and `alternatives` has that of
    each. `later` has that of the turns that Claude began by itself afterwards.
    """
    each = [_about(reply) for reply in replies]
    if len(each) == 1:
        return {"claude_magic": each[0]}
    shown = each[current - 1] if current else dict.fromkeys(each[0])
    return {"claude_magic": shown | {"alternatives": each}}


def _about(reply: SettledReply) -> dict[str, Any]:
    response = reply.response
    return {
        "session_id": response.session_id,
        "turn": reply.turn,
        "model": response.model,
        "usage": {name: figure for name, figure in response.usage.items() if figure},
        "cost_usd": response.cost_usd,
        "duration_s": response.duration_s,
        **reply.about,
        **({"later": [_about(later) for later in reply.later]} if reply.later else {}),
    }
