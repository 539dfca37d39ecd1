"""The options of `%%claude` and `%claude`: their one definition, for parsing, for help and for completion.

Parsing gives an `Options` or a one-line `UsageError` that names the option and the fix.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
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
        named = re.match(r"argument (\S+?)(?:/\S+)?: (.*)", message)
        if named and "expected" in named[2]:
            message = f"{named[1]} needs a value; see %%claude?"
        elif named:
            message = f"{named[1]}: {named[2]}"
        raise UsageError(f"%claude: {message}")


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
    if not text.isidentifier():
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


def _parser(*, one_line: bool) -> _Parser:
    parser = _Parser(prog="%claude", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("-n", "--new", action="store_true", help="start another session; it becomes the current one")
    add("-r", "--resume", type=_filled, metavar="ID|PREFIX|NAME", help="continue this session; e.g. --resume 681fea2c")
    add("-m", "--model", type=_filled, metavar="NAME", help="the model of this turn; e.g. --model sonnet")
    add("--effort", type=_one_of(EFFORTS), metavar="LEVEL", help=f"{', '.join(EFFORTS)}; e.g. --effort high")
    add("--system", type=_filled, metavar="TEXT", help='added to the system prompt; e.g. --system "Answer in French."')
    add("-o", "--output", type=_variable, metavar="NAME", help="bind the reply to a variable; e.g. --output reply")
    add("--quiet", action="store_true", help="show nothing; for use with --output")
    add("--timeout", type=_seconds, metavar="SECONDS", help="give up after this long; e.g. --timeout 120")
    add("--budget", type=_dollars, metavar="USD", help="the most this turn may cost; e.g. --budget 0.50")
    add("--max-turns", type=_count, metavar="N", help="rounds with tools at most; e.g. --max-turns 5")
    modes = ", ".join(PERMISSION_MODES)
    add("--mode", type=_one_of(PERMISSION_MODES), metavar="MODE", help=f"{modes}; e.g. --mode plan")
    add(
        "--allow",
        type=_filled,
        metavar="RULE",
        action="extend",
        nargs=1 if one_line else "+",
        default=[],
        help='allow a tool without asking; e.g. --allow Read "Bash(git status:*)"',
    )
    if one_line:
        add("prompt", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def parse_cell(line: str) -> Options:
    """Parse what stands behind `%%claude` on the first line of a cell.

    :raises UsageError: in one line.
    """
    parsed, rest = _parser(one_line=False).parse_known_args(_words(line))
    _refuse(rest)
    return _options(parsed)


def parse_line(line: str) -> tuple[Options, str]:
    """Parse what stands behind `%claude`: options, then the prompt exactly as typed.

    :raises UsageError: in one line.
    """
    words = list(_WORD.finditer(line))
    parsed, rest = _parser(one_line=True).parse_known_args(_words(line))
    prompt_words = parsed.prompt
    _refuse(rest)
    if not prompt_words:
        return _options(parsed), ""
    if prompt_words[0] == "--":
        prompt_words = prompt_words[1:]
    start = words[len(words) - len(prompt_words)].start() if prompt_words else len(line)
    return _options(parsed), line[start:].strip()


def option_names() -> list[str]:
    """Return every option as typed, long form first."""
    return sorted((name for name, _ in _usage()), key=lambda name: (not name.startswith("--"), name))


def usage() -> str:
    """Return the options with what each means and an example, a line each."""
    return "\n".join(text for _, text in _usage())


def _usage() -> list[tuple[str, str]]:
    help_lines = _parser(one_line=False).format_help().splitlines()
    names = re.compile(r"^\s+(-\S+)")
    return [(match[1].rstrip(","), line) for line in help_lines if (match := names.match(line))]


def _words(line: str) -> list[str]:
    words = []
    for match in _WORD.finditer(line):
        word = match[0]
        if word[:1] in "\"'" or re.search(r"""=["']""", word):
            with contextlib.suppress(ValueError):  # a lone quote is a part of the word
                word = " ".join(shlex.split(word))
        words.append(word)
    return words


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
