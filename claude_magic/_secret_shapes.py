"""Recognizes credentials: by the shapes of services' keys, and by words around a value that say that it is one.

Owns the table of shapes, the telling names (such as `password`), and the rule for ordinary words. `claude_magic._redaction`
decides where to look for credentials and what replaces them. Every pattern is linear: it reads a run of characters
once, without going back (`++`), or the run is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

Span = tuple[int, int]

# Words that are long enough for a token. An escape such as `\n` may stand before one in a text on one line.
_WORD: Final = re.compile(r"(?:\\[nrt])?([A-Za-z0-9_.~-]{16,}+)")

# From the services' documentations. Each is tried at the start of a word.
_TOKEN: Final = re.compile(
    r"""(?:
    sk-(?:ant|proj|svcacct|admin|or|lf)-[\w-]{16,}+                 # Anthropic, OpenAI, OpenRouter, Langfuse
    | sk-(?:[a-z0-9]{1,10}-){0,2}(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{20,}+
    | [sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,}+ | whsec_[\w+/=-]{24,}+        # Stripe
    | gh[pousr]_[A-Za-z0-9]{20,}+ | github_pat_\w{20,}+
    | gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|oas|ffct)-[\w.-]{20,}+     # GitLab
    | xox[abceoprs](?:\.xox[bp])?-[\w-]{10,}+ | xapp-\d-[\w-]{10,}+           # Slack
    | (?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?!\w)                                # AWS
    | AIza[\w-]{35}(?![\w-]) | ya29\.[\w-]{20,}+ | GOCSPX-[\w-]{24,}+         # Google
    | eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]{8,}+){1,3}                           # JSON Web Token
    | (?:hf|api_org|npm|gsk|r8|nfp|lin_api|ntn|secret|rubygems|figd|glsa|glc|sbp|pscale_(?:tkn|pw|oauth)|dop_v1|doo_v1|dor_v1
        |sntrys|sntryu|tgp_v1|jina|sgp|pnu|KGAT|shp(?:at|ss|ca|pa)|dckr_pat|lsv2_(?:pt|sk)|bkua|vc[pkira]|fo1|aio|re)
      _(?=[A-Za-z_-]{0,60}\d)[\w+/=-]{20,}+
    | (?:pypi-AgE|xai-|pplx-|pul-|PMAK-|NRAK-|tvly-|fc-|CFPAT-|sq0(?:atp|csp)-|tskey-[a-z]+-|HRKU-|AGE-SECRET-KEY-|pcsk_
        |ops_eyJ|dapi|LTAI|EAACEdEose0cBA|key-|SK)(?=[A-Za-z_-]{0,60}\d)[\w.+/=-]{20,}+
    | hv[sbr]\.[\w-]{24,}+ | SG\.[\w-]{16,}+\.[\w-]{16,}+ | dp\.(?:pt|st|ct|sa)\.[\w.]{20,}+ | ATATT3[\w-]{20,}+ | ATBB\w{24,}+
    | [MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}+                                # Discord
    | (?<=\d:)AA[\w-]{33}(?![\w-])                                             # Telegram
    | nvapi-[\w-]{40,}+ | x(?:key|smtp)sib-[0-9a-f]{40,}+(?:-\w++)?            # NVIDIA, Brevo
    | CCIPAT_\w{40,}+ | fm[12]_[\w+/=-]{40,}+                                 # CircleCI, Fly
    | pat[A-Za-z0-9]{14}\.[0-9a-f]{64} | [A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}+ # Airtable, Terraform
    | sk\.eyJ[\w-]{12,}+\.[\w-]{16,}+ | sl\.(?:u\.)?[\w-]{100,}+              # Mapbox, Dropbox
    | EAAA[\w-]{60}(?![\w-]) | fw_(?=[A-Za-z]{0,22}\d)[A-Za-z0-9]{22,}+      # Square, Fireworks
    | [0-9a-f]{32}-us\d{1,2}(?!\w)                                             # Mailchimp
    | [\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~-])                                   # Microsoft Entra
    )""",
    re.VERBOSE | re.ASCII,
)
_AWS_ID: Final = re.compile(r"(?:AKIA|ASIA)[0-9A-Z]{16}")
_AWS_SECRET: Final = re.compile(
    r"(?<![\w/+=])(?=[A-Za-z0-9/+]{0,38}\d)(?=[A-Za-z0-9/+]{0,38}[A-Z])[A-Za-z0-9/+]{40}(?![\w/+=])"
)

_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_END_OF_KEY: Final = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINES: Final = re.compile(r"(?:[\w+/=:,. \t\r\n-]|\\[nr])*+")

_HOOK: Final = re.compile(
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{1,20}/)([\w/-]{20,}+)"
)
_USER_INFO: Final = re.compile(r"""://(?P<user>[^\s/?#@:"'<>`]{0,200}+)(?::(?P<password>[^\s/?#"'<>`]{1,200}))?@""")
_SCHEMES: Final = ("bearer", "basic", "token", "apikey", "key", "ssws")
_SCHEME: Final = re.compile(rf"\b(?:{'|'.join(_SCHEMES)})[ ]([\w.~+/-]{{16,}}+=*)", re.IGNORECASE)
_CURL_USER: Final = re.compile(r"""\s(?:-u|--user)[ =]["']?[^\s:"']{1,100}+:([^\s"']{4,200}+)""")
_LOGINS: Final = ("login", "mysql", "mariadb", "sshpass")
_LOGIN: Final = re.compile(
    r"\blogin\s{1,9}\S{1,100}+\s{1,9}password\s{1,9}(\S{4,200}+)|\b(?:mysql|mariadb|sshpass)\b[^\n]{0,80}?\s-p[ ]?(\S{4,200}+)"
)
_COOKIES: Final = re.compile(
    r"""\b(?:set-)?cookies?["']?\s{0,3}[:=\s]\s{0,3}["']?(?=[\w.-]{1,100}=)([^"'\n\\]{8,}+)""", re.IGNORECASE
)
_COOKIE: Final = re.compile(r"([\w.-]{1,100}+)=([^\s;,]{6,}+)")

_NAME: Final = re.compile(
    r"""(?<![\w$.-])(?P<name>-{0,2}[A-Za-z_][\w.-]*+)(?P<after>\\?["']|[`*]{1,3})?\]?(?:[ ]?:[ ]?str(?=[ ]?=))?"""
    r"""(?P<sep>[ \t]{0,4}(?:=>|:=|={1,3}|:)(?:\*{2}|\r?\n(?=[ \t]{0,40}["']))?[ \t]{0,40}|>"""
    r"""|,[ ]?(?=["'])|[ \t]{0,40}\|[ \t]{0,9}|[ ]is[ ])|(?<![\w-])(?P<option>--[A-Za-z][\w-]*+) """
)
_VALUE: Final = re.compile(
    r"""(?:(?:[bru]{1,2}|\*\*)(?=\\?["']))?+(?:`(?P<code>[^`\n]{4,512}+)`|\\["'](?P<escaped>[^"'\\\n]{4,512}+)"""
    r"""|"(?P<double>(?:[^"\\\n]|\\.){4,512}+)|'(?P<single>(?:[^'\\\n]|\\.){4,512}+)"""
    r"""|(?P<bare>(?:[^\s"'`,;&<>()\[\]{}|\\]|&(?![\w.-]{1,64}=)){4,512}+))"""
)
_REST: Final = re.compile(r"""(?:[^\s"'`,;&<>()\[\]{}|\\]|&(?![\w.-]{1,64}=))*+""")
_LOOSE: Final = (",", "|", "is")
"""Separators that also occur between unrelated words. After these, only a value that looks random is a credential."""
_CALLED: Final = ("(", "[", "{")
_LONG: Final = 100

_TABLE: Final = re.compile(r"^\|(?P<head>.+)\|[ \t]*\n\|[ \t:|-]+\|[ \t]*\n(?P<rows>(?:\|.*\|[ \t]*(?:\n|\Z))+)", re.MULTILINE)
"""A Markdown table, as data frames are written."""

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS: Final = re.compile(r"[.-]+")
_PASSWORD: Final = re.compile(r"(?:^|_)(?:(?:PG)?PASS(?:WORD|WD|PHRASE)?|PWD|PW)(?:_?\d*$|_)", re.IGNORECASE)
_KEY_OF: Final = r"(?:API|ACCESS|PRIVATE|SECRET|ACCOUNT|ENCRYPTION|SIGNING|MASTER|SHARED|CONSUMER|APP|AUTH|DEPLOY|STORAGE)"
_TELLING: Final = re.compile(
    rf"(?:^|_)(?:{_KEY_OF}_?KEY|TOKEN|SECRET|CREDENTIAL|SIGNATURE)S?(?:_?\d*$|_)|(?:_PAT|_AUTH|^SIG|CLIENT_KEY_DATA)\d*$",
    re.IGNORECASE,
)
_MAY_TELL: Final = re.compile("pass|pw|token|secret|credential|key|sig|pat|auth")
"""What `_PASSWORD` and `_TELLING` find contains one of these. Most names and many texts do not: this is a faster search."""

_TELLING_VARIABLE: Final = re.compile(
    r"(?:^|_)(?:[A-Z]*APIKEY|KEY|AUTH|COOKIE)S?(?:_|\d*$)|_(?:DSN|CONN(?:ECTION)?_?STR(?:ING)?)$", re.IGNORECASE
)
_HOLDS_URL: Final = re.compile(r"(?:^|_)(?:URL|URI|DSN|CONN(?:ECTION)?_?STR(?:ING)?)\d*$", re.IGNORECASE)
_TELLS_OF_ANOTHER: Final = re.compile(
    r"_(?:FILE|PATH|DIR|NAME|ID|USER(?:NAME)?|TYPE|SOCK|HOST|PORT|LEN(?:GTH)?|SIZE|COUNT|LIMIT|TTL|EXPIR\w{1,20}|ENABLED|METHOD"
    r"|MODE|REGION|ALGORITHM|FIELD|COLUMN|POLICY|PREFIX|REQUIRED|HINT|URL|URI|HELP|LABEL|PLACEHOLDER)S?$|^OLDPWD$",
    re.IGNORECASE,
)
_ORDINARY: Final = re.compile(r"(?:[A-Z]?[a-z]{1,15}|[A-Z]{1,15})(?:_(?:[A-Z]?[a-z]{1,15}|[A-Z]{1,15})){0,3}")
_PART: Final = re.compile(r"(?:[A-Z]?[a-z]{1,15}|[A-Z]{1,15}|(?:[A-Z][a-z]{2,15}){1,4})?\d{0,4}")
_BREAKS: Final = re.compile(r"[\W_]+")
_PATH: Final = re.compile(
    r"(?:~|\.{1,2}|[A-Za-z]:|/(?:home|Users|etc|tmp|run|var|usr|opt|root|mnt|data|private|srv|app|dev|work))[/\\]"
)
_STANDS_FOR_ONE: Final = re.compile(
    r"[$<{(\[]|%[\w(]|\*{3}|x{3}|(?:your|my|some|an?|the|example|dummy|fake|placeholder|change|insert|replace)(?:[_ -]|$)"
    r"|(?:process|os)\.|.*(?:\{[^{}\s]{0,80}\}|\$\(|\.\.\.)",
    re.IGNORECASE,
)
_NO_PASSWORDS: Final = frozenset(
    {"password", "passwd", "pass", "pwd", "secret", "token", "user", "username", "root", "admin", "postgres", "mysql"}
    | {"guest", "test", "testing", "example", "default", "required", "optional", "string", "null", "none", "true", "false"}
    | {"undefined", "value", "hidden", "native", "basic", "bearer", "changeme", "hunter", "correct", "wrong", "empty"}
)


def tells(name: str) -> bool:
    """Whether a name in a text or a program says that its value is a credential."""
    if not _MAY_TELL.search(name.casefold()):
        return False
    plain = _snake(name)
    return not _TELLS_OF_ANOTHER.search(plain) and bool(_PASSWORD.search(plain) or _TELLING.search(plain))


def variable_tells(name: str, value: str) -> bool:
    """Whether an environment variable holds a credential: by its name; for addresses, by a password in the value."""
    if _HOLDS_URL.search(name):
        return any(True for _ in _in_urls(value)) or any(True for _ in _assigned(value, sure=False))
    if name == "PWD" or _TELLS_OF_ANOTHER.search(name) or (_PATH.match(value) and len(_BREAKS.findall(value)) > 1):
        return False
    return tells(name) or bool(_TELLING_VARIABLE.search(name))


def is_ordinary(value: str) -> bool:
    """Whether a value is a word, or a name of a few words, as in ordinary text and code."""
    return _ORDINARY.fullmatch(value) is not None


def is_plain(value: str) -> bool:
    """Whether a value consists only of words and short numbers, so that nothing in it looks random."""
    return all(_PART.fullmatch(part) for part in _BREAKS.split(value))


def secrets_in(text: str, *, runs: bool = False) -> Iterator[Span]:
    """Yield where the credentials of a text are, in any order; they may overlap.

    :param runs: whether it is code that will run again: there, a value after a telling name must look random.
    """
    for word in _WORD.finditer(text):
        if token := _TOKEN.match(text, word.start(1)):
            yield token.start(), len(text[: token.end()].rstrip(".")) if text[token.end() - 1] == "." else token.end()
    yield from _private_keys(text)
    yield from _in_urls(text)
    folded = text.casefold()
    yield from _said_to_be(text, folded)
    if _MAY_TELL.search(folded):
        yield from _assigned(text, sure=runs)
        yield from _in_tables(text)


def _in_tables(text: str) -> Iterator[Span]:
    """Yield the values in table columns whose heads are telling names."""
    for table in _TABLE.finditer(text):
        heads = [head.strip(" \t`*") for head in table["head"].split("|")]
        telling = {column for column, head in enumerate(heads) if tells(head)}
        start = table.start("rows")
        for row in table["rows"].splitlines(keepends=True) if telling else ():
            place = start + 1
            for column, cell in enumerate(row[1:].split("|")):
                value = cell.strip()
                if column in telling and is_secret(heads[column], value):
                    begin = place + cell.index(value)
                    yield begin, begin + len(value)
                place += len(cell) + 1
            start += len(row)


def _private_keys(text: str) -> Iterator[Span]:
    place = 0
    while begin := _PRIVATE_KEY.search(text, place):
        end = _END_OF_KEY.search(text, begin.end()) or _KEY_LINES.match(text, begin.end())
        assert end is not None  # `_KEY_LINES` also matches the empty text
        place = end.end()
        yield begin.start(), place


def _in_urls(text: str) -> Iterator[Span]:
    if "://" not in text:
        return
    for found in _USER_INFO.finditer(text):
        password, user = found["password"], found["user"]
        if password is None:
            if len(user) >= 16 and not is_plain(user):
                yield found.span("user")
        elif password.lower() not in _NO_PASSWORDS and not _STANDS_FOR_ONE.match(password):
            yield found.span("password")
    for found in _HOOK.finditer(text):
        yield found.span(1)


def _said_to_be(text: str, folded: str) -> Iterator[Span]:
    # A pattern with a choice of words takes much longer than a look for each of them, and most texts have none.
    for found in _SCHEME.finditer(text) if any(word in folded for word in _SCHEMES) else ():
        if not is_plain(found[1]):
            yield found.span(1)
    logins = _LOGIN.finditer(text) if any(word in folded for word in _LOGINS) else ()
    for found in chain(_CURL_USER.finditer(text), logins):
        if not _STANDS_FOR_ONE.match(found[found.lastindex or 0].strip("\"'")):
            yield found.span(found.lastindex or 0)
    for cookies in _COOKIES.finditer(text) if "cookie" in folded else ():
        for cookie in _COOKIE.finditer(text, *cookies.span(1)):
            if not is_plain(cookie[2]):
                yield cookie.span(2)
    if _AWS_ID.search(text):
        for found in _AWS_SECRET.finditer(text):
            yield found.span()


def _assigned(text: str, *, sure: bool) -> Iterator[Span]:
    """Yield the values after a telling name: `NAME=value`, `"name": "value"`, `--name value`, `<name>value`."""
    place = 0
    while found := _NAME.search(text, place):
        place = found.end()
        name, sep = found["name"] or found["option"], found["sep"] or " "
        if not tells(name):
            continue
        if (value := _VALUE.match(text, place)) is None:
            continue
        start, end = value.span(value.lastgroup or 0)
        if _is_secret(name, sep, value, sure or sep.strip() in _LOOSE):
            rest = _REST.match(text, end) if value.lastgroup == "bare" else None
            place = rest.end() if rest else end
            yield start, place
        elif end - start > _LONG:
            place = end  # a value this long is not searched for names


def is_secret(name: str, value: str, *, sure: bool = False) -> bool:
    """Whether a value with this name is a credential; with `sure`, only a value that looks random is."""
    return tells(name) and (_is_drawn(value) or (not sure and _is_password(name, value)))


def _is_secret(name: str, sep: str, found: re.Match[str], sure: bool) -> bool:
    value = found[found.lastgroup or 0]
    is_bare = found.lastgroup == "bare"
    if is_bare and found.string.startswith(_CALLED, found.end()):
        return False
    if _is_drawn(value):
        return True
    if sure:
        return False
    # Except after `NAME=`, a bare word may be a variable of a program, or a word of a sentence.
    is_variable = name.isupper() and sep == "="
    return _is_password(name, value, word=is_variable) and (is_variable or not is_bare or sep != " = ")


def _stands_for_one(value: str) -> bool:
    return bool(_STANDS_FOR_ONE.match(value) or _PATH.match(value)) or "://" in value or value.lower() in _NO_PASSWORDS


def _is_drawn(value: str) -> bool:
    return len(value) >= 6 and not (_stands_for_one(value) or value.replace(".", "").isdecimal() or is_plain(value))


def _is_password(name: str, value: str, *, word: bool = False) -> bool:
    """Whether a value of words and numbers is a password. Without `word` it must have a digit."""
    if len(value) < 6 or " " in value or _stands_for_one(value):
        return False
    is_candidate = word or any(character.isdigit() for character in value)
    return is_candidate and _PASSWORD.search(_snake(name)) is not None


def _snake(name: str) -> str:
    return _SEPARATORS.sub("_", _CAMEL.sub("_", name.lstrip("-")))
