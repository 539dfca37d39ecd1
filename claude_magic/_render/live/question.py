"""A permission request as a person sees it: a card with buttons, or lines with a question.

Shows everything that would run, where, and what each answer does. The caller acts on the answer.
"""

from __future__ import annotations

import html
import math
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from ipywidgets import HTML, Button, HBox, Layout, Text, VBox, Widget

from claude_magic._characters import has_typed_escapes, reveal, spelled_name, spelled_out
from claude_magic._paths import shorten_home
from claude_magic._render.live.replaced_file import ReplacedFile, replaced_file
from claude_magic._render.live.typed_line import ARM_S, ask_line
from claude_magic._render.live.widgets import close_tree
from claude_magic._render.parts.markdown_html import escape, folded_html
from claude_magic._render.parts.reply_wording import one_line, tool_name
from claude_magic._render.parts.tool_call import arguments_html, end_remarks, input_html, isolated, leaves, session_answer
from claude_magic._text import with_blanks_counted, with_texts
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

_IN_A_DIFF: Final = frozenset({"content", "old_string", "new_string", "new_source"})
"""Arguments that are not shown beside a diff, which says the same."""

UNSEEN_S: Final = 3.0
"""How long until the buttons work on a page that does not report that it shows the card."""

SUBMIT_S: Final = 1.0
"""The longest time between the message that Enter was pressed and the later message with the typed text."""

RULE_LENGTH: Final = 160
"""The most characters of the rules on the card; the button's tooltip has all of them."""

_DOUBLED: Final = "each typed backslash is doubled here, as characters that cannot be seen are spelled out"

# Names of arguments in which typographic signs would be mistaken for those of a shell, a path or an address.
_COMMANDS: Final = re.compile(
    r"command|cmd|(?<!de)script|\barg(?!ument)|path|\bfile|\bdir|cwd|ur[il]s?\b|glob|pattern|host\b", re.IGNORECASE
)

_Spelled = Callable[[str, str], str]


class Card:
    """Something that a person answers, in its own `box`; main thread only.

    The buttons work only when the card has been at its place for a moment; `tick` checks that. So a double click on one card
    does not answer the next card, which the person has not seen yet, or which has moved there.

    :param on_answer: called once, with the answer.
    """

    box: VBox
    _answers: list[Widget]
    _row: HBox

    def __init__(self, on_answer: Callable[[PermissionAnswer], None], layout: Layout) -> None:
        self._on_answer = on_answer
        self.is_answered = self._is_armed = False
        self._asked_s: float | None = None
        self._seen_s: float | None = None
        self._submitted_s = -math.inf
        self._outcome = HTML(layout=layout)

    def tick(self, now_s: float, more_s: float = 0.0) -> bool:
        """Enable the buttons if the card has been on the page long enough; return whether they are enabled.

        :param now_s: the time of any clock, in seconds; the same clock each time.
        :param more_s: how many seconds longer it must have been there.
        """
        if self._is_armed:
            return True
        if self._asked_s is None:
            self._asked_s = now_s
        if self._seen_s is None and self.box._view_count:
            self._seen_s = now_s
        now_s -= more_s
        if (self._seen_s is not None and now_s - self._seen_s >= ARM_S) or now_s - self._asked_s >= UNSEEN_S:
            self._arm(True)
        return self._is_armed

    def moved(self) -> None:
        """Disable the buttons for a moment, as something else stood a moment ago where they are now."""
        self._asked_s = self._seen_s = None
        if self._is_armed:
            self._arm(False)

    def _arm(self, armed: bool) -> None:
        self._is_armed = armed
        for widget in self._answers:
            if isinstance(widget, Button):
                widget.disabled = not armed

    def focus(self) -> None:
        """Give the keyboard focus to the card, but to no button, so that a key that is pressed twice answers nothing."""
        if hasattr(self.box, "focus"):  # ipywidgets 8
            self.box.tabbable = True  # a box notices a change of this, but not its first value
            self.box.focus()

    def end(self) -> None:
        """Replace the buttons by the answer."""
        self.box.remove_class("claude-ask")
        self.box.add_class("claude-answered")
        self._row.children = (self._outcome,)
        for widget in reversed(self._answers):  # their layout stays open: the whole card shares it
            widget.style.close()
            widget.close()

    def close(self) -> None:
        """Close the card's widgets; a second call changes nothing."""
        close_tree(self.box)

    def _on_enter(self, field: Text, act: Callable[[], None]) -> None:
        def submit(_: Text, content: dict[str, Any], __: object) -> None:
            # The message of Enter comes before the message with the text, unless the text was sent earlier.
            if content.get("event") == "submit":
                self._submitted_s = time.monotonic()
                if field.value.strip():
                    act()

        def typed(_: object) -> None:
            if time.monotonic() - self._submitted_s < SUBMIT_S:
                act()

        field.on_msg(submit)
        field.observe(typed, "value")

    def _remark(self, said: str) -> None:
        self._outcome.value = f'<p class="claude-outcome" role="status">{escape(said)}</p>'

    def _give(self, answer: PermissionAnswer, said: str) -> None:
        if self._is_armed and not self.is_answered:
            self.is_answered = True
            self._remark(said)
            self._on_answer(answer)


class ApprovalCard(Card):
    """A permission request with its buttons."""

    def __init__(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> None:
        layout = Layout()
        super().__init__(on_answer, layout)
        request, replaced = _with_replaced(request)
        request, spelled = _readable(request, replaced, on_page=True)
        about = HTML(_request_html(request, replaced, spelled), layout=layout)
        self._allow = Button(description="Allow once", tooltip="Allow this call only", layout=layout, disabled=True)
        self._allow.add_class("claude-allow")
        self._allow.on_click(lambda _: self._answer(Decision.ONCE))
        allows: list[Widget] = [self._allow]
        deny = Button(description="Deny", tooltip="Claude is told that you said no, and goes on", layout=layout, disabled=True)
        self._word = Text(placeholder="or say what to do instead", layout=layout, continuous_update=False)
        self._word.add_class("claude-word")
        send = Button(description="Deny and tell", tooltip="Deny, and tell Claude these words", layout=layout, disabled=True)
        denies: list[Widget] = [deny, self._word, send]
        if request.rules:
            rules = ", ".join(request.rules)
            session = Button(
                description=session_answer(request.rules),
                tooltip=f"Allow this and whatever these rules cover, until the session ends: {reveal(rules)}",
                layout=layout,
                disabled=True,
            )
            session.on_click(lambda _: self._answer(Decision.SESSION))
            allows.append(session)
            self._outcome.value = isolated(
                f'<p class="claude-rule">this session: <code>{escape(one_line(reveal(rules), RULE_LENGTH))}</code></p>'
            )
        if request.instead is not None:
            other, word = request.instead, request.instead.word
            instead = Button(description=other.label, tooltip=f"Deny, and tell Claude: {word}", layout=layout, disabled=True)
            instead.on_click(lambda _: self._give(PermissionAnswer(Decision.DENY, word), other.label))
            denies.insert(0, instead)
        deny.on_click(lambda _: self._answer(Decision.DENY))
        send.on_click(lambda _: self._answer(Decision.DENY))
        self._on_enter(self._word, lambda: self._answer(Decision.DENY))
        self._answers = [*allows, *denies]
        # Side by side at every width: so if the card moves up or down, no Allow button comes to where a Deny button was.
        self._sides = [HBox(side, layout=layout) for side in (allows, denies)]
        for side in self._sides:
            side.add_class("claude-answers")
        self._row = HBox([*self._sides, self._outcome], layout=layout)
        self._row.add_class("claude-sides")
        # `_view_count=0`: without a number the page does not count the views of a box.
        self.box = VBox([about, self._row], layout=layout, _view_count=0)
        self.box.add_class("claude-ask")

    def end(self) -> None:
        super().end()
        for side in self._sides:
            side.close()

    def _answer(self, decision: Decision) -> None:
        word = self._word.value.strip() if decision is Decision.DENY else ""
        said = f"{decision.value}: {one_line(word)}" if word else decision.value
        self._give(PermissionAnswer(decision, word), said)


def ask_in_lines(request: PermissionRequest) -> PermissionAnswer:
    """Get an answer through `input()`, where there are no buttons.

    :raises KeyboardInterrupt: the person interrupts instead of answering.
    :raises EOFError: the input has ended, by Ctrl-D or because there is none.
    """
    request, replaced = _with_replaced(request)
    request, spelled = _readable(request, replaced, on_page=False)
    call = _call(request)
    diff = replaced.diff(lambda line: spelled(line, "")) if replaced and not replaced.as_whole else None
    if diff is not None:
        call = replace(call, input={name: value for name, value in call.input.items() if name not in _IN_A_DIFF})
    lines = [f"{_title(request)} in {shorten_home(spelled_name(request.directory))}:"]
    lines += [f"    {spelled_name(name)}: {reveal(value)}" for name, value in leaves(call.input)]
    lines += [f"    {remark}" for remark in end_remarks(call)]
    lines += [f"      {reveal(line)}" for line in diff.split("\n")] if diff else []
    if replaced is not None:
        lines += filter(None, (f"It {replaced.loss}." if replaced.loss else "", replaced.remark))
    if request.reason:
        lines.append(spelled_name(request.reason))
    if request.warning:
        lines.append(request.warning)
    rules = spelled_name(", ".join(request.rules))
    session = f"\n[s] {_small(session_answer(request.rules))}: {rules}," if rules else ""
    instead = f"\n[i] {_small(request.instead.label)}," if request.instead else ""
    reply = ask_line(_title(request), lines, f"[y] allow once,{session}{instead}\n[n] deny, or say what to do instead: ")
    match reply.casefold():
        case "i" | "instead" if request.instead:
            return PermissionAnswer(Decision.DENY, request.instead.word)
        case "y" | "yes":
            return PermissionAnswer(Decision.ONCE)
        case "s" | "session" if request.rules:
            return PermissionAnswer(Decision.SESSION)
        case "" | "n" | "no":
            return PermissionAnswer(Decision.DENY)
    return PermissionAnswer(Decision.DENY, reply)


def who_asks(request: PermissionRequest) -> str:
    """Return who waits for the answer."""
    who = "A helper agent" if request.by_helper else "Claude"
    return f"{who}, at work on an earlier prompt," if request.is_earlier else who


def _with_replaced(request: PermissionRequest) -> tuple[PermissionRequest, ReplacedFile | None]:
    """Return what a request would replace; if that is not known, the request warns of it."""
    found = replaced_file(request)
    if isinstance(found, ReplacedFile):
        return request, found
    return replace(request, warning=" ".join(filter(None, (request.warning, found)))), None


def _readable(
    request: PermissionRequest, replaced: ReplacedFile | None, *, on_page: bool
) -> tuple[PermissionRequest, _Spelled]:
    """Spell out invisible characters: a person must see everything that would run. Other outputs just drop them.

    On a page, long runs of blanks are counted, too; a terminal wraps its rows.

    Also return a function that spells out one more text, given the name of the argument that holds it.
    """
    texts = [replaced.before] if replaced else []

    def read(text: str, _: str) -> str:
        texts.append(text)
        return text

    with_texts(request.input, read)
    is_doubled = has_typed_escapes(texts)

    def spelled(text: str, name: str) -> str:
        text = with_blanks_counted(text) if on_page else text
        return spelled_out(text.replace("\\", r"\\") if is_doubled else text, in_command=bool(_COMMANDS.search(name)))

    readable = replace(
        request,
        tool=spelled_out(request.tool, in_command=True),
        input=with_texts(request.input, spelled),
        directory=spelled_out(request.directory, in_command=True),
        reason=" · ".join(filter(None, (spelled_out(request.reason or ""), _DOUBLED if is_doubled else ""))) or None,
        rules=tuple(spelled_out(rule, in_command=True) for rule in request.rules),
    )
    return readable, spelled


def _call(request: PermissionRequest) -> ToolCall:
    return ToolCall(0, request.call_id, request.tool, request.input)


def _title(request: PermissionRequest) -> str:
    name = tool_name(_call(request))
    return f"{who_asks(request)} asks to {_TITLES.get(name, f'use {name}')}"


def _request_html(request: PermissionRequest, replaced: ReplacedFile | None, spelled: _Spelled) -> str:
    call = _call(request)
    diff = replaced.diff(lambda line: spelled(line, "")) if replaced else None
    plan = ["it wrote no plan down"] if call.name == "ExitPlanMode" and "plan" not in call.input else []
    too_long = ", too many to be compared" if diff is None else ""
    lost = [f"{replaced.loss}{too_long}"] if replaced and replaced.loss else []
    about = [*plan, *lost, f"in {shorten_home(request.directory)}", *([request.reason] if request.reason else [])]
    # Each part has its own line: a path may contain any separator.
    shown_about = (escape(reveal(part)).replace("\n", r"<code>\n</code>") for part in about)
    lines = "".join(f'<p class="claude-where">{part}</p>' for part in shown_about)
    title = _title(request)
    warning = f'<p class="claude-warn">{escape(request.warning)}</p>' if request.warning else ""
    if replaced is not None and diff is not None:
        shown = _changes_html(call, replaced.remark, diff)
    else:
        shown = input_html(call, sys.maxsize, folded_html)
    return isolated(
        f'<div role="alertdialog" aria-label="{html.escape(title)}"><p class="claude-title">{escape(title)}</p>{warning}'
        f"{shown}{lines}</div>"
    )


def _changes_html(call: ToolCall, remark: str, diff: str) -> str:
    said = f'<p class="claude-rest">{escape(remark)}</p>\n' if remark else ""
    changes = folded_html(diff, "diff") if diff else ""
    return arguments_html({name: value for name, value in call.input.items() if name not in _IN_A_DIFF}) + said + changes


def _small(words: str) -> str:
    """Return words with a small first letter, for the middle of a sentence."""
    return words[:1].lower() + words[1:]
