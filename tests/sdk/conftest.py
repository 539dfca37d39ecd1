"""Fixtures for the tests of the client: a working directory of the test's own, and configs that ask the scripted API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from watching import MakeConfig

from claude_magic.sdk import ClaudeConfig


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test, empty."""
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def make_config(sdk_env: dict[str, str]) -> MakeConfig:
    """Make a config whose CLI asks the scripted API: `make_config(max_retries=2, env={"NAME": "more"})`."""

    def make(*, env: dict[str, str] | None = None, **choices: Any) -> ClaudeConfig:
        return ClaudeConfig(env=sdk_env | (env or {}), **choices)

    return make
