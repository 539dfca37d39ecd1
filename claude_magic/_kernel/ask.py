"""`ask()` and `current_session()`: a turn as a function, for loops and functions in the cells of a notebook.

A prompt given here is sent as it is: its text may come from anywhere, so nothing in it is expanded.
"""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from IPython.core.getipython import get_ipython

from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.prompt.cell_request import CellRequest, schema_of
from claude_magic._kernel.prompt.file_patterns import files_matching
from claude_magic._kernel.state.turns import Turn
from claude_magic._kernel.turn import cell_turns
from claude_magic.errors import ConfigError
from claude_magic.sdk.content import Prompt, content_blocks
from claude_magic.sdk.response import SessionAwareResponse


@dataclass(frozen=True, slots=True)
class CurrentSession:
    """The session that the next cell continues. `turns` are those of this kernel that led to where it is, oldest first."""

    session_id: str
    name: str | None
    directory: str
    turns: tuple[Turn, ...]


class Ask:
    """Ask Claude and return the reply; `ask.stream` yields its text. Both continue the kernel's current session.

    Nothing is shown but permission requests, which are asked in the cell. In a thread of one's own nobody can be asked, and
    Claude cannot use the kernel.
    """

    def __call__(self, prompt: str, **choices: Any) -> SessionAwareResponse:
        """Ask, and return the whole reply.

        :param prompt: sent as it is: no template, no `@path`, no slash command.
        :param choices: `new`, `fork` (bool), `resume` (ID, prefix or name), `at` (a turn's number), `model`, `effort`,
            `system`, `schema` (a type or a JSON schema), `files` (paths or patterns), `timeout` (seconds), `budget` (US
            dollars), `max_turns`, `mode`, `allow` (rules), `no_kernel` (bool): as the options of a cell.
        :raises ConfigError: for choices that cannot be meant; nothing was sent.
        :raises ClaudeError: why the turn failed.
        """
        magics = _magics()
        return cell_turns.run(magics.state, magics.frontend, _request(magics, prompt, **choices))[0]

    def stream(self, prompt: str, **choices: Any) -> Iterator[str]:
        """Ask, and yield the answer's text as it arrives; leaving early stops the turn.

        :raises ClaudeError: why the turn failed.
        """
        magics = _magics()
        return cell_turns.stream(magics.state, magics.frontend, _request(magics, prompt, **choices))


ask = Ask()


def current_session() -> CurrentSession | None:
    """Return the session that the next cell continues, `None` when that begins a new one."""
    state = _magics().state
    session = state.current
    if session is None:
        return None
    path = state.turns.path(state.current_turn)
    return CurrentSession(session.session_id, session.name, session.directory, path)


def _request(
    magics: Any,
    prompt: str,
    *,
    schema: object = None,
    files: object = (),
    allow: object = (),
    **choices: Any,
) -> CellRequest:
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigError("The prompt is empty, or no text.", next_step="Give ask() a text.")
    if unknown := choices.keys() - _MEANT.keys():
        known = ", ".join(sorted({*_MEANT, "schema", "files", "allow"}))
        raise ConfigError(f"ask() has no parameter {min(unknown)}.", next_step=f"It takes {known}.")
    given = {name: value for name, value in choices.items() if value is not None}
    for name, value in given.items():
        fits, meant = _MEANT[name]
        if not fits(value):
            raise _unfit(name, value, meant)
    options = Options(**given, allow=tuple(_texts("allow", allow)), quiet=True)
    places = [name for name in ("new", "resume", "at") if given.get(name)]
    if options.new and options.fork:
        places.append("fork")
    if len(places) > 1:
        raise ConfigError(f"{places[0]} and {places[1]} exclude each other.", next_step="Leave one out; nothing was sent.")
    if not magics.frontend.on_main_thread():
        options = replace(options, no_kernel=True)
    blocks = content_blocks(files_matching(_texts("files", files)), os.getcwd())
    content: Any = [*blocks, {"type": "text", "text": prompt}] if blocks else prompt
    wanted = schema_of(schema) if schema is not None else None
    return CellRequest(prompt, Prompt(content, verbatim=True), options, schema=wanted)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


_FLAG: Final = (lambda value: isinstance(value, bool), "True or False")
_TEXT: Final = (_is_text, "a text that is not empty")

_MEANT: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    **dict.fromkeys(("new", "fork", "no_kernel"), _FLAG),
    **dict.fromkeys(("resume", "model", "effort", "system", "mode"), _TEXT),
    "at": (_is_whole, "the number of a turn"),
    "max_turns": (_is_whole, "a whole number from 1 on"),
    "timeout": (_is_amount, "a number of seconds above 0"),
    "budget": (_is_amount, "an amount in US dollars above 0"),
}


def _texts(name: str, given: object) -> list[str]:
    """Return one text or path, or several, as a list."""
    several = [given] if isinstance(given, str | os.PathLike) else given
    items = list(several) if isinstance(several, Iterable) else [several]
    texts = [os.fspath(item) for item in items if isinstance(item, str | os.PathLike)]
    if len(texts) < len(items) or not all(map(_is_text, texts)):
        raise _unfit(name, given, "a text or a list of texts")
    return texts


def _unfit(name: str, value: object, meant: str) -> ConfigError:
    return ConfigError(f"ask(): {name} cannot be {reprlib.repr(value)}.", next_step=f"Give {meant}; nothing was sent.")


def _magics() -> Any:
    shell = get_ipython()
    magics = shell.magics_manager.registry.get("ClaudeMagics") if shell is not None else None
    if magics is None:
        raise ConfigError(
            "claude_magic is not loaded here.",
            next_step="Run %load_ext claude_magic first; in a script use claude_magic.sdk.",
        )
    return magics
