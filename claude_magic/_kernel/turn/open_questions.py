"""Questions of background work, which goes on after its cell: shown when a cell has ended, until the next one begins."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.queue import Question, deliver
from claude_magic._kernel.state.kernel_client import KernelClient
from claude_magic._kernel.turn.open_notebook import warned
from claude_magic.sdk.host import PermissionAnswer

if TYPE_CHECKING:
    from claude_magic._render.live.open_question import OpenQuestion


class OpenQuestions:
    """The questions of one kernel that are shown between two cells."""

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
        """Disable the buttons for a moment, as an output above has changed; called when a turn was added to one."""
        for question, card in self._shown:
            if not question.answer.done():
                card.moved()

    def _answer(self, question: Question, answer: PermissionAnswer) -> None:
        deliver(question.answer, answer)
        self._shown = [shown for shown in self._shown if shown[0] is not question]
        self.moved()

    def close(self) -> None:
        """Replace the buttons by plain output; called when a cell begins, which then shows what is unanswered."""
        shown, self._shown = self._shown, []
        for question, card in shown:
            card.close()
            if not question.answer.done():
                self._client.own_questions.append(question)
