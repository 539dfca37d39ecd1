"""A permission request as a person sees it: a card with buttons, or lines with a question.

Shows all of what would run, where, and what each answer does. What the answer leads to is the caller's.
"""

from __future__ import annotations

import html
import io
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ipywidgets import HTML, Button, HBox, Layout, Text, VBox

from claude_magic._paths import shorten_home
from claude_magic._render.live.widgets import close_tree
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.reply_wording import one_line, reveal, tool_name
from claude_magic._render.parts.tool_call import input_html
from claude_magic.sdk.host import Decision, PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import ToolCall

_TITLES: Final = {
    "Bash": "run a command",
    "Write": "write a file",
    "Edit": "change a file",
    "MultiEdit": "change a file",
    "NotebookEdit": "change a notebook",
    "Read": "read a file",
    "WebFetch": "fetch a web page",
    "WebSearch": "search the web",
    "run_code": "run code in this kernel",
    "add_cell": "add a cell below",
    "ExitPlanMode": "leave plan mode and carry out its plan",
}

# Control characters but newline and tab, and what has no width or changes the order of reading.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class ApprovalCard:
    """One request with its buttons; main thread only.

    :param on_answer: called once, with the answer.
    """

    def __init__(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> None:
        self._on_answer = on_answer
        request = _readable(request)
        layout = Layout()
        about = HTML(_request_html(request), layout=layout)
        allow = Button(description="Allow once", tooltip="Allow this call only", layout=layout)
        allow.add_class("claude-allow")
        deny = Button(description="Deny", tooltip="Claude is told that you said no, and goes on", layout=layout)
        self._word = Text(placeholder="or tell Claude what to do instead", layout=layout, continuous_update=False)
        self._word.add_class("claude-word")
        send = Button(description="Deny and tell", tooltip="Deny, and tell Claude these words", layout=layout)
        answers = [allow, deny, self._word, send]
        if request.rules:
            rules = ", ".join(request.rules)
            session = Button(
                description=f"Allow for this session: {one_line(rules, 60)}",
                tooltip=f"Allow this and whatever these rules cover, until the session ends: {reveal(rules)}",
                layout=layout,
            )
            session.on_click(lambda _: self._answer(Decision.SESSION))
            answers.insert(1, session)
        allow.on_click(lambda _: self._answer(Decision.ONCE))
        deny.on_click(lambda _: self._answer(Decision.DENY))
        send.on_click(lambda _: self._answer(Decision.DENY, self._word.value.strip()))
        row = HBox(answers, layout=layout)
        row.add_class("claude-answers")
        self.box = VBox([about, row], layout=layout)
        self.box.add_class("claude-ask")

    def close(self) -> None:
        """Close the card's widgets; a second call changes nothing."""
        close_tree(self.box)

    def _answer(self, decision: Decision, word: str = "") -> None:
        self._on_answer(PermissionAnswer(decision, word))


def ask_in_lines(request: PermissionRequest) -> PermissionAnswer:
    """Ask through `input()`, where there are no buttons.

    :raises KeyboardInterrupt: when the person interrupts instead of answering.
    """
    request = _readable(request)
    call = _call(request)
    lines = [f"{_title(call)} in {shorten_home(request.directory)}:", *_input_lines(call)]
    if request.reason:
        lines.append(reveal(request.reason))
    session = f", [s] allow for this session: {reveal(', '.join(request.rules))}" if request.rules else ""
    asked = f"[y] allow once{session}, [n] deny, or say what to do instead: "
    if isinstance(sys.stdout, io.StringIO):  # what is printed is captured, and nobody would see what they are asked
        asked = "\n".join([*lines, asked])
    else:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    reply = input(asked).strip()
    match reply.casefold():
        case "y" | "yes":
            return PermissionAnswer(Decision.ONCE)
        case "s" | "session" if request.rules:
            return PermissionAnswer(Decision.SESSION)
        case "" | "n" | "no":
            return PermissionAnswer(Decision.DENY)
    return PermissionAnswer(Decision.DENY, reply)


def _readable(request: PermissionRequest) -> PermissionRequest:
    """Spell out what cannot be seen: what would run, or be allowed, must be read; elsewhere control sequences are left out."""
    return replace(
        request,
        tool=_spelled(request.tool),
        input=_spelled(request.input),
        directory=_spelled(request.directory),
        reason=_spelled(request.reason),
        rules=tuple(map(_spelled, request.rules)),
    )


def _call(request: PermissionRequest) -> ToolCall:
    return ToolCall(0, request.call_id, request.tool, request.input)


def _spelled(value: Any) -> Any:
    match value:
        case str():
            return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
        case dict():
            return {_spelled(key): _spelled(part) for key, part in value.items()}
        case list():
            return [_spelled(part) for part in value]
    return value


def _title(call: ToolCall) -> str:
    name = tool_name(call)
    return f"Claude asks to {_TITLES[name]}" if name in _TITLES else f"Claude asks to use {name}"


def _request_html(request: PermissionRequest) -> str:
    call = _call(request)
    plan = ["it wrote no plan down"] if call.name == "ExitPlanMode" and not call.input else []
    about = [*plan, f"in {shorten_home(request.directory)}", *([request.reason] if request.reason else [])]
    return (
        f'<div role="alertdialog" aria-label="{html.escape(_title(call))}"><p class="claude-title">{escape(_title(call))}</p>'
        f'{input_html(call, sys.maxsize)}<p class="claude-where">{escape(reveal(" · ".join(about)))}</p></div>'
    )


def _input_lines(call: ToolCall) -> list[str]:
    return [
        f"    {name}: {line}" if number == 0 else f"      {line}"
        for name, value in call.input.items()
        for number, line in enumerate(reveal(str(value)).splitlines() or [""])
    ]
