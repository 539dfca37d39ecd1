"""Get an answer to a permission request: from buttons, from a line of input, or denied when nobody is there.

The questions of a turn are asked in its cell, those of background work between two cells.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from claude_magic._characters import reveal
from claude_magic._kernel.background import held_back
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.queue import Question, deliver
from claude_magic._kernel.state.kernel_client import KernelClient
from claude_magic._kernel.state.notebook_file import notebook_path
from claude_magic._kernel.tools.run_code import interruptible
from claude_magic._render.parts.reply_wording import in_quotes, one_line, tool_argument, tool_name
from claude_magic.sdk._gate.call import paths_of, resolved
from claude_magic.sdk._gate.tool_list import EDITING
from claude_magic.sdk.host import Decision, PermissionAnswer, PermissionRequest, Suggestion, typeable
from claude_magic.sdk.response import ToolCall

if TYPE_CHECKING:
    from claude_magic._render.live.open_question import OpenQuestion
    from claude_magic._render.views import View

_NOBODY = "Nobody is there to be asked."
_ADVICE: Final = re.compile(r"allow|permit|-mode|%config", re.IGNORECASE)

_WARNING: Final = (
    "This notebook is open here. The page does not show what is written into its file, and overwrites it when it is saved."
)
_INSTEAD: Final = Suggestion(
    "Ask for a new cell instead",
    "The user has this notebook open in the browser: the page would not show the change, and would overwrite it. Use the "
    "tool add_cell of the kernel, which puts code into a new cell below for the user to review.",
)


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
        """Show a question: buttons if clicks may arrive, else a line of input. If nobody is there, deny it and return a remark.

        Nothing is shown for one that is answered already or that nobody waits for any more.

        :raises KeyboardInterrupt: the person interrupts instead of answering.
        """
        from claude_magic._render.live.replaced_file import NOT_IN_FILE, replaced_file

        if question.answer.done():
            return None
        if not self._frontend.can_answer():
            return _denied(question)
        if replaced_file(question.request) == NOT_IN_FILE:
            deliver(question.answer, PermissionAnswer(Decision.DENY, NOT_IN_FILE))
            return None
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


class OpenQuestions:
    """Questions of background work, which goes on after its cell: shown when a cell has ended, until the next one begins."""

    def __init__(self, client: KernelClient, frontend: Frontend) -> None:
        self._client = client
        self._frontend = frontend
        self._shown: list[tuple[Question, OpenQuestion]] = []

    def show(self) -> None:
        """Show each unanswered question, if the frontend has buttons; called when a cell has ended."""
        while self._client.own_questions and self._frontend.has_widgets():
            from claude_magic._render.live.open_question import OpenQuestion

            question = self._client.own_questions.popleft()
            if not question.answer.done():
                request = warned(question.request, self._frontend.shell.user_ns, adds_cells=False)
                card = OpenQuestion(request, partial(self._answer, question))
                card.show()
                self._shown.append((question, card))

    def moved(self) -> None:
        """Disable the buttons for a moment, as outputs above have moved them: a turn was added, or a question answered."""
        for question, card in self._shown:
            if not question.answer.done():
                card.moved()

    def _answer(self, question: Question, answer: PermissionAnswer) -> None:
        deliver(question.answer, answer)
        self._shown = [shown for shown in self._shown if shown[0] is not question]
        self.moved()

    def close(self) -> None:
        """Replace the buttons by plain output; called when a cell begins. Its turn, or `show` after it, asks again."""
        shown, self._shown = self._shown, []
        for question, card in shown:
            card.close()
            if not question.answer.done():
                self._client.own_questions.append(question)


def _denied(question: Question) -> str:
    """Deny a question because nobody is there; return a remark that says which option would permit it."""
    request = question.request
    deliver(question.answer, PermissionAnswer(Decision.DENY, _NOBODY))
    if request.questions:
        texts = " ".join(in_quotes(one_line(reveal(asked.text))) for asked in request.questions)
        return f"Claude asked, and nobody was there to answer: {texts}"
    call = ToolCall(0, request.call_id, request.tool, request.input)
    # In a rule that a person types, a star matches anything; here it may be a part of the command or the path.
    starred = any("*" in value for value in request.input.values() if isinstance(value, str))
    rules = [rule for rule in typeable(request.rules) if not starred or "*" not in rule]
    # A rule repeats the command, which may hold advice that Claude has written.
    hint = "" if _ADVICE.search(str(rules)) else " ".join(f"--allow {_quoted(rule)}" for rule in rules)
    # What Claude wrote comes last and in quotes, so that no part of it reads as advice of ours.
    permits = f". {hint} would permit it" if hint else ""
    return f"Denied, as nobody was there to be asked{permits}: {tool_name(call)} {in_quotes(tool_argument(call))}".rstrip()


def _quoted(rule: str) -> str:
    return shlex.quote(rule) if re.search(r"""["'\\]""", rule) else f'"{rule}"'


def warned(request: PermissionRequest, namespace: Mapping[str, Any], *, adds_cells: bool) -> PermissionRequest:
    """Return the request; if it edits this kernel's notebook, with a warning and a suggestion to add a cell instead.

    :param namespace: the person's namespace; VS Code puts the notebook's path there.
    :param adds_cells: whether Claude can add cells; without it there is no suggestion.
    """
    path = notebook_path(namespace) if request.tool in EDITING else None
    edited = (resolved(name, request.directory) for name in paths_of(request.tool, request.input))
    if path is None or os.path.realpath(path) not in edited:
        return request
    return replace(request, warning=_WARNING, instead=_INSTEAD if adds_cells else None)
