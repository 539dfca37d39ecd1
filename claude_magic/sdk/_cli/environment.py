"""The environment of a CLI process, whether that of a running process is still right, and whether the CLI is logged in.

A CLI keeps the environment that it was started with (2.1.332). A key, an address, a proxy or a provider that is set later
reaches only a new process.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import claude_agent_sdk

from claude_magic._paths import cli_file, cli_home, object_in
from claude_magic._text import json_object
from claude_magic.errors import CLINotFoundError
from claude_magic.sdk._cli.child import said_by
from claude_magic.sdk._cli.command_line import ALWAYS, find_cli

_DECIDES: Final = re.compile(
    r"""(?:ANTHROPIC|CLAUDE|AWS|AMAZON|AZURE|BEDROCK|CLOUD_ML|GCLOUD|GCP|GOOGLE|VERTEX)_\w+
    |(?:\w+_)?(?:HTTPS?|ALL|NO)_PROXY | NODE_\w+ | SSL_CERT_\w+ | CURL_CA_BUNDLE | REQUESTS_CA_BUNDLE
    |DISABLE_\w+ | ENABLE_\w+ | MAX_\w+ | MCP_\w+ | OTEL_\w+ | API_\w+ | BASH_\w+ | XDG_CONFIG_HOME
    |HOME | PATH | SHELL | USERPROFILE | TMPDIR | TMP | TEMP | IS_SANDBOX""",
    re.VERBOSE | re.IGNORECASE,
)
"""Variables that a CLI reads when it starts, from its documentation. They decide its server, proxy and login, among others."""

_PROVIDERS: Final = {
    "CLAUDE_CODE_USE_BEDROCK": ("Amazon Bedrock", "ANTHROPIC_BEDROCK_BASE_URL"),
    "CLAUDE_CODE_USE_VERTEX": ("Google Vertex AI", "ANTHROPIC_VERTEX_BASE_URL"),
    "CLAUDE_CODE_USE_FOUNDRY": ("Microsoft Foundry", "ANTHROPIC_FOUNDRY_BASE_URL"),
}

_SETTINGS: Final = ("settings.json", ".credentials.json")
_ACCOUNT: Final = ("accountUuid", "organizationUuid")
"""What tells one login of the CLI (2.1.332) from another."""

_NOT_PASSED_ON: Final = frozenset({"CLAUDECODE"})
"""It tells a CLI that another one has started it. A kernel that Claude Code started would pass it on."""

_UNTRUSTED: Final = {"CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1"}
"""Without it the CLI (2.1.332) sends git's status and last commits, and links in a `.git` may lead to another repository."""

_LOGIN_SETTINGS: Final = ("apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "gcpAuthRefresh", "forceLoginOrgUUID")
"""Settings of the person that a login may need, from the CLI's documentation."""

LOGIN_TIMEOUT_S = 20.0

LOG_IN = ("auth", "login")
"""The CLI's arguments for logging in (2.1.332). It shows an address, and may want a code."""


@dataclass(frozen=True, slots=True)
class LoginStatus:
    """What the CLI says about its login, without the account's name. `source` is the variable or method it comes from.

    If there is no CLI, or it gives no answer, `is_known` is False, and so is `logged_in`.
    """

    logged_in: bool = False
    source: str = ""
    provider: str = ""
    is_known: bool = True


async def login_status(cli_path: str | os.PathLike[str] | None = None) -> LoginStatus:
    """Let the CLI tell whether somebody is logged in, or a key is in the environment.

    `claude auth status` (2.1.331) exits with 0 in both cases. It never prompts a person.
    """
    try:
        cli = find_cli(cli_path)
        said, exit_code = await said_by(cli, "auth", "status", env=environment({}, os.getcwd()), limit_s=LOGIN_TIMEOUT_S)
    except (CLINotFoundError, OSError):  # a TimeoutError is an OSError
        return LoginStatus(is_known=False)
    told = json_object(said)
    source = told.get("apiKeySource") or told.get("authMethod") or ""
    return LoginStatus(exit_code == 0, str(source), str(told.get("apiProvider") or ""), bool(told))


def login_marks(logged_in: bool) -> tuple[object, ...]:
    """Return a value that changes when `login_status` may have a new answer: after a change of the key, or after a login.

    A login changes the time of the CLI's own file. Every turn does, too (2.1.332), so the time counts only without a login.
    """
    try:
        file = os.stat(cli_file({}))
    except OSError:
        return (fingerprint({}),)
    return (fingerprint({}),) if logged_in else (fingerprint({}), file.st_mtime_ns)


def environment(extra: Mapping[str, str], directory: str, *, bare: bool = False, trusted: bool = True) -> dict[str, str]:
    """Return the environment of a CLI process in `directory`: ours, with `extra` over it.

    :param bare: whether it loads no settings, so that the variables in them, such as a key, must be added here.
    :param trusted: whether the CLI may send what git says about the directory.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    identity = {"CLAUDE_CODE_ENTRYPOINT": "sdk-py", "CLAUDE_AGENT_SDK_VERSION": claude_agent_sdk.__version__}
    own = _set_by_the_person({**inherited, **extra}) if bare else {}
    inherited = inherited if trusted else _UNTRUSTED | inherited
    return {**inherited, **identity, **extra, **own, **ALWAYS, "PWD": directory}


def login_settings(extra: Mapping[str, str]) -> str:
    """Return, as JSON, the person's settings that a login may need; usually there are none, and the text is empty."""
    known = object_in(cli_home({**os.environ, **extra}) / "settings.json")
    found = {name: known[name] for name in _LOGIN_SETTINGS if name in known}
    return json.dumps(found) if found else ""


def fingerprint(extra: Mapping[str, str]) -> str:
    """Return a text that changes when a process must be restarted: for other variables, settings or accounts."""
    variables = {name: value for name, value in os.environ.items() if decides(name)} | dict(extra)
    home = cli_home(variables)
    digest = hashlib.sha256(repr(sorted(variables.items())).encode("utf-8", "surrogateescape"))
    for name in _SETTINGS:
        digest.update(_state_of(home / name))
    account = object_in(cli_file(variables)).get("oauthAccount")
    if isinstance(account, dict):
        digest.update(repr([account.get(name) for name in _ACCOUNT]).encode())
    return digest.hexdigest()


def decides(name: str) -> bool:
    """Whether a change of this variable needs a new CLI."""
    return _DECIDES.fullmatch(name) is not None


def api_address(variables: Mapping[str, str]) -> str:
    """Return the server that a CLI with these variables contacts, and its proxy: names and ports, no credentials."""
    known = {name.upper(): value for name, value in {**variables, **_set_by_the_person(variables)}.items() if value}
    for switch, (name, where) in _PROVIDERS.items():
        if known.get(switch, "0").lower() not in ("0", "false"):
            address = _host(known[where]) if where in known else name
            break
    else:
        address = _host(known.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com"))
    proxy = known.get("HTTPS_PROXY") or known.get("HTTP_PROXY") or known.get("ALL_PROXY")
    return f"{address} by way of the proxy {_host(proxy)}" if proxy and not _by_itself(address, known) else address


def renews_login(variables: Mapping[str, str]) -> bool:
    """Whether a CLI with these variables uses a login that it can renew after a refusal, and not a key."""
    known = {**variables, **_set_by_the_person(variables)}
    return not (known.get("ANTHROPIC_API_KEY") or known.get("ANTHROPIC_AUTH_TOKEN"))


def _host(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"//{url}")
    return parts.netloc.rpartition("@")[2] or url


def _by_itself(address: str, known: Mapping[str, str]) -> bool:
    host = address.partition(":")[0]
    exceptions = known.get("NO_PROXY", "").replace(",", " ").split()
    return any(name == "*" or host == name or host.endswith(f".{name.lstrip('*.')}") for name in exceptions)


def _set_by_the_person(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the person's settings add to or change in the process."""
    found = object_in(cli_home(variables) / "settings.json").get("env")
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _state_of(path: Path) -> bytes:
    """Return a file's content. For credentials, say only whether they exist, because the CLI renews them by itself."""
    try:
        return b"there" if path.name == ".credentials.json" and path.stat() else path.read_bytes()
    except OSError:
        return b""
