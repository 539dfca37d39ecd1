"""Tab completion after `%%claude`, `%claude` and `%claude_session`: options, their values, models, sessions."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Iterable, Mapping

from IPython.core import completer
from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.options.cell_options import OPTIONS, option_names
from claude_magic._kernel.options.option import Described, Offers
from claude_magic._kernel.session_words.word_table import WORDS
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.values.described import variables_of
from claude_magic._redaction import redact
from claude_magic._render.parts.reply_wording import one_line
from claude_magic.errors import ClaudeError
from claude_magic.sdk._offers.choices import MODELS, STYLES

Matcher = Callable[..., object]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "variables": (object,),
    "functions": (types.FunctionType, types.MethodType, functools.partial),  # what Claude could call
    "types": (type, dict, types.GenericAlias),  # what can be a schema
}
"""The types of the person's variables that Tab offers."""

_DESCRIBED_LENGTH = 40
_LINE = re.compile(r"\s*%%?(?P<magic>claude_session|claude)\s+(?P<typed>.*)$")


def matcher_for(state: KernelState, shell: InteractiveShell) -> Matcher:
    """Return the matcher for the `Completer.custom_matchers` of a shell."""
    known = KernelNames(state, shell.user_ns)
    if not hasattr(completer, "context_matcher"):

        def matcher_of_words(word: str) -> list[str]:
            # IPython 7, as in Google Colab, passes only the word; the line is in the completer.
            current, found = _found(known, shell.Completer.text_until_cursor)
            return found if current == word else []

        return matcher_of_words

    @completer.context_matcher(identifier="claude_magic")  # type: ignore[untyped-decorator]
    def claude_matcher(context: completer.CompletionContext) -> completer.SimpleMatcherResult:
        current, found = _found(known, context.line_with_cursor[: context.cursor_position])
        fitting = [completer.SimpleCompletion(str(text), type=getattr(text, "about", "") or "magic") for text in found]
        return completer.SimpleMatcherResult(completions=fitting, suppress=bool(fitting), matched_fragment=current)

    matcher: Matcher = claude_matcher
    return matcher


def _found(known: KernelNames, before: str) -> tuple[str, list[str]]:
    """Return the word before the cursor and its completions; none after other magics."""
    match = _LINE.match(before)
    if match is None:
        return "", []
    is_session_magic = match["magic"] == "claude_session"
    # After a word of `%claude_session` there is one name, which may contain spaces.
    *earlier, current = re.split(r"\s+", match["typed"], maxsplit=1 if is_session_magic else 0)
    offered = (_behind_session if is_session_magic else _behind_options)(known, earlier)
    return current, [text for text in offered if text.startswith(current)]


class KernelNames:
    """The names that one kernel knows: its sessions and turns, and the person's variables."""

    def __init__(self, state: KernelState, namespace: Mapping[str, object]) -> None:
        self._state = state
        self._namespace = namespace

    def offered(self, offers: Offers) -> Iterable[str]:
        """Return what Tab offers: a tuple itself; for a type, the variables of it; for a name, the result of that method."""
        if isinstance(offers, tuple):
            return offers
        if offers in _TYPES:
            return sorted(name for name, value in variables_of(self._namespace) if issubclass(type(value), _TYPES[offers]))
        found: list[str] = getattr(self, offers)()
        return found

    def sessions(self) -> list[str]:
        """Return the names and IDs of the directory's sessions."""
        try:
            found = self._state.sessions.on_disk(self._state.directory)
        except (ClaudeError, OSError):
            return []
        said = [one_line(redact(info.first_prompt or ""), _DESCRIBED_LENGTH) for info in found]
        named = [Described(info.name, about) for info, about in zip(found, said, strict=True) if info.name]
        return [*named, *(Described(info.session_id, info.name or about) for info, about in zip(found, said, strict=True))]

    def turn_numbers(self) -> list[str]:
        """Return the numbers of the kernel's turns."""
        return [Described(str(turn.number), one_line(redact(turn.prompt), _DESCRIBED_LENGTH)) for turn in self._state.turns]

    def models(self) -> list[str]:
        """Return the names of models."""
        told = self._state.client.choices.models
        return [Described(name, about) for name, about in told.items()] or list(MODELS)

    def styles(self) -> list[str]:
        """Return the output styles."""
        return [Described(name, "") for name in self._state.client.choices.styles or STYLES]


def _behind_options(known: KernelNames, earlier: list[str]) -> list[str]:
    typed = next((word for word in reversed(earlier) if word.startswith("-")), "")
    option = next((option for option in OPTIONS if typed in option.names), None)
    if option is None or option.offers is None:
        return option_names()
    offered = [_quoted(text) for text in known.offered(option.offers)]
    if option.several and offered:
        return [*offered, *option_names()]
    return offered if earlier[-1] == typed else option_names()


def _behind_session(known: KernelNames, earlier: list[str]) -> list[str]:
    if not earlier:
        return [word.name for word in WORDS]
    offers = next((word.offers for word in WORDS if word.name == earlier[0]), None)
    return list(known.offered(offers)) if offers is not None else []


def _quoted(text: str) -> str:
    """Put quotes around a name with spaces, which an option would read as several words."""
    return Described(f'"{text}"', text.about) if isinstance(text, Described) and re.search(r"\s", text) else text
