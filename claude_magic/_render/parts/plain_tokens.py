"""Tokens of a line -> tokens without `<sup>`, `<sub>` and `<kbd>`, for views that lack them: Unicode's signs, or brackets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it.token import Token

_RAISED: Final = dict(zip("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", strict=True))
_LOWERED: Final = dict(zip("0123456789+-=()aeox", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓ", strict=True))
_SIGNS: Final = {"sup": ("^", _RAISED), "sub": ("_", _LOWERED)}


def plain_tokens(tokens: Sequence[Token]) -> Iterator[Token]:
    """Replace `<sub>`, `<sup>`, `<kbd>` and references to footnotes: H₂O, x², e^(-x/2)."""
    ends: list[str] = []
    signs: dict[str, str] = {}
    for index, token in enumerate(tokens):
        match token.type:
            case "sub_open" | "sup_open":
                mark, known = _SIGNS[token.tag]
                inner = tokens[index + 1]
                alone = inner.type == "text" and tokens[index + 2].nesting == -1 and set(inner.content) <= known.keys()
                signs = known if alone else {}
                ends.append("" if alone else ")")
                yield from () if alone else (_text(f"{mark}("),)
            case "sub_close" | "sup_close":
                signs = {}
                end = ends.pop()
                yield from (_text(end),) if end else ()
            case "kbd_open" | "kbd_close":
                pass
            case "footnote_ref":
                yield _text(token.content)
            case "text" if signs:
                yield _text("".join(signs[char] for char in token.content))
            case _:
                yield token


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
