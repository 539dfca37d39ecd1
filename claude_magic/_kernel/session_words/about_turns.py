"""The words of `%claude_session` about turns: draw their tree, continue from one, compare replies, print a prompt."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from claude_magic._kernel.advice import say
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.tools.kernel_tools import python_in
from claude_magic._redaction import masked
from claude_magic._render.parts.redacted_reply import masked_line
from claude_magic._render.parts.reply_wording import context_line
from claude_magic.errors import SessionNotFoundError, TurnNotFoundError
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.response import SessionAwareResponse

if TYPE_CHECKING:
    from claude_magic._render.live.tree_of_turns import TurnRow, TurnTree


class TurnWords:
    """The words about the turns of one kernel."""

    def __init__(self, state: KernelState, frontend: Frontend) -> None:
        self._state = state
        self._frontend = frontend
        self._tree: TurnTree | None = None

    def show_tree(self) -> None:
        """Draw the turns, with buttons to continue from each, if the frontend has them."""
        from claude_magic._render.live.tree_of_turns import TurnTree, tree_bundle, tree_text

        rows = self._rows()
        if not rows:
            say("No turns yet: the next %%claude cell makes the first one.")
        elif self._frontend.has_widgets():
            self._tree = TurnTree(rows, self._continue_by_click)
            self._tree.show()
        else:
            self._frontend.put(tree_bundle(rows), tree_text(rows, self._frontend.columns))

    def close_tree(self) -> None:
        """Replace the tree by plain output, without buttons."""
        if self._tree is not None:
            self._tree.close()

    def fork(self) -> None:
        """Let the next cell begin a branch of the current session.

        :raises UsageError: there is no current session.
        """
        session = self._state.current
        if session is None:
            raise UsageError("%claude_session: there is no current session to branch from; run a %%claude cell first")
        self._state.branch_next()
        say(f"The next %%claude cell begins a branch of {session.label}, which stays as it is.")

    def pick(self, wanted: str) -> None:
        """Let the next cell continue from another answer of the last comparison.

        :raises TurnNotFoundError: there is no such answer.
        :raises UsageError: this is no number.
        """
        picked = self._state.pick(_number(wanted, "pick"))
        say(f"The next %%claude cell goes on from answer {wanted}, turn {picked.turn}.")

    def diff(self, wanted: str) -> None:
        """Show how two answers of the last comparison differ; without numbers, the first two.

        :raises TurnNotFoundError: there was no comparison.
        :raises UsageError: these are not two numbers of its answers.
        """
        from claude_magic._render.settled.comparison import diff_bundle

        comparison = self._state.comparison
        if comparison is None:
            raise TurnNotFoundError("Nothing has been compared yet.", next_step="--compare MODEL,MODEL compares two.")
        numbers = [_number(word, "diff") for word in wanted.split()] or [1, 2]
        if len(numbers) != 2 or not all(1 <= number <= len(comparison.alternatives) for number in numbers):
            raise UsageError(
                f"%claude_session: diff needs two numbers from 1 to {len(comparison.alternatives)}, such as: diff 1 2"
            )
        self._frontend.put(diff_bundle(*(comparison.alternatives[number - 1] for number in numbers)))

    def show_reply(self, wanted: str) -> None:
        """Show the whole reply of a turn again.

        :raises TurnNotFoundError: there is no such turn, or its session is gone.
        """
        from claude_magic._render.settled.reply import SettledReply, reply_bundle

        number = _number(wanted, "show")
        reply = SettledReply(self._reply(number), number)
        self._frontend.put(reply_bundle(reply, for_audience=self._state.settings.presentation))

    def put_code(self, wanted: str) -> None:
        """Put the Python of a turn's reply, or one block of it, into the next cell; without numbers, that of the last turn.

        :raises TurnNotFoundError: there is no such turn, or its session is gone.
        :raises UsageError: there is no such code.
        """
        numbers = [_number(word, "code") for word in wanted.split()]
        if len(numbers) > 2:
            raise UsageError("%claude_session: code takes a turn number and a block number, such as: code 3 1")
        if not numbers:
            if (last := self._state.turns.last()) is None:
                raise UsageError("%claude_session: there is no turn yet, and so no code; run a %%claude cell first")
            numbers = [last.number]
        number, *block = numbers
        reply = self._reply(number)
        code = python_in(reply, *block)
        if not code.strip():
            there = len(reply.python_blocks)
            found = f"there {'is' if there == 1 else 'are'} {there or 'no'} {'block' if there == 1 else 'blocks'} of Python"
            raise UsageError(f"%claude_session: {found} in the reply of turn {number}; %claude_session show {number} shows it")
        self._frontend.shell.set_next_input(code)

    def _reply(self, number: int) -> SessionAwareResponse:
        reply = self._state.sessions.reply(self._state.turns.find(number))
        if reply is None:
            raise TurnNotFoundError(
                f"The session of turn {number} is gone, and its reply with it.", next_step="Run its cell again."
            )
        return reply

    def show_prompt(self) -> None:
        """Print what the last turn sent, with credentials masked, and the size of a whole request.

        :raises UsageError: nothing was sent yet.
        """
        if self._state.last_prompt is None:
            raise UsageError("%claude_session: nothing has been sent yet; run a %%claude cell first")
        shown = masked(sent(self._state.last_prompt))
        say(shown.text)
        if shown.names:
            say(f"\n{masked_line(shown.names)} The prompt itself was sent unmasked.")
        session = self._state.current
        if session is not None and (size := context_line(self._state.client.context(session.session_id))):
            say(f"\nA whole request of {session.label}: {size}.")

    def _rows(self) -> list[TurnRow]:
        from claude_magic._render.live.tree_of_turns import TurnRow

        here = self._state.current_turn
        on_path = {turn.number for turn in self._state.turns.path(here)}
        return [
            TurnRow(
                number=turn.number,
                parent=turn.start.parent,
                prompt=turn.prompt,
                session_id=turn.session_id,
                how=turn.start.how,
                current=turn.number == here,
                left=here is not None and turn.number not in on_path,
                failed=turn.failed,
                can_continue=turn.can_continue and self._state.sessions.get(turn.session_id or "") is not None,
            )
            for turn in self._state.turns
        ]

    def _continue_by_click(self, number: int) -> None:
        # The session may have been deleted; then the current turn stays as it is.
        with contextlib.suppress(SessionNotFoundError):
            self._state.go_on_from(number)
        if self._tree is not None:
            self._tree.update(self._rows())


def sent(prompt: Prompt) -> str:
    """Return a prompt as text: its texts, and a line for each image and document."""
    content = prompt.message
    return content if isinstance(content, str) else "\n\n".join(map(_block, content))


def _block(block: dict[str, Any]) -> str:
    if block["type"] == "text":
        return str(block["text"])
    source = block["source"]
    return f"[{block['type']}: {source['media_type']}, {len(source['data']) * 3 // 4:,} bytes]"


def _number(text: str, word: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"%claude_session: {word} needs a number, such as: {word} 2")
    return int(text)
