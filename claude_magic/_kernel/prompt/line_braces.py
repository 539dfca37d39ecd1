"""`{x}` and `$x` on the line of `%claude`: other line magics replace them by a value, but a prompt needs `{{ x }}`.

A person who means a value gets an error. In a cell nothing is checked, because code that is pasted there is full of them.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from IPython.core.error import UsageError

_BRACED: Final = re.compile(r"(?<!\{)\{(?P<inside>(?P<name>[^\W\d]\w*)[^{}]*)\}(?!\})")
_DOLLAR: Final = re.compile(r"(?<![\\$\w])\$(?P<inside>(?P<name>[^\W\d]\w*))(?![\w$])")
_FORMULA: Final = re.compile(r"\$[^\s$](?:[^$]{0,500}[^\s$])?\$(?!\w)")
_TEX: Final = re.compile(r"\\[A-Za-z]+(?:\{[^{}]*\}|\[[^][]*\])*\Z")
_BY_ITSELF: Final = re.compile(r"(?:\A|[\s(\[\"'`])\Z")
_NEAR: Final = 200
"""The number of characters before a brace that are read to see whether it belongs to TeX."""


def unfilled(typed: str, namespace: Container[str]) -> list[str]:
    """Return remarks about a line's single braces, which are sent as they are.

    :param namespace: the variables that a prompt can name.
    :raises UsageError: a brace names a variable, so its value was meant.
    """
    text = _FORMULA.sub(lambda match: " " * len(match[0]), typed)
    left = []
    for match in (*_BRACED.finditer(text), *_DOLLAR.finditer(text)):
        before = text[max(0, match.start() - _NEAR) : match.start()]
        if _TEX.search(before):
            continue
        if match["name"] in namespace:
            raise UsageError(
                f"%claude: {match[0]} is not filled in; write {{{{ {match['inside'].strip()} }}}} for its value, or --raw to "
                "send it as it stands; nothing was sent"
            )
        if match[0].startswith("{") and match["inside"] == match["name"] and _BY_ITSELF.search(before):
            left.append(f"{match[0]} was sent as it stands: there is no variable {match['name']}.")
    return left
