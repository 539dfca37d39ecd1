"""What Claude reads of a kernel without the credentials in it: values, cells, what code printed and returned.

Which texts are credentials is known by `claude_magic._redaction`. What a person puts into a prompt goes as it is.
"""

from __future__ import annotations

import re
from typing import Final

from claude_magic._redaction import UNNAMED, masked
from claude_magic._render.parts.redacted_reply import masked_line
from claude_magic._secret_shapes import is_secret, tells

_QUOTED: Final = re.compile(r"""'((?:[^'\\\n]|\\.)++)('?)|"((?:[^"\\\n]|\\.)++)("?)""")
"""A text as Python writes it; also one without its end, so that none is looked through twice."""


class Masking:
    """Masks texts before they are cut, as a part of a credential is not recognised, and remembers what it has masked.

    :param name: of the variable that is shown; one that tells of credentials tells of each text in it.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name if tells(name) else ""
        self._masked: set[str] = set()

    def __call__(self, text: str) -> str:
        """Return a text without its credentials."""
        is_quoted = self._name != "" and _QUOTED.search(text) is not None
        found = masked(text, name="" if is_quoted else self._name)
        self._masked.update(found.names)
        return _QUOTED.sub(self._quoted, found.text) if is_quoted else found.text

    def _quoted(self, match: re.Match[str]) -> str:
        text, end = filter(None, (match[1] or match[3], match[2] or match[4] or " "))
        if end == " " or not is_secret(self._name, text):
            return match[0]
        self._masked.add(UNNAMED)
        return f"{end}[{UNNAMED}]{end}"

    def __bool__(self) -> bool:
        """Whether anything was masked."""
        return bool(self._masked)

    @property
    def said(self) -> str:
        """What Claude is told of it, as an end of the text; empty where nothing was masked."""
        return f"\n\n{masked_line(self._masked)} In the kernel the values are as they are." if self._masked else ""
