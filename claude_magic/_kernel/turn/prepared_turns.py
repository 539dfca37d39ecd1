"""Makes the turns of a cell ready to be sent: where each begins, its request, and the remarks that it opens with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.notebook.outline import Told
from claude_magic._kernel.prompt.cell_request import CellRequest
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.state.new_conversation import begins_anew
from claude_magic._kernel.state.turns import Start
from claude_magic._kernel.turn.running_turn import RunningTurn
from claude_magic.sdk.events import Notice
from claude_magic.sdk.response import SessionAwareResponse, fold


def prepared_turns(
    state: KernelState, frontend: Frontend, cell: CellRequest, start: Start, earlier: Sequence[str] = ()
) -> list[RunningTurn]:
    """Return the turns of a cell with their requests, one for each alternative.

    :param earlier: the remarks of a first try, whose output nobody sees.
    :raises ClaudeError: one of them cannot be sent.
    """
    turns = []
    told = _told(state, cell, start)
    cassette = state.cassette()
    about_new = begins_anew(state, start, frontend.shell.user_ns)
    choices = cell.options.alternatives()
    for choice in choices:
        options = replace(cell.options, model=choice.model or cell.options.model)
        begin = replace(start, how=" ".join(filter(None, (start.how, choice.typed))))
        if len(choices) > 1 and start.origin is not None:
            begin = replace(begin, fork=True)
        request = state.request(cell, options, begin, context=told.text)
        response = SessionAwareResponse()
        remarks = tuple(dict.fromkeys((*earlier, *state.remarks.take(request))))
        for remark in (*about_new, *remarks, *cell.remarks):
            fold(response, Notice(remark))
        turns.append(RunningTurn(choice.label, begin, told, request, cassette, remarks, response))
    return turns


def _told(state: KernelState, cell: CellRequest, start: Start, earlier: Sequence[str] = ()) -> Told:
    """Return what happened in the notebook since the parent turn; empty when nothing of it is to be sent."""
    options, prompt, notebook = cell.options, cell.prompt, cell.notebook
    settings = state.settings.trait_values()
    detail = options.notebook or settings["notebook"]
    bare = options.bare or settings["bare"]
    # A slash command takes no context, and `ask()` has no notebook.
    if detail == "none" or bare or options.no_kernel or notebook is None or prompt.text.lstrip().startswith("/"):
        return Told()
    before = [turn.number for turn in state.turns.path(start.parent)]
    return notebook.since(before, detail, state.settings.value_limit)
