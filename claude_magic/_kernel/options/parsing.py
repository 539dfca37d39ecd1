"""Parse the line after `%%claude` and `%claude` by the table of options.

The result is an `Options`, or a one-line `UsageError` that names the option and the fix.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
from functools import cache
from itertools import pairwise
from typing import Any, NoReturn

from IPython.core.error import UsageError

from claude_magic._kernel.advice import closest
from claude_magic._kernel.options.cell_options import OPTIONS, Options, option_names
from claude_magic._kernel.options.option import MAX_ALTERNATIVES
from claude_magic._kernel.tools.kernel_tools import TOOLS
from claude_magic.sdk._gate.tool_list import ASKED, HELPERS, OFF, READING, UNASKED
from claude_magic.sdk.host import rule_of

# A rule such as Bash(git status:*) is one word although it contains a space, and so is a type such as dict[str, int].
_WORD = re.compile(
    r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\([^()"']*\)|\[(?:[^][()"']|"[^"]*"|'[^']*'|\[[^][]*\])*\]|[^\s"'(\[]|["'(\[])+"""
)


HELP = ("--help", "-h")

_TOOLS = {name.casefold(): name for name in READING | UNASKED | HELPERS | ASKED | OFF} | {
    tool.name: rule_of(tool) for tool in TOOLS
}
"""The tool that is meant by a name without capitals or server. Any other name may be that of a newer tool."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if named := re.match(r"argument (?:\S+/)?(\S+): (.*)", message):
            message = f"{named[1]}: {named[2]}"
            if "expected" in named[2]:
                message = f"{named[1]} needs a value; see %%claude?"
            elif "ignored" in named[2]:
                message = f"{named[1]} takes no value"
        raise UsageError(f"%claude: {message}")


@cache
def _parser(*, one_line: bool) -> _Parser:
    parser = _Parser(prog="%claude", add_help=False, allow_abbrev=False)
    for option in OPTIONS:
        parse = option.kind.parse
        if parse is None:
            parser.add_argument(*option.names, action="store_true")
        elif option.several:
            # On one line the prompt follows, so there an option has only one value.
            number = 1 if one_line else "+"
            parser.add_argument(*option.names, type=parse, action="extend", nargs=number, default=[])
        else:
            parser.add_argument(*option.names, type=parse, default=option.default)
    if one_line:
        parser.add_argument("prompt", nargs=argparse.REMAINDER)
    return parser


def parse_cell(line: str) -> Options:
    """Parse the options after `%%claude` on the first line of a cell.

    :raises UsageError: an option is wrong; the message is one line.
    """
    words = [_unquoted(match[0]) for match in _WORD.finditer(line)]
    for before, word in pairwise(["%%claude", *words]):
        if word[:1] in ('"', "'"):
            raise UsageError(f"%claude: {before}: the quote that begins with {word[:20]} does not end")
        # argparse would read a long name with one dash as a short option and its value.
        name = word.partition("=")[0]
        if len(name) > 2 and f"-{name}" in option_names():
            raise UsageError(f"%claude: there is no option {name}; did you mean -{name}?")
    parsed, rest = _parser(one_line=False).parse_known_args(words)
    _refuse(rest)
    return _options(parsed)


def parse_line(line: str) -> tuple[Options, str]:
    """Parse the text after `%claude`: options, then the prompt exactly as typed.

    :raises UsageError: an option is wrong; the message is one line.
    """
    words = list(_WORD.finditer(line))
    parsed, rest = _parser(one_line=True).parse_known_args([_unquoted(word[0]) for word in words])
    _refuse(rest)
    prompt_words = parsed.prompt[1:] if parsed.prompt[:1] == ["--"] else parsed.prompt
    start = words[-len(prompt_words)].start() if prompt_words else len(line)
    return _options(parsed), line[start:].strip()


def asks_for_help(line: str, *, one_line: bool) -> bool:
    """Whether the options request help. On one line only the first word counts, because a prompt may follow."""
    words = line.split()
    return any(word in HELP for word in (words[:1] if one_line else words))


def _unquoted(word: str) -> str:
    if word[:1] in ('"', "'") or re.match(r"""-[\w-]+=["']""", word):
        with contextlib.suppress(ValueError):  # a lone quote is a part of the word
            return " ".join(shlex.split(word))
    return word


def _refuse(rest: list[str]) -> None:
    if not rest:
        return
    word = rest[0].partition("=")[0]
    if not word.startswith("-"):
        raise UsageError(f"%claude: {word!r} is not an option; the prompt goes below the %%claude line")
    close = closest(word, option_names())
    hint = f"did you mean {close}?" if close else "%%claude? shows them all"
    raise UsageError(f"%claude: there is no option {word}; {hint}")


def _options(parsed: argparse.Namespace) -> Options:
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in vars(parsed).items() if name != "prompt"
    }
    options = Options(**given)
    if conflict := options.conflict():
        raise UsageError(f"%claude: --{conflict[0]} and --{conflict[1]} exclude each other; leave one out")
    for name in (rule.partition("(")[0].strip() for rule in options.allow):
        if (meant := _TOOLS.get(name.casefold(), name)) != name:
            raise UsageError(f"%claude: --allow: there is no tool {name}; did you mean {meant}?")
    if options.each and (wrong := options.misplaced()):
        raise UsageError(f"%claude: --{wrong} cannot be used with --each; leave it out")
    if len({name for name, _ in options.vary}) < len(options.vary):
        raise UsageError("%claude: --vary has the same name twice; give the name once, with all its values")
    if options.compare and options.model:
        raise UsageError("%claude: --model and --compare exclude each other; name all models after --compare")
    if len(options.alternatives()) > MAX_ALTERNATIVES:
        raise UsageError(f"%claude: --samples: more than {MAX_ALTERNATIVES} alternatives; name fewer models or samples")
    return options
