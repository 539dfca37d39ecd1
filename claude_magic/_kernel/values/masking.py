"""Remove credentials from what Claude reads of a kernel: values, cells, and what code printed and returned.

`claude_magic._redaction` decides which texts are credentials. A prompt that a person writes is sent as it is.
"""

from __future__ import annotations

import re
from typing import Final

from claude_magic._redaction import UNNAMED, masked
from claude_magic._render.parts.redacted_reply import masked_line
from claude_magic._secret_shapes import is_secret, tells

_QUOTED: Final = re.compile(r"""'((?:[^'\\\n]|\\.)++)('?)|"((?:[^"\\\n]|\\.)++)("?)""")
"""A string as Python's `repr` writes it; also one without its closing quote, so that no text is scanned twice."""


class Masking:
    """Masks texts and remembers what it has masked. Mask before a cut: half a credential is not recognised.

    :param name: of the variable that is shown; if the name suggests a credential, every text in the value may be one.
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
        """A note for Claude at the end of the text, saying what was masked; empty if nothing was."""
        return f"\n\n{masked_line(self._masked)} In the kernel the values are as they are." if self._masked else ""
