"""How much of what is secret is masked, how much of what is not, and what that costs."""

from __future__ import annotations

import pytest
from rig.cost import cost_s
from secrets_corpus import INNOCENT, SECRETS

from claude_magic._redaction import masked, redact

# Each pattern's worst texts, as far as repeating its pieces makes them; what each piece is repeated to is the length.
WORST = [
    *(
        "eyJ-",
        "eyJaaaaaaaa.",
        "eyJa.",
        "sk-",
        "sk-ant-",
        "sk-a-",
        "ghp_",
        "xoxb-",
        "xoxe.xoxp-",
        "AK" + "IA",
        "AIza",
        "SG.aaaaaaaaaaaaaaaa.",
    ),
    *(
        "hvs.",
        "0Q~",
        "1:AA",
        "a8Q~a",
        "MAAAAAAAAAAAAAAAAAAAAAAA.aaaaaa.",
        "aaaaaaaaaaaaaaaa ",
        "aaaaaaaaaaaaaaa ",
        "1a2b",
        "\\n",
        "deadbeef",
    ),
    *(
        "AK" + "IAAAAAAAAAAAAAAAAA ",
        "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC3dE5f/",
        "Bearer ",
        "Bearer a1",
        "basic aaaaaaaaaaaaaaaa ",
        "key ",
    ),
    *("://", "://a:", "://a:b", "://a:@", "://a", "http://a:b", "hooks.slack.com/services/", "discord.com/api/webhooks/1"),
    *("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----a\n", "-----BEGIN ", "-----END PRIVATE KEY-----"),
    *(
        " -u a:",
        "--user a",
        "login a password ",
        "login ",
        "mysql ",
        "mysql -p",
        "sshpass ",
        "cookie: a=",
        "cookie ",
        "cookie:cookie=",
    ),
    *(
        "set-cookie: a=aaaaaaaa1;",
        "a=",
        "a: ",
        "a: str",
        "password=",
        'password="',
        "password='",
        'password=\\"',
        "password: ",
        "--password ",
    ),
    *(
        "--password=",
        "password&",
        "password=a&a",
        "&a",
        "<password>",
        "passPass",
        "pass_",
        "API_KEY_",
        "SHARED_ACCESS_",
        "aA",
        "a-",
        "a.",
        "_",
    ),
    *(
        "password=password=",
        'password="\\',
        "password='\\'",
        "--",
        "-",
        "=",
        ":",
        "x{",
        "...",
        "$(",
        " ",
        "\n",
        "a",
        "A",
        "0",
        "'",
        '"',
        "\\",
        "\\_",
        "\u00e9",
    ),
    *("*a", "`*", "[a](", "](", "[a", "<b", "<b>", "&#", "&#97;", "\x1b[", "\x1b[1m", "\x1b]", "\u200b", "\\u001b["),
]


def test_secrets_are_masked() -> None:
    """At least 95 % of 150 secrets are masked, from their first characters to their last."""
    assert len(SECRETS) >= 150
    missed = [text for text, secret in SECRETS if secret[:6] in redact(text, {}) or secret[-6:] in redact(text, {})]
    assert len(missed) <= 0.05 * len(SECRETS), missed


def test_ordinary_texts_stay() -> None:
    """At most 1 % of 150 ordinary texts are changed."""
    assert len(set(INNOCENT)) >= 150
    changed = [redact(text, {}) for text in INNOCENT if redact(text, {}) != text]
    assert len(changed) <= 0.01 * len(INNOCENT), changed


def test_ordinary_texts_as_one() -> None:
    """What stands beside an ordinary text makes it no secret."""
    text = "\n\n".join(INNOCENT)
    assert masked(text, {}).names == ()


@pytest.mark.parametrize("unit", WORST)
def test_redaction_is_linear(unit: str) -> None:
    """200 kB of a pattern's worst text cost about four times what 50 kB cost: nothing grows with the square."""
    text = (unit * (200_000 // len(unit) + 1))[:200_000]
    quarter = max(cost_s(redact, text[:50_000], {}), 0.005)
    # The best of three: what else goes on in the machine is not measured.
    assert any(cost_s(redact, text, {}) < 8 * quarter for _ in range(3))
