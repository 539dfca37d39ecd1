"""The table of options: what is made from it, and that nothing beside it has to be kept in step by hand."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import get_type_hints

import pytest
from IPython.core.error import UsageError
from traitlets import Bool, CaselessStrEnum, Float, Int, List, TraitError, TraitType, Unicode

from claude_magic._kernel.ask import PARAMETERS, AskOptions, ask
from claude_magic._kernel.completion import KernelNames
from claude_magic._kernel.options.cell_options import OPTIONS, Options, option_names, usage
from claude_magic._kernel.options.option import Option
from claude_magic._kernel.options.parsing import parse_cell, parse_line
from claude_magic._kernel.options.settings import TURN_TRAITS, Settings, time_limit_s, turn_options
from claude_magic._kernel.tools.kernel_tools import TOOLS
from claude_magic.sdk.config import TurnOptions

EFFORTS = ("low", "medium", "high", "xhigh", "max")
MODES = ("default", "manual", "acceptEdits", "auto", "plan", "dontAsk", "bypassPermissions")
NOTEBOOK = ("none", "outline", "full")
CASSETTE_MODES = ("record", "replay", "auto", "off", "without-login")

# Name: kind, default, whether None is one of the values, words or least value, help.
TRAITS: dict[str, tuple[type[TraitType], object, bool, object, str]] = {
    "model": (Unicode, None, True, None, "Model of a turn; None: the CLI's own default."),
    "effort": (CaselessStrEnum, None, True, EFFORTS, "How much Claude thinks in a turn."),
    "system": (Unicode, None, True, None, "Text added to Claude Code's system prompt."),
    "style": (Unicode, None, True, None, "Output style of the CLI; None: its own default."),
    "mcp": (List, [], False, None, "Files that name MCP servers, as the CLI takes them."),
    "bare": (
        Bool,
        False,
        False,
        None,
        "Send only prompt and system text, without Claude Code's own prompt, tools and settings.",
    ),
    "timeout": (Float, None, True, None, "Seconds that a turn may take; None: as long as it needs."),
    "budget": (Float, None, True, None, "US dollars that a turn, or a run over rows, may cost."),
    "max_turns": (Int, None, True, None, "Rounds with tools that a turn may take."),
    "mode": (CaselessStrEnum, None, True, MODES, "Permission mode of the CLI; None: its own default."),
    "allow": (List, [], False, None, "Rules for tools that run without a question, such as 'Bash(git status:*)'."),
    "notebook": (
        CaselessStrEnum,
        "outline",
        False,
        NOTEBOOK,
        "What Claude is told of the cells that ran since the last turn.",
    ),
    "tools": (List, [], False, None, "Functions that Claude may call in every cell, or their names."),
    "cli_path": (Unicode, None, True, None, "The CLI to run; None: the one in claude-agent-sdk."),
    "max_warm": (Int, 2, False, 1, "CLI processes that stay alive between cells."),
    "idle_timeout": (Float, 600.0, False, 1.0, "Seconds until an idle CLI process ends and the last cell loses its buttons."),
    "rerun": (
        CaselessStrEnum,
        "continue",
        False,
        ("continue", "redo"),
        "What a cell does when it is run again: continue the session, or replace its turn.",
    ),
    "value_limit": (Int, 10_000, False, 100, "Characters of one value in a prompt; a longer one is cut."),
    "cassette": (Unicode, None, True, None, "File that turns are recorded to and played from."),
    "cassette_mode": (
        CaselessStrEnum,
        "auto",
        False,
        CASSETTE_MODES,
        "record; replay; auto: replay what is recorded, go live for the rest; off; without-login: replay if logged out.",
    ),
    "cassette_speed": (Float, 1.0, False, 0.0, "How many times faster than recorded; 0: at once."),
    "background": (Bool, True, False, None, "Let Claude leave commands and helpers running between cells."),
    "presentation": (Bool, False, False, None, "Show replies for an audience: larger, and without their cost."),
    "nest_asyncio": (
        Bool,
        True,
        False,
        None,
        "Let asyncio.run(...) work in cells: nest_asyncio2 is applied when a cell first calls it.",
    ),
}

options = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


def test_traits() -> None:
    """What `%config ClaudeMagics` takes is a contract: names, kinds, defaults, values and help."""
    traits = Settings.class_traits(config=True)
    assert traits.keys() == TRAITS.keys()
    for name, (kind, default, allow_none, limits, help_text) in TRAITS.items():
        trait = traits[name]
        assert type(trait) is kind
        assert getattr(Settings(), name) == default
        assert trait.allow_none is allow_none
        assert trait.help == help_text
        if isinstance(limits, tuple):
            assert tuple(trait.values) == limits
        elif limits is not None:
            assert trait.min == limits


@pytest.mark.parametrize("name", ["timeout", "budget", "max_turns"])
def test_limits(name: str) -> None:
    """A limit is more than 0, or None."""
    settings = Settings()
    for value in (0, -1, *(() if name == "max_turns" else (float("inf"), float("nan")))):
        with pytest.raises(TraitError, match=f"ClaudeMagics.{name} cannot be {value}"):
            setattr(settings, name, value)
    for value in (3, None):
        setattr(settings, name, value)
        assert getattr(settings, name) == value


@options
def test_an_entry_is_enough(option: Option) -> None:
    """Each option has its field, its line of help with an example that parses, and is offered by Tab."""
    assert option.name in {choice.name for choice in fields(Options)}
    assert f"    {option.usage} " in usage()
    assert set(option.names) <= set(option_names())
    chosen = parse_cell(option.example)
    assert getattr(chosen, option.name) != getattr(Options(), option.name)
    assert [choice.name for choice in fields(Options) if getattr(chosen, choice.name) != choice.default] == [option.name]
    if not option.several:
        assert parse_line(f"{option.example} hello?") == (chosen, "hello?")


@options
def test_what_an_option_sets(option: Option) -> None:
    """An option that decides something of a turn has a trait for it, and both lead to the same choice."""
    if option.sets is None:
        return
    assert option.name in TURN_TRAITS
    chosen = parse_cell(option.example)
    value = getattr(chosen, option.name)
    settings = Settings(**{option.name: list(value) if option.several else value})
    assert getattr(turn_options(chosen, Settings()), option.sets) == value
    assert turn_options(chosen, Settings()) == turn_options(Options(), settings)


def test_a_cell_s_choice_comes_first() -> None:
    """The cell's choices come before the settings; rules add up."""
    settings = Settings(model="opus", effort="low", system="Be brief.", budget=1, allow=["Read"], timeout=9)
    cell = parse_cell("--model haiku --budget 2 --allow Grep")
    assert turn_options(cell, settings, schema="{}") == TurnOptions(
        model="haiku",
        effort="low",
        system="Be brief.",
        max_budget_usd=2,
        allowed_tools=("Read", "Grep"),
        schema="{}",
    )
    assert turn_options(Options(), Settings()) == TurnOptions()
    assert time_limit_s(cell, settings) == 9
    assert time_limit_s(parse_cell("--timeout 3"), settings) == 3
    assert time_limit_s(cell, Settings()) is None


def test_a_bare_turn_has_what_its_own_cell_names() -> None:
    """What is configured for Claude Code, servers, style and rules, is not for a bare turn; its own servers and rules are."""
    settings = Settings(style="Learning", mcp=["all.json"], allow=["Read"], bare=True)
    assert turn_options(Options(), settings) == TurnOptions(bare=True)
    assert turn_options(parse_cell("--mcp own.json"), settings) == TurnOptions(bare=True, mcp=("own.json",))
    with pytest.raises(UsageError, match="--bare and --style exclude each other"):
        parse_cell("--bare --style Learning")


@pytest.mark.parametrize("call", [ask, ask.stream], ids=["ask", "ask.stream"])
def test_signature_of_ask(call: object) -> None:
    """`ask()` shows a parameter with type and default for each option that it takes, the one that a type checker sees."""
    prompt, *shown = inspect.signature(call).parameters.values()  # type: ignore[arg-type]
    assert (prompt.name, prompt.annotation) == ("prompt", str)
    types, of_cell = get_type_hints(AskOptions), get_type_hints(Options)
    assert types.keys() == PARAMETERS.keys()
    assert [parameter.name for parameter in shown] == [option.parameter for option in OPTIONS if option.in_ask]
    for parameter in shown:
        option = PARAMETERS[parameter.name]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.annotation == types[parameter.name]
        assert parameter.default == option.default
        if not option.several and option.name != "schema":
            assert types[parameter.name] == of_cell[option.name]


class _Known(KernelNames):
    """A kernel with some names."""

    def __init__(self) -> None:
        self._namespace = {"City": Options, "df": [1], "load": usage}

    def sessions(self) -> list[str]:
        return ["681fea2c"]

    def turn_numbers(self) -> list[str]:
        return ["1", "2"]

    def models(self) -> list[str]:
        return ["opus", "fable"]

    def styles(self) -> list[str]:
        return ["Learning"]


def test_what_tab_offers() -> None:
    """Where the values of an option are known, Tab offers them."""
    offered = {option.name: list(_Known().offered(option.offers)) for option in OPTIONS if option.offers is not None}
    assert offered == {
        "resume": ["681fea2c"],
        "at": ["1", "2"],
        "model": ["opus", "fable"],
        "effort": list(EFFORTS),
        "style": ["Learning"],
        "input": ["City", "df", "load"],
        "file": [],
        "output": ["City", "df", "load"],
        "schema": ["City"],
        "each": ["City", "df", "load"],
        "checkpoint": [],
        "compare": ["opus,sonnet", "opus,haiku", "sonnet,opus", "sonnet,haiku", "haiku,opus", "haiku,sonnet"],
        "mode": list(MODES),
        "notebook": list(NOTEBOOK),
        "tool": ["load"],
        "mcp": [],
        "vary": [],
        "score": ["City", "df", "load"],
    }


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("--vary tone=formal,plain", [("tone", ("formal", "plain"))]),
        ("--vary tone=formal,plain size=1,2", [("tone", ("formal", "plain")), ("size", ("1", "2"))]),
        ("--vary tone=formal,plain --vary size=1,2", [("tone", ("formal", "plain")), ("size", ("1", "2"))]),
        ("""--vary tone="very, very formal",'plain, please'""", [("tone", ("very, very formal", "plain, please"))]),
        ("""--vary='tone="a, b",don't'""", None),
        ("""--vary "tone='a, b',don't care" """, [("tone", ("a, b", "don't care"))]),
        ("""--vary hint="",Think.""", [("hint", ("", "Think."))]),
        ("--vary tone=a=b,c", [("tone", ("a=b", "c"))]),
        *(
            (f"--vary {wrong}", None)
            for wrong in ("tone", "tone=", "tone=one", "tone=a,a", "tone=a,,b", "tone=a,", "1=a,b", "=a,b")
        ),
        ("--vary tone=a,b tone=c,d", None),
    ],
)
def test_variants(typed: str, values: list[tuple[str, tuple[str, ...]]] | None) -> None:
    """A name has two different values or more; one with a comma stands in quotes."""
    if values is None:
        with pytest.raises(UsageError):
            parse_cell(typed)
    else:
        assert list(parse_cell(typed).vary) == values


@pytest.mark.parametrize(
    ("rule", "meant"),
    [
        *((tool.name, f"mcp__kernel__{tool.name}") for tool in TOOLS),
        ("bash", "Bash"),
        ('"webfetch(domain:a.test)"', "WebFetch"),
    ],
)
def test_a_rule_for_a_tool_of_another_name(rule: str, meant: str) -> None:
    """A rule with the name of a tool in other letters, or without its server, would allow nothing: the error has the name."""
    with pytest.raises(UsageError, match=f"did you mean {meant}"):
        parse_cell(f"--allow {rule}")
    assert parse_cell("--allow mcp__weather Newer").allow == ("mcp__weather", "Newer")
