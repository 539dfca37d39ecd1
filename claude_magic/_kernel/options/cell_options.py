"""The options of `%%claude` and `%claude`: their one definition, for parsing, for help and for completion.

Parsing gives an `Options` or a one-line `UsageError` that names the option and the fix.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, NoReturn

from IPython.core.error import UsageError

from claude_magic._kernel.options.value_parsers import (
    MAX_ALTERNATIVES,
    count,
    dollars,
    filled,
    models,
    new_variable,
    one_of,
    samples,
    seconds,
    variable,
)
from claude_magic.sdk.config import EFFORTS, PERMISSION_MODES, TurnOptions

MODELS = ("default", "opus", "sonnet", "haiku", "opusplan")
"""Names that the CLI resolves to a current model; full model names work, too."""

# A rule such as Bash(git status:*) is one word although it holds a space, and so is a type such as dict[str, int].
_WORD = re.compile(
    r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\([^()"']*\)|\[(?:[^][()"']|"[^"]*"|'[^']*'|\[[^][]*\])*\]|[^\s"'(\[]|["'(\[])+"""
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several ways to ask the same: another model, or once more."""

    model: str | None = None
    sample: int | None = None

    @property
    def label(self) -> str:
        """How it is named to a reader."""
        model = (self.model or "").removeprefix("claude-")
        return ", ".join(filter(None, (model, f"sample {self.sample}" if self.sample else "")))

    @property
    def typed(self) -> str:
        """The options that ask for it."""
        model = f"--compare {self.model}" if self.model else ""
        return " ".join(filter(None, (model, f"--samples {self.sample}" if self.sample else "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one cell asks for. `None` means: as configured."""

    new: bool = False
    resume: str | None = None
    fork: bool = False
    at: int | None = None
    redo: bool = False
    model: str | None = None
    effort: str | None = None
    system: str | None = None
    raw: bool = False
    input: tuple[str, ...] = ()
    file: tuple[str, ...] = ()
    error: bool = False
    output: str | None = None
    schema: str | None = None
    code: bool = False
    quiet: bool = False
    compare: tuple[str, ...] = ()
    samples: int | None = None
    timeout: float | None = None
    budget: float | None = None
    max_turns: int | None = None
    mode: str | None = None
    allow: tuple[str, ...] = ()
    no_kernel: bool = False

    def alternatives(self) -> list[Choice]:
        """Return what is different about each alternative that is asked for; without a comparison there is one."""
        numbers = range(1, self.samples + 1) if self.samples else (None,)
        return [Choice(model, number) for model in self.compare or (None,) for number in numbers]

    def over(self, configured: TurnOptions) -> TurnOptions:
        """Return what holds for the turn: this cell's choices over the configured ones; rules add up."""
        allowed = (*(configured.allowed_tools or ()), *self.allow)
        return TurnOptions(
            model=self.model or configured.model,
            effort=self.effort or configured.effort,
            system=self.system or configured.system,
            max_turns=self.max_turns or configured.max_turns,
            max_budget_usd=self.budget or configured.max_budget_usd,
            permission_mode=self.mode or configured.permission_mode,
            allowed_tools=allowed or None,
        )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if named := re.match(r"argument (?:\S+/)?(\S+): (.*)", message):
            message = f"{named[1]}: {named[2]}"
            if "expected" in named[2]:
                message = f"{named[1]} needs a value; see %%claude?"
            elif "ignored" in named[2]:
                message = f"{named[1]} takes no value"
        raise UsageError(f"%claude: {message}")


@dataclass(frozen=True, slots=True)
class _Option:
    names: tuple[str, ...]
    value: str
    help: str
    example: str
    parse: Callable[[str], object] | None = None

    @property
    def line(self) -> str:
        return f"{', '.join(self.names)} {self.value}".rstrip()


_OPTIONS = (
    _Option(("-n", "--new"), "", "begin another session; it becomes the current one", "--new"),
    _Option(("-r", "--resume"), "ID|PREFIX|NAME", "continue this session", "--resume 681fea2c", filled),
    _Option(("--fork",), "", "continue a branch of the session; the session stays as it is", "--fork"),
    _Option(("--at",), "TURN", "continue a branch from the end of this turn", "--at 3", count),
    _Option(("--redo",), "", "ask again from just before this cell's own last turn", "--redo"),
    _Option(("-m", "--model"), "NAME", "the model of this turn", "--model sonnet", filled),
    _Option(("--effort",), "LEVEL", ", ".join(EFFORTS), "--effort high", one_of(EFFORTS)),
    _Option(("--system",), "TEXT", "added to the system prompt", '--system "Answer in French."', filled),
    _Option(("--raw",), "", "leave {{ braces }} in the prompt alone", "--raw"),
    _Option(("-i", "--input"), "NAME ...", "send variables along with the prompt", "--input df fig", variable),
    _Option(("-f", "--file"), "PATH ...", "send files along: text, images, PDFs", '--file report.pdf "data/*.csv"', filled),
    _Option(("--error",), "", "send the last traceback along", "--error"),
    _Option(("-o", "--output"), "NAME", "bind the reply to a variable", "--output reply", new_variable),
    _Option(("--schema",), "NAME", "ask for a reply of this type, in the reply's .structured", "--schema City", filled),
    _Option(("--code",), "", "put the reply's Python code into the next cell", "--code"),
    _Option(("--quiet",), "", "show nothing; for use with --output", "--quiet"),
    _Option(("--compare",), "MODEL,MODEL", "ask several models, side by side", "--compare sonnet,opus", models),
    _Option(("--samples",), "N", "ask several times, side by side", "--samples 3", samples),
    _Option(("--timeout",), "SECONDS", "give up after this long", "--timeout 120", seconds),
    _Option(("--budget",), "USD", "the most that this turn may cost", "--budget 0.50", dollars),
    _Option(("--max-turns",), "N", "rounds with tools at most", "--max-turns 5", count),
    _Option(("--mode",), "MODE", ", ".join(PERMISSION_MODES), "--mode plan", one_of(PERMISSION_MODES)),
    _Option(("--allow",), "RULE ...", "let a tool run without asking", '--allow Read "Bash(git status:*)"', filled),
    _Option(("--no-kernel",), "", "do not let Claude see or use this kernel", "--no-kernel"),
)


@cache
def _parser(*, one_line: bool) -> _Parser:
    parser = _Parser(prog="%claude", add_help=False, allow_abbrev=False)
    for option in _OPTIONS:
        if option.parse is None:
            parser.add_argument(*option.names, action="store_true")
        elif option.value.endswith("..."):
            # On one line the prompt follows, so that an option takes one value there.
            number = 1 if one_line else "+"
            parser.add_argument(*option.names, type=option.parse, action="extend", nargs=number, default=[])
        else:
            parser.add_argument(*option.names, type=option.parse, default=() if option.parse is models else None)
    if one_line:
        parser.add_argument("prompt", nargs=argparse.REMAINDER)
    return parser


def parse_cell(line: str) -> Options:
    """Parse what stands behind `%%claude` on the first line of a cell.

    :raises UsageError: in one line.
    """
    words = [_unquoted(match[0]) for match in _WORD.finditer(line)]
    for before, word in pairwise(["%%claude", *words]):
        if word[:1] in ('"', "'"):
            raise UsageError(f"%claude: {before}: the quote that begins with {word[:20]} does not end")
        # With one dash it would be taken for a short option and its value.
        name = word.partition("=")[0]
        if len(name) > 2 and f"-{name}" in option_names():
            raise UsageError(f"%claude: there is no option {name}; did you mean -{name}?")
    parsed, rest = _parser(one_line=False).parse_known_args(words)
    _refuse(rest)
    return _options(parsed)


def parse_line(line: str) -> tuple[Options, str]:
    """Parse what stands behind `%claude`: options, then the prompt exactly as typed.

    :raises UsageError: in one line.
    """
    words = list(_WORD.finditer(line))
    parsed, rest = _parser(one_line=True).parse_known_args([_unquoted(word[0]) for word in words])
    _refuse(rest)
    prompt_words = parsed.prompt[1:] if parsed.prompt[:1] == ["--"] else parsed.prompt
    start = words[-len(prompt_words)].start() if prompt_words else len(line)
    return _options(parsed), line[start:].strip()


def option_names() -> list[str]:
    """Return every option as typed, long form first."""
    names = [name for option in _OPTIONS for name in option.names]
    return sorted(names, key=lambda name: (not name.startswith("--"), name))


def usage() -> str:
    """Return the options, a line each: what it means, and an example."""
    width = max(len(option.line) for option in _OPTIONS)
    return "\n".join(f"    {option.line:<{width}}  {option.help}; e.g. {option.example}" for option in _OPTIONS)


def _unquoted(word: str) -> str:
    if word[:1] in ('"', "'") or re.search(r"""=["']""", word):
        with contextlib.suppress(ValueError):  # a lone quote is a part of the word
            return " ".join(shlex.split(word))
    return word


def _refuse(rest: list[str]) -> None:
    if not rest:
        return
    word = rest[0].partition("=")[0]
    if not word.startswith("-"):
        raise UsageError(f"%claude: {word!r} is not an option; the prompt goes below the %%claude line")
    close = difflib.get_close_matches(word, option_names(), 1) if word not in ("--help", "-h") else []
    hint = f"did you mean {close[0]}?" if close else "%%claude? shows them all"
    raise UsageError(f"%claude: there is no option {word}; {hint}")


def _options(parsed: argparse.Namespace) -> Options:
    chosen = {name: value for name, value in vars(parsed).items() if name != "prompt"}
    places = [name for name in ("new", "resume", "at", "redo") if getattr(parsed, name)]
    if parsed.new and parsed.fork:
        places.append("fork")
    if len(places) > 1:
        raise UsageError(f"%claude: --{places[0]} and --{places[1]} exclude each other; leave one out")
    if parsed.compare and parsed.model:
        raise UsageError("%claude: --model and --compare exclude each other; name all models behind --compare")
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    options = Options(**given)
    if len(options.alternatives()) > MAX_ALTERNATIVES:
        raise UsageError(f"%claude: --samples: more than {MAX_ALTERNATIVES} alternatives; ask for fewer models or samples")
    return options
