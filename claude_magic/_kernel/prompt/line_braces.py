"""`{x}` and `$x` on the line of `%claude`: other line magics fill them in, where a prompt has `{{ x }}`.

In a cell they are left alone: code that is pasted there is full of them.
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
"""So much before a brace tells what it belongs to."""


def unfilled(typed: str, namespace: Container[str]) -> list[str]:
    """Return what the person should know of a line's single braces, which are sent as they stand.

    :param namespace: the variables that a prompt can name.
    :raises UsageError: when one names a variable, whose value was meant.
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
