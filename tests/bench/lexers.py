"""Which of Pygments' lexers take long for a single token: the measurement behind the list in `_render/parts/highlighting.py`.

    python tests/bench/lexers.py [LANGUAGE ...]

A lexer gets texts that make regular expressions go back: one piece again and again, alone or behind the beginning of a
construct. Measured is the processor time between two tokens, as colouring is given up there: in 8,000 characters, and where
that takes long, in 30,000, the longest code that is coloured. Coloured are languages whose slowest token takes less than
`BOUND_S` then. Without a language all that Pygments has are measured.
"""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections.abc import Iterator

from pygments.lexer import Lexer
from pygments.lexers import get_all_lexers, get_lexer_by_name

BOUND_S = 0.2
LONG_S = 0.005
GIVE_UP_S = 0.5
TOKENS = 14
"""So many tokens behind a beginning are measured: it is there that a construct is searched for its end."""

PIECES = (
    *(
        "(",
        "[",
        "{",
        "<",
        "(a",
        "[a",
        "{a",
        "<a ",
        ")",
        "]",
        "}",
        '"',
        "'",
        "`",
        '"a',
        "'a ",
        "\\",
        '\\"',
        "\\'",
        "a",
        "A",
        "a ",
    ),
    *(
        "a a",
        " ",
        "\n",
        " \n",
        "\t",
        "  \n",
        "0",
        "1.",
        "1e",
        "0x",
        "-",
        "--",
        "/",
        "//",
        "/*",
        "*",
        "**",
        "#",
        "#{",
        "$",
        "${",
    ),
    *("$(", "%", "%{", "@", "@a", "&", "&a;", "~", "!", "=", "==", "a=", "a:", ":", "::", ";", ",", ".", "..", "_", "|", "?"),
    *("<!--", "<?", "<%", "{{", "{%", "[[", "]]", "-->", '"""', "'''", "a(", "a b(", "a\n", "a b\n", "(*", "{-", "a.", "a::"),
    *(
        "a<",
        "\u00e9",
        "\x00",
        "> ",
        "$ ",
        ">>> ",
        "- ",
        "a-",
        "#\n",
        "a\\\n",
        "\\\n",
        'R"(',
        "r#",
        "q{",
        "<<A\n",
        "<<",
        "''",
        "a'",
    ),
    *(" a:\n", "[a](", "![", "a\t", "0 ", "f(", "int a", "a*", "* a", "\r", "a)", "() ", "a,", ">"),
)
BEGINNINGS = (
    *(
        "int f(",
        "a b(",
        "f(",
        '"',
        "'",
        "/*",
        "<a ",
        "class A ",
        "def f(",
        "<!--",
        "`",
        "[a",
        "{",
        "a = ",
        "#",
        "@a(",
        "$(",
        "a<",
    ),
    *("\n", "a b() ", "template<", "using ", "/", "a: ", "--", "function ", 'r"', "<?", "<%", "$"),
)


class GivenUp(Exception):
    pass


def give_up(*_: object) -> None:
    raise GivenUp


def slowest_token_s(lexer: Lexer, text: str, tokens: int | None) -> float:
    """Return the longest time between two tokens, at most `GIVE_UP_S`."""
    signal.setitimer(signal.ITIMER_VIRTUAL, GIVE_UP_S)
    slowest, before = 0.0, time.thread_time()
    try:
        for _ in itertools.islice(lexer.get_tokens(text), tokens):
            now = time.thread_time()
            slowest, before = max(slowest, now - before), now
    except GivenUp:
        return max(slowest, time.thread_time() - before)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return slowest


def worst_texts() -> Iterator[tuple[str, str, int | None]]:
    """Yield beginning, piece, and how many tokens tell."""
    yield from (("", piece, 200) for piece in PIECES)
    yield from ((beginning, piece, TOKENS) for beginning in BEGINNINGS for piece in PIECES)


def main() -> None:
    signal.signal(signal.SIGVTALRM, give_up)
    names = sys.argv[1:] or [aliases[0] for _, aliases, *_ in get_all_lexers(plugins=False) if aliases]
    for name in names:
        lexer = get_lexer_by_name(name, stripnl=False)
        list(lexer.get_tokens("a b"))  # compiles it
        slowest, at = 0.0, ""
        for beginning, piece, tokens in worst_texts():
            text = (beginning + piece * 30_000)[:30_000]
            taken = slowest_token_s(lexer, text[:8_000], tokens)
            if taken > LONG_S:
                taken = min(slowest_token_s(lexer, text, tokens) for _ in range(2))
            if taken > slowest:
                slowest, at = taken, f"{beginning!r} {piece!r}"
            if slowest > BOUND_S:
                break
        print(f"{'plain' if slowest > BOUND_S else 'coloured'}  {name}  {slowest * 1000:.1f} ms  {at}", flush=True)


if __name__ == "__main__":
    main()
