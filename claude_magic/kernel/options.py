"""The options of `%%claude` and `%claude`: their one definition, for parsing, for help and for completion.

Parsing gives an `Options` or a one-line `UsageError` that names the option and the fix.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import keyword
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NoReturn

from IPython.core.error import UsageError

from claude_magic.sdk.config import EFFORTS, PERMISSION_MODES, TurnOptions

MODELS = ("default", "opus", "sonnet", "haiku", "opusplan")
"""Names that the CLI resolves to a current model; full model names work, too."""

# A rule such as Bash(git status:*) is one word although it holds a space.
_WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\([^()"']*\)|[^\s"'(]|["'(])+""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one cell asks for. `None` means: as configured."""

    new: bool = False
    resume: str | None = None
    model: str | None = None
    effort: str | None = None
    system: str | None = None
    output: str | None = None
    quiet: bool = False
    timeout: float | None = None
    budget: float | None = None
    max_turns: int | None = None
    mode: str | None = None
    allow: tuple[str, ...] = ()
    no_kernel: bool = False

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
            message = f"{named[1]} needs a value; see %%claude?" if "expected" in named[2] else f"{named[1]}: {named[2]}"
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


def _seconds(text: str) -> float:
    return _number(text, "a number of seconds, such as 60")


def _dollars(text: str) -> float:
    return _number(text, "an amount in US dollars, such as 0.50")


def _number(text: str, meant: str) -> float:
    try:
        number = float(text.removeprefix("$"))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not {meant}")
    return number


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on, such as 5")
    return int(text)


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a variable name, such as reply")
    return text


def _one_of(values: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in values:
            close = difflib.get_close_matches(text, values, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(values)}{hint}")
        return text

    return parse


def _filled(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty")
    return text


_OPTIONS = (
    _Option(("-n", "--new"), "", "begin another session; it becomes the current one", "--new"),
    _Option(("-r", "--resume"), "ID|PREFIX|NAME", "continue this session", "--resume 681fea2c", _filled),
    _Option(("-m", "--model"), "NAME", "the model of this turn", "--model sonnet", _filled),
    _Option(("--effort",), "LEVEL", ", ".join(EFFORTS), "--effort high", _one_of(EFFORTS)),
    _Option(("--system",), "TEXT", "added to the system prompt", '--system "Answer in French."', _filled),
    _Option(("-o", "--output"), "NAME", "bind the reply to a variable", "--output reply", _variable),
    _Option(("--quiet",), "", "show nothing; for use with --output", "--quiet"),
    _Option(("--timeout",), "SECONDS", "give up after this long", "--timeout 120", _seconds),
    _Option(("--budget",), "USD", "the most that this turn may cost", "--budget 0.50", _dollars),
    _Option(("--max-turns",), "N", "rounds with tools at most", "--max-turns 5", _count),
    _Option(("--mode",), "MODE", ", ".join(PERMISSION_MODES), "--mode plan", _one_of(PERMISSION_MODES)),
    _Option(("--allow",), "RULE ...", "let a tool run without asking", '--allow Read "Bash(git status:*)"', _filled),
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
            parser.add_argument(*option.names, type=option.parse)
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
    close = difflib.get_close_matches(word, option_names(), 1)
    hint = f"did you mean {close[0]}?" if close else "%%claude? shows them all"
    raise UsageError(f"%claude: there is no option {word}; {hint}")


def _options(parsed: argparse.Namespace) -> Options:
    chosen = {name: value for name, value in vars(parsed).items() if name != "prompt"}
    if parsed.new and parsed.resume:
        raise UsageError("%claude: --new and --resume exclude each other; leave one out")
    return Options(**{**chosen, "allow": tuple(parsed.allow)})
