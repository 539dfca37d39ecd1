"""Code -> HTML with highlighted keywords and comments, in a limited time. "Coloured" means highlighted here.

Decides which languages are coloured, how long the code may be, and how long colouring may take. A lexer is a list of regular
expressions, and a malicious text makes many of them scan its rest again and again. So colouring stops between two tokens when
its time is over, and only languages are coloured in which no single token takes long (`tests/bench/lexers.py` measures that).
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import groupby
from typing import Any, Final

from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Comment, Generic, Keyword, Operator
from pygments.util import ClassNotFound

LONGEST: Final = 30_000
"""The most characters of code that are coloured. A thousand take about a millisecond."""

BLOCK_S: Final = 0.25
"""Seconds of processor time that the colours of one block may take."""

TEXT_S: Final = 1.0
"""Seconds of processor time that the colours of all blocks of one text may take."""

_COLOURED: Final = """
python py sage python3 py3 bazel starlark pyi pycon python-console pytb py3tb ipython ipython3 bash sh ksh zsh shell openrc
powershell pwsh posh ps1 psm1 batch bat dosbatch winbatch json json-object json5 yaml yml toml properties jproperties xml html
css scss sass less javascript js typescript ts jsx react tsx coffeescript coffee-script coffee sql mysql sqlite3 tsql t-sql
splus s r rconsole rout julia jl jlcon julia-repl octave stata do sas csharp c# cs java kotlin groovy swift go golang rust rs
zig d dart ruby rb duby perl pl php php3 php4 php5 lua haskell hs fsharp f# elixir ex exs erlang clojure clj scheme scm racket
rkt common-lisp cl lisp emacs-lisp elisp emacs elm nimrod nim fortran f90 fortranfixed cobol delphi pas pascal objectpascal
ada ada95 ada2005 qbasic basic vb.net vbnet lobas oobas sobas visual-basic visualbasic gas asm llvm glsl hlsl wgsl verilog v
systemverilog sv vhdl tex latex bibtex bib markdown md org orgmode org-mode diff udiff make makefile mf bsdmake cmake docker
dockerfile nixos nix meson meson.build nginx graphql protobuf proto thrift django jinja handlebars vue awk gawk mawk nawk sed
gsed ssed vim tcl prolog gap cython pyx pyrex stan jags bugs winbugs openbugs wast wat solidity text output sparql turtle
cypher logtalk lean lean3 coq rocq rocq-prover agda idris idr isabelle abap apl actionscript as haxe hxsl hx vala vapi mojo
gleam purescript purs
"""
_KNOWN: Final = frozenset(_COLOURED.split())

# Languages in which one token may take long: only short code is coloured.
_SHORT: Final = frozenset({"console", "shell-session", "ini", "cfg", "dosini", "matlab"})
_LONGEST_SHORT: Final = 1_000


# Their own lexers would also colour the body of a function, which may be in any language.
_LEXERS: Final = dict.fromkeys(("postgresql", "postgres", "plpgsql"), "sql")

_MARKS: Final = {
    Keyword: ("b", ""),
    Operator.Word: ("b", ""),
    Comment: ("i", ""),
    Generic.Inserted: ("span", "gi"),
    Generic.Deleted: ("span", "gd"),
}
"""The element and the class of each kind of token. No colours: a saved notebook would repeat them in every element."""


class Allowance:
    """The processor time that is left for colouring one text."""

    def __init__(self) -> None:
        self._left_s = TEXT_S

    def coloured(self, code: str, language: str) -> str:
        """Return code as HTML; not coloured if its language is unknown, it is too long, or the time is over."""
        if not is_coloured(language) or len(code) > (_LONGEST_SHORT if language in _SHORT else LONGEST) or self._left_s <= 0:
            return html.escape(code)
        start = time.thread_time()
        coloured = _coloured(code, language)
        self._left_s -= time.thread_time() - start
        return coloured


def is_coloured(language: str) -> bool:
    """Whether code in a language is coloured; the name is in lower case."""
    return language in _KNOWN or language in _SHORT or language in _LEXERS


def language_of_file(name: str) -> str:
    """Return the language of a file by the end of its name; empty if it is not coloured."""
    try:
        aliases = get_lexer_for_filename(name[-100:]).aliases
    except ClassNotFound:
        return ""
    return next((alias for alias in aliases if is_coloured(alias)), "")


@lru_cache(maxsize=128)
def _coloured(code: str, language: str) -> str:
    # Cached: a growing block is rendered again and again, with the same finished fences in it.
    try:
        # `handlecodeblocks`: code inside Markdown may be in any language, so it is not coloured.
        lexer = get_lexer_by_name(_LEXERS.get(language, language), stripnl=False, handlecodeblocks=False)
        groups = groupby(_in_time(lexer.get_tokens(code)), lambda token: _mark(token[0]))
        coloured = "".join(_marked(mark, "".join(text for _, text in group)) for mark, group in groups)
    except (TimeoutError, RecursionError):
        return html.escape(code)
    # Pygments adds a newline at the end; the code of a fence that is still open may end within a line.
    return coloured if code.endswith("\n") else coloured.removesuffix("\n")


def _marked(mark: tuple[str, str], text: str) -> str:
    element, css_class = mark
    attribute = f' class="{css_class}"' if css_class else ""
    escaped = html.escape(text)
    if not element:
        return escaped
    # Each line has its own element, because a fold may cut the code after any line.
    return "\n".join(f"<{element}{attribute}>{line}</{element}>" if line else "" for line in escaped.split("\n"))


@cache
def _mark(token: Any) -> tuple[str, str]:
    return next((mark for kind, mark in _MARKS.items() if token in kind), ("", ""))


def _in_time(tokens: Iterable[tuple[Any, str]]) -> Iterator[tuple[Any, str]]:
    start = time.thread_time()
    for token in tokens:
        if time.thread_time() - start > BLOCK_S:
            raise TimeoutError
        yield token
