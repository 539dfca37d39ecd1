"""Get an answer to a permission request: from buttons, from a line of input, or denied when nobody is there."""

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

    :param number: of the turn among those of its cell, from 1.
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
        """Show a question with buttons if clicks may arrive, else as a line of input; if nobody is there, return a remark.

        Nothing is shown for one that is answered already or that nobody waits for any more.

        :raises KeyboardInterrupt: the person interrupts instead of answering.
        """
        if question.answer.done():
            return None
        if not self._frontend.can_answer():
            return _denied(question)
        request = warned(question.request, self._frontend.shell.user_ns, adds_cells=self._adds_cells)
        question = replace(question, request=request)
        if self._buttons:
            with held_back():  # a half-shown card could not be removed
                if self._view.ask(self._number, request, partial(deliver, question.answer)):
                    self._open.append(question)
                    return None
        return self._put_in_lines(question)

    def put_unheard(self) -> list[str]:
        """Show each open question as a line of input if clicks turn out not to arrive; return the remarks for the reply."""
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
        """Stop showing the questions, as the turn has ended. Return those of subagents, which still wait; withdraw the others.

        A CLI that hangs does not withdraw them itself.
        """
        self.tidy()
        left, self._open = self._open, []
        waiting = []
        for question in left:
            if question.request.by_helper:
                waiting.append(replace(question, request=replace(question.request, is_earlier=True)))
            else:
                question.answer.cancel()
        return waiting

    def tidy(self) -> None:
        """Remove the cards of questions that are answered, or whose turn has ended."""
        for question in [question for question in self._open if question.answer.done()]:
            self._open.remove(question)
            self._view.asked(self._number, question.request)


def _denied(question: Question) -> str:
    """Deny a question because nobody is there; return a remark that says which option would permit it."""
    request = question.request
    deliver(question.answer, PermissionAnswer(Decision.DENY, _NOBODY))
    if request.questions:
        texts = " ".join(one_line(reveal(asked.text)) for asked in request.questions)
        return f"Claude asked, and nobody was there to answer: {texts}"
    call = ToolCall(0, request.call_id, request.tool, request.input)
    # In a rule that a person types, a star matches anything; here it is a part of the command.
    rules = [rule for rule in typeable(request.rules) if not (rule.startswith("Bash(") and "*" in rule)]
    hint = " ".join(f"--allow {_quoted(rule)}" for rule in rules)
    denied = f"Denied, as nobody was there to be asked: {tool_name(call)} {tool_argument(call)}".rstrip()
    return f"{denied}. {hint} would permit it." if hint else f"{denied}."


def _quoted(rule: str) -> str:
    return shlex.quote(rule) if re.search(r"""["'\\]""", rule) else f'"{rule}"'
