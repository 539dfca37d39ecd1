"""Tab behind `%%claude`, `%claude` and `%claude_session`: options, their values, models, sessions."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Mapping

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from claude_magic._kernel.options.cell_options import OPTIONS, option_names
from claude_magic._kernel.options.option import KnownNames
from claude_magic._kernel.session_words.word_table import WORDS
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic.errors import ClaudeError

Matcher = Callable[[CompletionContext], SimpleMatcherResult]

_LINE = re.compile(r"\s*%%?(?P<magic>claude_session|claude)\s+(?P<typed>.*)$")


def matcher_for(state: KernelState, namespace: Mapping[str, object]) -> Matcher:
    """Return the matcher for a shell's `Completer.custom_matchers`.

    :param namespace: the person's variables.
    """

    known = _KernelNames(state, namespace)

    @context_matcher()  # type: ignore[untyped-decorator]
    def claude_matcher(context: CompletionContext) -> SimpleMatcherResult:
        before = context.line_with_cursor[: context.cursor_position]
        match = _LINE.match(before)
        if match is None:
            return SimpleMatcherResult(completions=[])
        *earlier, current = re.split(r"\s+", match["typed"])
        found = (_behind_session if match["magic"] == "claude_session" else _behind_options)(known, earlier)
        fitting = [SimpleCompletion(text, type="magic") for text in found if text.startswith(current)]
        return SimpleMatcherResult(completions=fitting, suppress=bool(fitting), matched_fragment=current)

    claude_matcher.matcher_identifier = "claude_magic"
    matcher: Matcher = claude_matcher
    return matcher


class _KernelNames:
    """What one kernel knows: its sessions and turns, and the person's variables."""

    def __init__(self, state: KernelState, namespace: Mapping[str, object]) -> None:
        self._state = state
        self._namespace = namespace

    def variables(self) -> list[str]:
        found = self._namespace.items()
        return sorted(
            name for name, value in found if not name.startswith("_") and not issubclass(type(value), types.ModuleType)
        )

    def functions(self) -> list[str]:
        own = (types.FunctionType, types.MethodType, functools.partial)
        return [name for name in self.variables() if issubclass(type(self._namespace[name]), own)]

    def types(self) -> list[str]:
        return [name for name in self.variables() if issubclass(type(self._namespace[name]), type | dict | types.GenericAlias)]

    def session_ids(self) -> list[str]:
        try:
            return [session.session_id for session in self._state.sessions.on_disk(self._state.directory)]
        except (ClaudeError, OSError):
            return []

    def turn_numbers(self) -> list[str]:
        return [str(turn.number) for turn in self._state.turns]


def _behind_options(known: KnownNames, earlier: list[str]) -> list[str]:
    typed = next((word for word in reversed(earlier) if word.startswith("-")), "")
    option = next((option for option in OPTIONS if typed in option.names), None)
    if option is None or option.offers is None:
        return option_names()
    offered = list(option.offers(known))
    if option.several and offered:
        return [*offered, *option_names()]
    return offered if earlier[-1] == typed else option_names()


def _behind_session(known: KnownNames, earlier: list[str]) -> list[str]:
    if not earlier:
        return [word.name for word in WORDS]
    offers = next((word.offers for word in WORDS if word.name == earlier[0]), None)
    return list(offers(known)) if offers is not None else []
