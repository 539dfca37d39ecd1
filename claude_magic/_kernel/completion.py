"""Tab behind `%%claude`, `%claude` and `%claude_session`: options, their values, models, sessions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import permutations
from types import GenericAlias, ModuleType

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from claude_magic._kernel.options.cell_options import MODELS, option_names
from claude_magic._kernel.session_words.session_magic import WORDS
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic.errors import ClaudeError
from claude_magic.sdk.config import EFFORTS, PERMISSION_MODES

Matcher = Callable[[CompletionContext], SimpleMatcherResult]

_LINE = re.compile(r"\s*%%?(?P<magic>claude_session|claude)\s+(?P<typed>.*)$")


def matcher_for(state: KernelState, namespace: Mapping[str, object]) -> Matcher:
    """Return the matcher for a shell's `Completer.custom_matchers`.

    :param namespace: the person's variables.
    """

    @context_matcher()  # type: ignore[untyped-decorator]
    def claude_matcher(context: CompletionContext) -> SimpleMatcherResult:
        before = context.line_with_cursor[: context.cursor_position]
        match = _LINE.match(before)
        if match is None:
            return SimpleMatcherResult(completions=[])
        *earlier, current = re.split(r"\s+", match["typed"])
        found = _session_words(state, earlier) if match["magic"] == "claude_session" else _values(state, namespace, earlier)
        fitting = [SimpleCompletion(text, type="magic") for text in found if text.startswith(current)]
        return SimpleMatcherResult(completions=fitting, suppress=bool(fitting), matched_fragment=current)

    claude_matcher.matcher_identifier = "claude_magic"
    matcher: Matcher = claude_matcher
    return matcher


def _values(state: KernelState, namespace: Mapping[str, object], earlier: list[str]) -> Iterable[str]:
    options = [word for word in earlier if word.startswith("-")]
    if options[-1:] in (["-i"], ["--input"]):  # takes several
        return [*_variables(namespace), *option_names()]
    match earlier[-1:]:
        case ["-m" | "--model"]:
            return MODELS
        case ["--compare"]:
            return [f"{one},{other}" for one, other in permutations(MODELS[1:4], 2)]
        case ["--at"]:
            return [str(turn.number) for turn in state.turns]
        case ["--schema"]:
            return [name for name in _variables(namespace) if _may_be_schema(namespace[name])]
        case ["-o" | "--output"]:
            return _variables(namespace)
        case ["-f" | "--file"]:
            return ()  # IPython completes paths
        case ["-r" | "--resume"]:
            return _sessions(state)
        case ["--effort"]:
            return EFFORTS
        case ["--mode"]:
            return PERMISSION_MODES
    return option_names()


def _variables(namespace: Mapping[str, object]) -> list[str]:
    return sorted(
        name for name, value in namespace.items() if not name.startswith("_") and not issubclass(type(value), ModuleType)
    )


def _may_be_schema(value: object) -> bool:
    return issubclass(type(value), type | dict | GenericAlias)


def _session_words(state: KernelState, earlier: list[str]) -> Iterable[str]:
    if not earlier:
        return WORDS
    return _sessions(state) if earlier[0] in ("resume", "delete") else ()


def _sessions(state: KernelState) -> list[str]:
    try:
        return [session.session_id for session in state.sessions.on_disk(state.directory)]
    except (ClaudeError, OSError):
        return []
