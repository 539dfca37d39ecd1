"""The process environment of everything the tests start: a home of its own, a loopback API, no account.

It owns which variables are dropped and which are set. It starts nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

# Everything that can name an account, select another provider, configure the CLI or Jupyter, or leave the machine.
FOREIGN_PREFIXES = (
    "ANTHROPIC",
    "CLAUDE",
    "AWS_",
    "AZURE_",
    "BEDROCK_",
    "CLOUDSDK_",
    "CLOUD_ML_",
    "GCLOUD_",
    "GCP_",
    "GOOGLE_",
    "VERTEX_",
    "OTEL_",
    "MCP_",
    "DISABLE_",
    "MAX_THINKING_",
    "IPYTHON",
    "JPY_",
    "JUPYTER",
    "XDG_",
)
FOREIGN_SUFFIXES = ("_PROXY", "_API_KEY", "_AUTH_TOKEN")
# PYTHONDONTWRITEBYTECODE makes every fresh kernel compile what it imports: seconds each. pytest-xdist gives its workers COLUMNS
# and LINES, which say another size than that of a terminal in a test.
FOREIGN_NAMES = ("PYTHONDONTWRITEBYTECODE", "PYTHONSTARTUP", "COLUMNS", "LINES")

OWNER = "CLAUDE_MAGIC_RIG_OWNER"
"""Marks each process of a test run with the run's process ID, so that one that lost its parent is found too."""

NOWHERE = "http://127.0.0.1:9"
"""The discard port: what an API URL is where no scripted API was asked for."""


class NotLoopbackError(ValueError):
    """A test was about to talk to something that is not on this machine."""


def require_loopback(url: str) -> str:
    """Return the URL; raise `NotLoopbackError` unless it is plain HTTP to 127.0.0.1."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname != "127.0.0.1" or parts.username:
        raise NotLoopbackError(f"{url!r} is not http://127.0.0.1:PORT")
    return url


def require_isolated(environment: Mapping[str, str]) -> None:
    """Raise unless this environment points the CLI at loopback and away from the person's own home."""
    require_loopback(environment.get("ANTHROPIC_BASE_URL", ""))
    home, config = Path(environment.get("HOME", "/")), Path(environment.get("CLAUDE_CONFIG_DIR", "/"))
    if not config.is_relative_to(home) or home == Path("/") or OWNER not in environment:
        raise ValueError("this environment did not come from isolated_environment()")


def is_foreign(name: str) -> bool:
    upper = name.upper()
    return upper in FOREIGN_NAMES or upper.startswith(FOREIGN_PREFIXES) or upper.endswith(FOREIGN_SUFFIXES)


def own_variables(home: Path, api_url: str) -> dict[str, str]:
    """Return only what the rig sets; for `ClaudeConfig(env=...)`, which adds to the process's own environment."""
    directories = {
        "HOME": home,
        "CLAUDE_CONFIG_DIR": home / ".claude",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local/share",
        "XDG_STATE_HOME": home / ".local/state",
        "XDG_RUNTIME_DIR": home / ".run",
        "IPYTHONDIR": home / ".ipython",
        "JUPYTER_CONFIG_DIR": home / ".jupyter",
        "JUPYTER_DATA_DIR": home / ".local/share/jupyter",
        "JUPYTER_RUNTIME_DIR": home / ".run/jupyter",
        "JUPYTERLAB_SETTINGS_DIR": home / ".jupyter/lab/user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / ".jupyter/lab/workspaces",
    }
    for directory in directories.values():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {name: str(path) for name, path in directories.items()} | {
        "ANTHROPIC_BASE_URL": require_loopback(api_url),
        "ANTHROPIC_API_KEY": "sk-dummy",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        OWNER: str(os.getpid()),
    }


def offline_environment(home: Path) -> dict[str, str]:
    """Return the whole environment for a process of a person without account and network."""
    environment = isolated_environment(home, NOWHERE)
    del environment["ANTHROPIC_API_KEY"]
    return environment


def isolated_environment(home: Path, api_url: str) -> dict[str, str]:
    """Return the whole environment for a process of the tests: inherited minus foreign, plus the rig's own.

    :raises NotLoopbackError: if `api_url` is not on loopback.
    """
    inherited = {name: value for name, value in os.environ.items() if not is_foreign(name)}
    return inherited | own_variables(home, api_url) | activated(os.environ)


def activated(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the PATH on which `python` is the one that runs the tests, as in an environment that somebody has activated."""
    own, path = os.path.dirname(sys.executable), variables.get("PATH", os.defpath)
    return {"PATH": path if path.split(os.pathsep)[0] == own else f"{own}{os.pathsep}{path}"}
