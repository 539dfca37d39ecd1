"""Who answers a permission request, and how: buttons, a line of input, or nobody."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from claude_magic._characters import reveal
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.queue import Question, deliver
from claude_magic._kernel.tools.run_code import interruptible
from claude_magic._kernel.turn.interrupts import held_back
from claude_magic._kernel.turn.open_notebook import warned
from claude_magic._render.parts.reply_wording import one_line, tool_argument, tool_name
from claude_magic.sdk.host import Decision, PermissionAnswer, typeable
from claude_magic.sdk.response import ToolCall

if TYPE_CHECKING:
    from claude_magic._render.views import View

_NOBODY = "Nobody is there to be asked."


class Questions:
    """The permission requests of one turn.

    :param number: of the turn among those of its cell.
    :param buttons: whether clicks are handled while the cell runs.
    :param adds_cells: whether Claude can add cells.
    """

    def __init__(self, frontend: Frontend, view: View, number: int, *, buttons: bool, adds_cells: bool) -> None:
        self._frontend = frontend
        self._view = view
        self._number = number
        self._buttons = buttons
        self._adds_cells = adds_cells
        self._open: list[Question] = []

    def put(self, question: Question) -> str | None:
        """Ask the person, with buttons where a click may be heard; return a remark for the reply when there is nobody.

        :raises KeyboardInterrupt: when the person interrupts instead of answering.
        """
        if not self._frontend.can_answer():
            return _denied(question)
        request = warned(question.request, self._frontend.shell.user_ns, adds_cells=self._adds_cells)
        question = replace(question, request=request)
        if self._buttons:
            with held_back():  # a card that was shown by half could not be taken away
                if self._view.ask(self._number, request, partial(deliver, question.answer)):
                    self._open.append(question)
                    return None
        return self._put_in_lines(question)

    def put_unheard(self) -> list[str]:
        """Ask in lines what was shown with buttons that turn out not to be heard; return the remarks for the reply."""
        remarks = []
        while self._open and not self._view.may_hear():
            question = self._open.pop(0)
            self._view.asked(self._number, question.request)
            if not question.answer.done() and (remark := self._put_in_lines(question)):
                remarks.append(remark)
        return remarks

    def _put_in_lines(self, question: Question) -> str | None:
        from claude_magic._render.live.choices import answer_in_lines

        with held_back():
            self._view.make_room()
        try:
            with interruptible():
                deliver(question.answer, answer_in_lines(question.request))
        except EOFError:
            if not sys.stdin.isatty():
                return _denied(question)
            deliver(question.answer, PermissionAnswer(Decision.DENY))
        return None

    def release(self) -> list[Question]:
        """Return, and show no more, what nobody has answered by the end of the turn: a helper goes on behind it, and waits."""
        self.tidy()
        left, self._open = self._open, []
        return [replace(question, request=replace(question.request, is_earlier=True)) for question in left]

    def tidy(self) -> None:
        """Take away the cards of requests that are answered, or that the end of the turn has answered."""
        for question in [question for question in self._open if question.answer.done()]:
            self._open.remove(question)
            self._view.asked(self._number, question.request)


def _denied(question: Question) -> str:
    """Deny what nobody can be asked about, and say what would permit it."""
    request = question.request
    deliver(question.answer, PermissionAnswer(Decision.DENY, _NOBODY))
    if request.questions:
        texts = " ".join(one_line(reveal(asked.text)) for asked in request.questions)
        return f"Claude asked, and nobody was there to answer: {texts}"
    call = ToolCall(0, request.call_id, request.tool, request.input)
    # In a typed rule a star stands for anything.
    rules = [rule for rule in typeable(request.rules) if not (rule.startswith("Bash(") and "*" in rule)]
    hint = " ".join(f"--allow {_quoted(rule)}" for rule in rules)
    denied = f"Denied, as nobody was there to be asked: {tool_name(call)} {tool_argument(call)}".rstrip()
    return f"{denied}. {hint} would permit it." if hint else f"{denied}."


def _quoted(rule: str) -> str:
    return shlex.quote(rule) if re.search(r"""["'\\]""", rule) else f'"{rule}"'
