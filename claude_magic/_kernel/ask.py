"""`ask()` runs a turn from Python code in a notebook, such as a loop or a function; `current_session()` lists the turns.

A prompt made by code may hold data from anywhere, so it is sent as it is: nothing in it is expanded.
"""

from __future__ import annotations

import inspect
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from typing import Any, TypedDict, TypeVar, Unpack, get_type_hints

from claude_magic._kernel.frontend import loaded_magics
from claude_magic._kernel.options.cell_options import OPTIONS, Options
from claude_magic._kernel.options.option import FUNCTION, TEXT
from claude_magic._kernel.prompt.cell_request import CellRequest, files_matching, own_tools, schema_of
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.turn import cell_turns
from claude_magic.errors import ConfigError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import Prompt, content_blocks
from claude_magic.sdk.response import SessionAwareResponse

PARAMETERS = {option.parameter: option for option in OPTIONS if option.parameter is not None}
"""The options that `ask()` takes, by the names of its parameters."""


@dataclass(frozen=True, slots=True)
class SessionTurn:
    """One turn of a session."""

    number: int | None
    """Its number in this kernel; `None` for a turn from before this kernel."""
    prompt: str
    """The prompt's text."""
    session_id: str | None
    """The session in which it ran; `None` if it reached none."""
    failed: bool
    """Whether it ended without a complete answer."""
    _reply: Callable[[], SessionAwareResponse | None] = field(repr=False, compare=False)

    @property
    def reply(self) -> SessionAwareResponse | None:
        """The reply; `None` if the session is gone. For a turn from before this kernel it is read from the transcript."""
        return self._reply()


@dataclass(frozen=True, slots=True)
class CurrentSession:
    """The session that the next cell continues."""

    session_id: str
    """Its ID, by which `--resume` and a script find it."""
    name: str | None
    """The name that a person gave it; `None` if it has none."""
    directory: str
    """The directory that it belongs to."""
    turns: tuple[SessionTurn, ...]
    """The turns up to where the next cell continues, the oldest first."""


class AskOptions(TypedDict, total=False):
    """The parameters of `ask()`: options of a cell, as Python values.

    This is for type checkers. The table of options checks the values at run time.
    """

    new: bool
    resume: str | None
    fork: bool
    at: int | None
    model: str | None
    effort: str | None
    system: str | None
    style: str | None
    bare: bool
    files: str | PathLike[str] | Iterable[str | PathLike[str]]
    schema: object
    timeout: float | None
    budget: float | None
    max_turns: int | None
    mode: str | None
    allow: str | Iterable[str]
    tools: Callable[..., Any] | Iterable[Callable[..., Any]]
    mcp: str | PathLike[str] | Iterable[str | PathLike[str]]
    no_kernel: bool


F = TypeVar("F", bound=Callable[..., Any])


def _with_parameters(method: F) -> F:
    """Let Shift-Tab show each parameter instead of `**options`, and add their meanings to the docstring."""
    types, signature = get_type_hints(AskOptions), inspect.signature(method, eval_str=True)
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=types[name])
        for name, option in PARAMETERS.items()
    ]
    first = [parameter for parameter in signature.parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    shown: Any = method
    shown.__signature__ = signature.replace(parameters=[*first, *parameters])
    meanings = (f"        {name:<9}  {option.help}" for name, option in PARAMETERS.items())
    shown.__doc__ = "\n".join([method.__doc__ or "", *meanings])
    return method


class Ask:
    """Prompt Claude and return the reply; `ask.stream` yields its text. Both continue the kernel's current session.

    Of the turn, the cell shows only permission requests and the output of code that Claude runs. In a thread that you start,
    permission requests are denied, and Claude cannot use the kernel.
    """

    @_with_parameters
    def __call__(self, prompt: str, **options: Unpack[AskOptions]) -> SessionAwareResponse:
        """Prompt Claude, and return the whole reply.

        :param prompt: sent as it is: no template, no `@path`, no slash command.
        :param options: those of a cell, as listed below.
        :raises ConfigError: for invalid options; nothing was sent.
        :raises ClaudeError: a subclass that says why the turn failed.
        """
        magics = _magics()
        return cell_turns.run(magics.state, magics.frontend, _request(magics, prompt, options))[0]

    @_with_parameters
    def stream(self, prompt: str, **options: Unpack[AskOptions]) -> Iterator[str]:
        """Prompt Claude, and yield the answer's text as it arrives. The prompt is sent when the first piece is read.

        Closing the generator early stops the turn. Parameters and errors are those of `ask()`; the options are listed below.
        """
        magics = _magics()
        return cell_turns.stream(magics.state, magics.frontend, _request(magics, prompt, options))


ask = Ask()


def current_session() -> CurrentSession | None:
    """Return the session that the next cell continues; `None` if the next cell begins a new one."""
    state: KernelState = _magics().state
    session = state.current
    if session is None:
        return None
    from claude_magic.sdk._history.transcripts import reply_of  # late import: the Agent SDK is slow

    session_id, directory = session.session_id, session.directory
    path, reply = state.turns.path(state.current_turn), state.sessions.reply
    earlier = (
        SessionTurn(None, said.prompt, session_id, bool(said.trouble), partial(reply_of, said, session_id, directory))
        for said in state.sessions.before(path[0] if path else None, session)
    )
    own = (SessionTurn(turn.number, turn.prompt, turn.session_id, turn.failed, partial(reply, turn)) for turn in path)
    return CurrentSession(session_id, session.name, directory, (*earlier, *own))


def _request(magics: Any, prompt: str, chosen: Mapping[str, object]) -> CellRequest:
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigError("The prompt is empty or not a text.", next_step="Give ask() a text.")
    if unknown := chosen.keys() - PARAMETERS.keys():
        known = ", ".join(sorted(PARAMETERS))
        raise ConfigError(f"ask() has no parameter {min(unknown)}.", next_step=f"It takes {known}.")
    given: dict[str, Any] = {PARAMETERS[name].name: _checked(name, value) for name, value in chosen.items()}
    kind, files = given.pop("schema", None), given.pop("file", ())
    # `notebook="none"`: nothing about the cells is sent along. Claude can still read them with a tool.
    options = Options(**given, quiet=True, notebook="none")
    if conflict := options.conflict():
        message = f"{conflict[0]} and {conflict[1]} exclude each other."
        raise ConfigError(message, next_step="Leave one out; nothing was sent.")
    if not magics.frontend.on_main_thread():
        options = replace(options, no_kernel=True)
    said: list[str] = []
    blocks = content_blocks(files_matching(files), working_directory(), said.append)
    content: Any = [*blocks, {"type": "text", "text": prompt}] if blocks else prompt
    wanted = schema_of(kind) if kind is not None else None
    tools, missing = own_tools(magics.frontend.shell, options.tool, magics.tools)
    return CellRequest(prompt, Prompt(content, verbatim=True), options, (*said, *missing), wanted, tools, magics.outline)


def _checked(name: str, value: object) -> object:
    option = PARAMETERS[name]
    if option.kind is FUNCTION:
        several = [value] if callable(value) or not isinstance(value, Iterable) else list(value)
        if not all(map(FUNCTION.fits, several)):
            raise _unfit(name, value, FUNCTION.meant)
        return tuple(several)
    if option.several:
        items = [value] if isinstance(value, str | os.PathLike) or not isinstance(value, Iterable) else list(value)
        texts = [os.fspath(item) for item in items if isinstance(item, str | os.PathLike)]
        if len(texts) < len(items) or not all(map(TEXT.fits, texts)):
            raise _unfit(name, value, "a text or a list of texts")
        return tuple(texts)
    if value is None:
        return option.default
    if not option.kind.fits(value):
        raise _unfit(name, value, option.kind.meant)
    return value


def _unfit(name: str, value: object, meant: str) -> ConfigError:
    return ConfigError(f"ask(): {name} cannot be {reprlib.repr(value)}.", next_step=f"Give {meant}; nothing was sent.")


def _magics() -> Any:
    magics = loaded_magics()
    if magics is None:
        raise ConfigError(
            "claude_magic is not loaded here.",
            next_step=(
                "Run %load_ext claude_magic first; in a script, and in a worker process of a notebook, use claude_magic.sdk."
            ),
        )
    return magics
