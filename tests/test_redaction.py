"""Credentials in texts: known by the environment's names for them, or by the shapes that services give their keys."""

from __future__ import annotations

import json

import pytest

from claude_magic._redaction import redact
from claude_magic.errors import APIError

VALUE = "correct-horse-battery"
FILLER = "aB3dE5gH7jK9mN1p"

TELLING = [
    "API_KEY",
    "OPENAI_API_KEY",
    "MY_APIKEY",
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "GH_TOKEN_2",
    "TOKENS",
    "DB_PASSWORD",
    "PASSWORD_OF_DB",
    "PGPASSWORD",
    "KEY_PASSPHRASE",
    "SMTP_CREDENTIALS",
    "PROXY_AUTH",
    "Client_Secret",
]

ORDINARY = ["EDITOR", "KEYBOARD", "MONKEY", "TOKENIZER", "AUTHOR", "SECRETARY", "PASSWORDLESS", "TURKEYS"]

SHAPES = {
    "Anthropic": f"sk-ant-api03-{FILLER}{FILLER}",
    "GitHub": f"ghp_{FILLER}{FILLER}",
    "GitHub, fine-grained": f"github_pat_{FILLER}_{FILLER}",
    "GitLab": f"glpat-{FILLER}{FILLER}",
    "Slack": f"xoxb-1234567890-{FILLER}",
    "AWS": "AKIA" + "Q7X2" * 4,
    "AWS, temporary": "ASIA" + "Q7X2" * 4,
    "Google": f"AIza{FILLER}{FILLER}abc",
    "JSON Web Token": f"eyJ{FILLER}.{FILLER}.{FILLER}",
}

UNTOUCHED = [
    "sk-learn, sk-dummy and task-runner-with-a-long-descriptive-name",
    "risk-assessment-of-the-northern-region-2024",
    "The Bearer of the ring; Authorization: Bearer TOKEN",
    "ghp_short, glpat-short, AKIA, eyJ.a.b",
    "681fea2c-2417-42d4-b134-6c7d6a02503b",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "print(os.environ['MY_API_KEY'])",
    "https://example.org/?q=key&token=none",
    "",
]


@pytest.mark.parametrize("name", TELLING)
def test_a_telling_name(name: str) -> None:
    """The value of a variable whose name says that it is a credential is replaced by the name, wherever it stands."""
    text = f"key={VALUE};\n'{VALUE}'{VALUE}"
    assert redact(text, {name: VALUE}) == f"key=[{name}];\n'[{name}]'[{name}]"


@pytest.mark.parametrize("name", ORDINARY)
def test_any_other_name(name: str) -> None:
    """A name that only holds such a word inside another one tells nothing."""
    assert redact(f"say {VALUE}", {name: VALUE}) == f"say {VALUE}"


@pytest.mark.parametrize("value", ["", "12345", "short", "31999", "1234567890"])
def test_a_value_that_is_no_credential(value: str) -> None:
    """Short or numeric values stay: they would be found in ordinary text."""
    text = f"1234567890 short 12345 {value}"
    assert redact(text, {"MAX_TOKENS": value, "MY_KEY": value}) == text


def test_the_longest_first() -> None:
    """Of two credentials one of which begins with the other, no rest of the longer one stays, whatever their order."""
    env = {"A_TOKEN": VALUE, "B_TOKEN": f"{VALUE}-and-more"}
    for known in (env, dict(reversed(env.items()))):
        assert redact(f"{VALUE}-and-more {VALUE}", known) == "[B_TOKEN] [A_TOKEN]"


def test_a_value_is_no_pattern() -> None:
    """A value is taken as it is written, also when it reads like a regular expression."""
    env = {"MY_PASSWORD": r"a.c+(d|\1"}
    assert redact(r"a.c+(d|\1 abcc(d", env) == "[MY_PASSWORD] abcc(d"


@pytest.mark.parametrize(
    "value", ["-----BEGIN KEY-----\nabc\ndef\n-----END KEY-----", "with \\ and ' and \"", "schl\u00fcssel"]
)
def test_a_value_in_code(value: str) -> None:
    """A value is found as it is, and as Python and JSON write it: on one line, with its signs escaped."""
    env = {"MY_PRIVATE_KEY": value}
    assert redact(f"{value}!", env) == "[MY_PRIVATE_KEY]!"
    assert redact(repr(value), env) in ("'[MY_PRIVATE_KEY]'", '"[MY_PRIVATE_KEY]"')
    assert redact(json.dumps({"key": value}), env) == '{"key": "[MY_PRIVATE_KEY]"}'
    assert redact(json.dumps({"key": value}, ensure_ascii=False), env) == '{"key": "[MY_PRIVATE_KEY]"}'


UNREAD = [
    *("\x1b[01;31m", "\x9b0m", "\x1b]8;;http://x\x07", "\x00", "\u200b", "\u00ad", "\ufeff", "\\u001b[1m", "\\u200b"),
    *("**", "`", "<b></b>", "</i>", "&shy;", "&#8203;", "](https://x.example)"),
]


@pytest.mark.parametrize("mark", UNREAD)
def test_what_is_read_in_one_piece(mark: str) -> None:
    """What a terminal or Markdown takes away, or nobody sees, divides no credential, wherever in it it stands."""
    start = "[" if mark.startswith("](") else ""
    for key, shown in ((SHAPES["GitHub"], ""), (SHAPES["AWS"], ""), ("s3://ada:hunter2hunter@x.org", "s3://ada:{}@x.org")):
        inside = range(10, 20) if shown else range(1, len(key))
        masked = [redact(f"a {start}{key[:place]}{mark}{key[place:]} z", {}) for place in inside]
        assert set(masked) == {f"a {start}{shown.format('[credential]') or '[credential]'} z"}


def test_marks_of_markdown() -> None:
    """Signs that Markdown escapes, entities and emphasis around a name or a key hide neither."""
    key = SHAPES["GitHub"]
    assert redact(f"_{key}_ __{key}__ ~~{key}~~", {}) == "_[credential]_ __[credential]__ ~~[credential]~~"
    for written in (key.replace("_", r"\_"), key.replace("_", "&#95;"), key.replace("a", "&#97;")):
        assert redact(f"The key is {written}!", {}) == "The key is [credential]!"
    for name in (r"api\_key:", "api&lowbar;key =", "\x1b[1mpassword\x1b[0m=\x1b[32m"):
        assert redact(f"{name} 9fK2mQ7xLp", {}) == f"{name} [credential]"
    assert redact(r"a `\d+_x` **b**, <i>c</i> &amp; d\_e", {}) == r"a `\d+_x` **b**, <i>c</i> &amp; d\_e"


INI = "[db]\nuser = ada\n\tpassword = 9fK2mQ7xLp\r\nmachine h\nlogin ada\npassword 9fK2mQ7xLp\n"


@pytest.mark.parametrize(
    "text",
    [
        *(repr(INI), repr([INI]), repr(INI.encode()), json.dumps(INI), json.dumps(json.dumps({"x": INI})), rf"a = '{INI!r}'"),
        *(json.dumps(json.dumps({"api_key": "9fK2mQ7xLp"})), repr({b"password": b"9fK2mQ7xLp"}), r"a\x0apassword=9fK2mQ7xLp"),
    ],
)
def test_a_name_behind_an_escape(text: str) -> None:
    """A name is known behind an end of line that `repr` or JSON has written as an escape, also in JSON within JSON."""
    assert "9fK2mQ7xLp" not in redact(text, {})


@pytest.mark.parametrize("key", SHAPES.values(), ids=SHAPES)
def test_a_shape(key: str) -> None:
    """A key is known by its shape where no variable holds it, between any signs."""
    assert redact(f"'{key}' ({key})\n{key}", {}) == "'[credential]' ([credential])\n[credential]"


def test_a_header() -> None:
    """What follows `Bearer` is left out, the word stays."""
    assert redact(f"Authorization: Bearer {FILLER}{FILLER}==", {}) == "Authorization: Bearer [credential]"


@pytest.mark.parametrize("text", UNTOUCHED)
def test_ordinary_text(text: str) -> None:
    """Ordinary text stays as it is, hashes and session IDs too."""
    assert redact(text, {}) == text


def test_the_environment_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default it is this process's environment as it is now, also for the text of an error."""
    assert redact(VALUE) == VALUE
    monkeypatch.setenv("MY_API_KEY", VALUE)
    assert redact(f"is {VALUE}") == "is [MY_API_KEY]"
    error = APIError(f"bad key {VALUE}", stderr=f"used {VALUE}")
    for text in (str(error), repr(error), "\n".join(error._render_traceback_())):
        assert VALUE not in text
        assert "bad key [MY_API_KEY]" in text
