"""The latest replies of this kernel's turns, up to a limit; older ones can be rebuilt from transcripts."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from claude_magic.sdk.response import Remark, SessionAwareResponse, ToolCall

MAX_CHARACTERS: Final = 50_000_000
"""The most characters that are kept, images (as base64) included."""


class Replies:
    """Replies by the numbers of their turns."""

    def __init__(self, limit: int = MAX_CHARACTERS) -> None:
        self._limit = limit
        self._kept: dict[int, tuple[SessionAwareResponse, int]] = {}
        self._size = 0
        self._lock = threading.Lock()

    def add(self, number: int, reply: SessionAwareResponse) -> None:
        """Keep a reply without the CLI's raw messages: its blocks were made from them."""
        if reply.ended is not None:
            reply.ended = replace(reply.ended, messages=())
        with self._lock:
            self._kept[number] = reply, _size(reply)
            self._size += self._kept[number][1]
            while self._size > self._limit and len(self._kept) > 1:
                self._size -= self._kept.pop(next(iter(self._kept)))[1]

    def get(self, number: int) -> SessionAwareResponse | None:
        """Return the reply of a turn, if it is still kept."""
        kept = self._kept.get(number)
        return kept and kept[0]


def _size(reply: SessionAwareResponse) -> int:
    size = len(reply.content)
    for block in reply.blocks:
        match block:
            case ToolCall():
                texts = (*block.input.values(), block.result, *(image.data for image in block.images))
                size += sum(len(text) for text in texts if isinstance(text, str))
            case Remark():
                size += len(block.text)
            case _:
                size += block.growing.length
    return size
