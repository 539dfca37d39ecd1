"""Whether the settings of a directory may be loaded.

`.claude/settings*.json` and `.mcp.json` can run hooks, start servers and allow tools. They are loaded when the person has said
yes to exactly these files, in our own file below the user's configuration directory, or when the CLI has a yes for the
directory. `CLAUDE.md` is only text: it is loaded in any case, by a way of its own when the rest is not, but for one that leads
to a file elsewhere: it is asked for like the settings.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import platformdirs

from claude_magic.sdk._folder.memories import cli_home, memories_outside, upwards
from claude_magic.sdk.host import typeable

_SETTINGS = (".claude/settings.json", ".claude/settings.local.json", ".mcp.json")


class Trust:
    """What the person has said of directories.

    :param store: our own file; by default below the user's configuration directory.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store or platformdirs.user_config_path("claude_magic") / "trust.json"

    def covers(self, directory: str) -> bool:
        """Whether the directory's settings may be loaded; a directory without any is covered."""
        files = _asked_for(directory)
        if not files or _cli_trusts(directory):
            return True
        return _read(self._store).get(_key(directory)) == _digest(files)

    def changed(self, directory: str, seen: dict[str, str]) -> bool:
        """Whether the directory's settings differ from those seen before, which `seen` remembers."""
        digest = _digest(_asked_for(directory))
        return seen.get(directory) != digest and not seen.update({directory: digest})

    def add(self, directory: str) -> list[Path]:
        """Trust the settings of the directory as they are now, and return their files."""
        files = _asked_for(directory)
        known = _read(self._store)
        known[_key(directory)] = _digest(files)
        self._store.parent.mkdir(parents=True, exist_ok=True)
        self._store.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return files


def allow_rules(directory: str) -> tuple[str, ...]:
    """Return the allow rules of a directory's settings.

    The CLI ignores them in a directory that it was never told to trust by its own dialog, whatever has been said to us.
    """
    found = (_read(path).get("permissions") for path in settings_files(directory) if path.name != ".mcp.json")
    rules = (rule for permissions in found if isinstance(permissions, dict) for rule in permissions.get("allow") or ())
    return typeable(rule for rule in rules if isinstance(rule, str))


def settings_files(directory: str) -> list[Path]:
    """Return the settings files that the CLI would load for a directory, but for the user's own."""
    own = cli_home()
    candidates = (parent / name for parent in upwards(directory) for name in _SETTINGS)
    return [path for path in candidates if path.is_file() and path.parent != own]


def _asked_for(directory: str) -> list[Path]:
    return [*settings_files(directory), *memories_outside(directory)]


def _cli_trusts(directory: str) -> bool:
    """Read the CLI's own answer, which is never written here; it is about a directory and all below."""
    configured = os.environ.get("CLAUDE_CONFIG_DIR")
    projects = _read(Path(configured or Path.home()) / ".claude.json").get("projects")
    if not isinstance(projects, dict):
        return False
    answers = (projects.get(str(parent)) for parent in upwards(directory))
    return any(isinstance(answer, dict) and answer.get("hasTrustDialogAccepted") is True for answer in answers)


def _key(directory: str) -> str:
    return os.path.realpath(directory)


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256")
        digest.update(f"{path}\0{content.hexdigest()}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
