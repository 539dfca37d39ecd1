"""Keep credentials out of what stays: settled outputs, logs, cassettes and the texts of errors.

A credential is a value that the environment holds under a telling name, or a text of a shape that services give their keys.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

MIN_LENGTH: Final = 6
"""A shorter value is no credential, and would be found in ordinary text."""

_TELLING: Final = re.compile(
    r"(?:^|_)(?:API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|KEY|TOKEN|SECRET|(?:PG)?PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|AUTH)"
    r"S?(?:_|\d*$)",
    re.IGNORECASE,
)

# Anthropic and others, GitHub, GitLab, Slack, AWS, Google, then JSON Web Tokens: as their documentations describe them.
_SHAPES: Final = (
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}",
    r"\bglpat-[\w-]{20,}",
    r"\bxox[abeoprs]-[\w-]{10,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bAIza[\w-]{35}",
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",
    r"(?<=Bearer )[\w.~+/-]{16,}=*",
)


def redact(text: str, env: Mapping[str, str] | None = None) -> str:
    """Return the text with `[NAME]` or `[credential]` in the place of each credential.

    :param env: whose values to look for; by default this process's environment.
    """
    pattern, known = _credentials(frozenset((os.environ if env is None else env).items()))
    return pattern.sub(lambda match: f"[{known.get(match[0], 'credential')}]", text)


@lru_cache(maxsize=8)
def _credentials(env: frozenset[tuple[str, str]]) -> tuple[re.Pattern[str], dict[str, str]]:
    """Return what finds credentials, and the name of the variable that holds each text of one."""
    telling = [(name, value) for name, value in env if _is_telling(name, value)]
    known = {form: name for name, value in sorted(telling, reverse=True) for form in _forms(value)}
    # The longest first: one credential may begin with another.
    return re.compile("|".join([*map(re.escape, sorted(known, key=len, reverse=True)), *_SHAPES])), known


def _is_telling(name: str, value: str) -> bool:
    return len(value) >= MIN_LENGTH and not value.isdecimal() and _TELLING.search(name) is not None


def _forms(value: str) -> tuple[str, ...]:
    """Return a value as it is, and as Python and JSON write it: a private key is lines, and a `repr` shows them as one."""
    return (value, repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
