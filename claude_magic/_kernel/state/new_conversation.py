"""What a kernel's first cell says if its notebook already shows a conversation: that a new one begins."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.state.notebook_file import notebook_path, saved_turns
from claude_magic._kernel.state.turns import Start
from claude_magic.errors import ConfigError


def begins_anew(state: KernelState, start: Start, namespace: Mapping[str, Any]) -> list[str]:
    """Return a remark on how to continue the conversation above, if a kernel's first turn begins a new one instead.

    :param namespace: the user namespace; VS Code puts the notebook's path there.
    """
    if start.origin is not None or not start.is_default or len(state.turns):
        return []
    path = notebook_path(namespace)
    with contextlib.suppress(ConfigError):  # it cannot be read
        saved = [turn.session_id for turn in saved_turns(path) if turn.chosen] if path else []
        there = {info.session_id for info in state.sessions.on_disk(state.directory)} if saved else set()
        if left := [session_id for session_id in saved if session_id in there]:
            return [f"This begins a new conversation; %claude_session resume {left[-1][:8]} goes on with the one above."]
    return []
