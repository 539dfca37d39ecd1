"""The words on the button that allows something for the whole session.

The sdk makes the rules themselves; a view shows them beside these words in small type.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from claude_magic._characters import reveal
from claude_magic._render.parts.reply_wording import one_line, tool_name
from claude_magic.sdk.response import ToolCall

_SHOWN: Final = 60

_WORDS: Final = {
    "Edit(**)": "edits",
    "WebSearch": "web searches",
    "mcp__kernel__run_code": "code in this kernel",
    "mcp__kernel__add_cell": "new cells",
}


def session_answer(rules: Sequence[str]) -> str:
    """Return what these rules allow, as an answer: `Allow edits in this session`."""
    what = dict.fromkeys(map(_covered, rules))
    return f"Allow {one_line(reveal(' and '.join(what)), _SHOWN)} in this session"


def _covered(rule: str) -> str:
    if rule in _WORDS:
        return _WORDS[rule]
    name, bracket, content = rule.removesuffix(")").partition("(")
    if not bracket:
        return tool_name(ToolCall(0, "", rule))
    match name:
        case "Bash" | "Monitor" | "PowerShell":
            return "this command"
        case "Skill":
            return "this skill"
        case "WebFetch":
            return f"pages of {content.removeprefix('domain:')}"
        case "Edit":
            return f"edits of {PurePath(content).name}"
        case "Read" if content.endswith(("/*", "/**")):
            return f"files of {PurePath(content).parent.name or '/'}"
        case "Read":
            return f"reading {PurePath(content).name}"
    return f"this use of {name}"
