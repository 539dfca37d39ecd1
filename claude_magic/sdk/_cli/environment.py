"""The environment of a CLI process, and whether one that was started earlier still has the right one.

A CLI keeps the environment that it was started with (2.1.332). A key, an address, a proxy or a provider that is set later
reaches a new process only.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import claude_agent_sdk

_DECIDES: Final = re.compile(
    r"""(?:ANTHROPIC|CLAUDE|AWS|AMAZON|AZURE|BEDROCK|CLOUD_ML|GCLOUD|GCP|GOOGLE|VERTEX)_\w+
    |(?:\w+_)?(?:HTTPS?|ALL|NO)_PROXY | NODE_\w+ | SSL_CERT_\w+ | CURL_CA_BUNDLE | REQUESTS_CA_BUNDLE
    |DISABLE_\w+ | ENABLE_\w+ | MAX_\w+ | MCP_\w+ | OTEL_\w+ | HOME | PATH | USERPROFILE | XDG_CONFIG_HOME""",
    re.VERBOSE | re.IGNORECASE,
)
"""Variables that decide to whom the CLI speaks, by what way and with which login, as its documentation names them."""

_SETTINGS: Final = ("settings.json", ".credentials.json")
_NOT_PASSED_ON: Final = frozenset({"CLAUDECODE"})
"""It tells a CLI that another one has started it, which a kernel started by Claude Code would pass on."""


def environment(extra: Mapping[str, str], directory: str) -> dict[str, str]:
    """Return the environment of a CLI process: ours, with `extra` over it, in `directory`."""
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    identity = {"CLAUDE_CODE_ENTRYPOINT": "sdk-py", "CLAUDE_AGENT_SDK_VERSION": claude_agent_sdk.__version__}
    return {**inherited, **identity, **extra, "PWD": directory}


def fingerprint(extra: Mapping[str, str]) -> str:
    """Return a text that changes when a process should be started anew: other variables, another login, other settings."""
    variables = {name: value for name, value in os.environ.items() if _DECIDES.fullmatch(name)} | dict(extra)
    home = cli_home(variables)
    digest = hashlib.sha256(repr(sorted(variables.items())).encode("utf-8", "surrogateescape"))
    for name in _SETTINGS:
        digest.update(_state_of(home / name))
    return digest.hexdigest()


def cli_home(variables: Mapping[str, str]) -> Path:
    """Return the directory in which a CLI with these variables keeps its settings and its sessions."""
    configured = variables.get("CLAUDE_CONFIG_DIR") or os.environ.get("CLAUDE_CONFIG_DIR")
    return Path(configured) if configured else Path(variables.get("HOME") or Path.home()) / ".claude"


def _state_of(path: Path) -> bytes:
    """Say what a file holds; of credentials only whether there are any, as the CLI itself renews them."""
    try:
        return b"there" if path.name == ".credentials.json" and path.stat() else path.read_bytes()
    except OSError:
        return b""
