"""The choices for a client and for one turn: how they are checked, and which of them holds."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import pytest

from claude_magic.errors import ConfigError
from claude_magic.sdk import ClaudeConfig
from claude_magic.sdk._cli.command_line import ALWAYS, Launch, flags
from claude_magic.sdk.config import CLI_FLAGS, TurnOptions

EVERYTHING = TurnOptions(
    model="opus",
    effort="low",
    system="be brief",
    max_turns=3,
    max_budget_usd=0.5,
    schema='{"type": "object"}',
    allowed_tools=("Read",),
    permission_mode="plan",
    mcp=("/a.json", "/b.json"),
    bare=True,
)


def test_every_choice_is_a_flag() -> None:
    """Each field of a turn's options becomes the CLI's flag that stands beside it."""
    assert CLI_FLAGS.keys() == {choice.name for choice in dataclasses.fields(TurnOptions)}
    words = flags(Launch(directory="/", options=EVERYTHING), typed=True)
    said = {(flag, word) for flag, word in pairwise(words)}
    for name, flag in CLI_FLAGS.items():
        if not flag.setting:
            assert said >= {(flag.name, text) for text in flag.texts(getattr(EVERYTHING, name))}
    plain = flags(Launch(directory="/", options=TurnOptions()))
    assert {flag.name for flag in CLI_FLAGS.values()} & set(plain) <= {"--settings"}


def test_settings_are_said_together() -> None:
    """What is no flag but a setting of the CLI's goes into one `--settings`, since of two it takes the last."""
    launch = Launch(directory="/", options=TurnOptions(style="Learning"), login='{"apiKeyHelper": "key"}')
    words = flags(launch)
    assert words.count("--settings") == 1
    assert json.loads(words[words.index("--settings") + 1]) == {
        "apiKeyHelper": "key",
        "outputStyle": "Learning",
        "env": ALWAYS,
    }


@pytest.mark.parametrize(
    ("choice", "complaint"),
    [
        ({"effort": "much"}, "effort 'much' is not one of low, medium, high, xhigh, max."),
        ({"permission_mode": ""}, "permission_mode '' is not one of default, "),
        ({"max_turns": 0}, "max_turns is 0; it must be at least 1."),
        ({"max_budget_usd": float("nan")}, "max_budget_usd is nan; it must be more than 0."),
        ({"schema": "[]"}, "schema is not a JSON object as text."),
        ({"mcp": "servers.json"}, "mcp 'servers.json' is not a list of paths."),
        ({"mcp": ("",)}, "mcp ('',) is not a list of paths."),
        ({"style": " "}, "style ' ' is not a name."),
        ({"style": "Learning", "bare": True}, "style and bare exclude each other."),
    ],
    ids=str,
)
def test_what_cannot_be_meant(choice: dict[str, object], complaint: str) -> None:
    """A choice that makes no sense is an error that names it."""
    with pytest.raises(ConfigError) as caught:
        TurnOptions(**choice)  # type: ignore[arg-type]
    assert str(caught.value).startswith(complaint)


def test_the_client_s_choices_fill_in() -> None:
    """A turn's own choice comes first; the client's holds where the turn has none."""
    config = ClaudeConfig(model="sonnet", effort="high", max_turns=9, allowed_tools=["Grep"])
    assert config.options(TurnOptions(effort="low", system="be brief")) == TurnOptions(
        model="sonnet", effort="low", system="be brief", max_turns=9, allowed_tools=("Grep",)
    )
    assert config.options(TurnOptions(allowed_tools=())).allowed_tools == ()
    assert config.options(TurnOptions(model="")).model == "sonnet"
    assert ClaudeConfig().options(TurnOptions(model="")).model is None
    assert ClaudeConfig(style="Learning").options(TurnOptions(bare=True)).style is None
    assert ClaudeConfig(mcp=[Path("a.json")]).options().mcp == (Path("a.json"),)
    assert TurnOptions(permission_mode="manual") == TurnOptions(permission_mode="default")


def test_safe_mode_has_no_servers() -> None:
    """`safe_mode` is read-only tools and nothing else: servers are refused, whoever names them."""
    with pytest.raises(ConfigError, match="nothing else"):
        ClaudeConfig(safe_mode=True, mcp=["a.json"])
    with pytest.raises(ConfigError, match="nothing else"):
        ClaudeConfig(safe_mode=True).options(TurnOptions(mcp=("a.json",)))


def test_nothing_is_made_anew() -> None:
    """Where nothing is missing the turn's options are handed on as they are."""
    assert ClaudeConfig(model="sonnet", max_turns=9).options(EVERYTHING) is EVERYTHING
    few = TurnOptions(model="opus")
    assert ClaudeConfig().options(few) is few
