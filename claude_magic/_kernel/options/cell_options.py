"""The table of the options of `%%claude` and `%claude`: each is a field of `Options`.

Parsing, help, Tab, the parameters of `ask()` and the traits of `%config ClaudeMagics` are made from this table. Other modules
act on `Options`; `sdk.config.TurnOptions` passes on what the CLI needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import permutations
from typing import Any

from traitlets import Any as Anything
from traitlets import Bool, CaselessStrEnum, Float, Int, List, Unicode

from claude_magic._kernel.advice import beside
from claude_magic._kernel.options.option import (
    COUNT,
    DOLLARS,
    FUNCTION,
    MODEL_LIST,
    NEW_VARIABLE,
    SAMPLES,
    SECONDS,
    TEXT,
    TURN,
    TYPE,
    VARIABLE,
    VARIANTS,
    Option,
    one_of,
)
from claude_magic.sdk._offers.choices import MODELS
from claude_magic.sdk.config import EFFORTS, PERMISSION_MODES

NOTEBOOK = ("none", "outline", "full")


@dataclass(frozen=True, slots=True)
class Choice:
    """What sets one turn of a comparison apart: its model, the number of its sample, or both."""

    model: str | None = None
    sample: int | None = None

    @property
    def label(self) -> str:
        """Its name for a reader."""
        model = (self.model or "").removeprefix("claude-")
        return ", ".join(filter(None, (model, f"sample {self.sample}" if self.sample else "")))

    @property
    def typed(self) -> str:
        """What names this answer in `Start.how`, such as `--compare opus --samples 2`."""
        model = f"--compare {self.model}" if self.model else ""
        return " ".join(filter(None, (model, f"--samples {self.sample}" if self.sample else "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one cell. `None` means: not given; where there is a trait, `%config ClaudeMagics` decides."""

    new: bool = Option("begin another session; it becomes the current one", short="-n", in_ask=True).as_field()
    resume: str | None = Option(
        "continue this session", "ID|PREFIX|NAME", "681fea2c", TEXT, short="-r", offers="sessions", in_ask=True
    ).as_field()
    fork: bool = Option("go on in a branch of the session; the session stays as it is", in_ask=True).as_field()
    at: int | None = Option(
        "go on in a branch from the end of this turn", "TURN", "3", TURN, offers="turn_numbers", in_ask=True
    ).as_field()
    redo: bool = Option("replace this cell's last turn: prompt again from just before it").as_field()
    model: str | None = Option(
        "the model of this turn",
        "NAME",
        "sonnet",
        TEXT,
        short="-m",
        offers="models",
        trait=Unicode(None, allow_none=True, help="Model of a turn; None: the CLI's own default."),
        sets="model",
        in_ask=True,
    ).as_field()
    effort: str | None = Option(
        f"how much Claude thinks: {', '.join(EFFORTS)}",
        "LEVEL",
        "high",
        one_of(EFFORTS),
        offers=EFFORTS,
        trait=CaselessStrEnum(EFFORTS, None, allow_none=True, help="How much Claude thinks in a turn."),
        sets="effort",
        in_ask=True,
    ).as_field()
    system: str | None = Option(
        "text that is added to the system prompt; with --bare, all of it",
        "TEXT",
        '"Answer in French."',
        TEXT,
        trait=Unicode(None, allow_none=True, help="Text added to Claude Code's system prompt."),
        sets="system",
        in_ask=True,
    ).as_field()
    style: str | None = Option(
        "the output style of this turn",
        "NAME",
        "Learning",
        TEXT,
        offers="styles",
        trait=Unicode(None, allow_none=True, help="Output style of the CLI; None: its own default."),
        sets="style",
        in_ask=True,
    ).as_field()
    bare: bool = Option(
        "send only the prompt and --system, without Claude Code's own prompt, tools and settings",
        trait=Bool(False, help="Send only prompt and system text, without Claude Code's own prompt, tools and settings."),
        sets="bare",
        in_ask=True,
    ).as_field()
    raw: bool = Option("leave {{ braces }} in the prompt alone").as_field()
    input: tuple[str, ...] = Option(
        "send variables along with the prompt", "NAME ...", "df fig", VARIABLE, short="-i", offers="variables"
    ).as_field()
    file: tuple[str, ...] = Option(
        "send files along: text, images, PDFs",
        "PATH ...",
        'report.pdf "data/*.csv"',
        TEXT,
        short="-f",
        offers=(),  # IPython completes paths
        in_ask="files",
    ).as_field()
    notebook: str | None = Option(
        "what Claude is told of the cells since the last turn: none, outline, full",
        "HOW",
        "full",
        one_of(NOTEBOOK),
        offers=NOTEBOOK,
        trait=CaselessStrEnum(NOTEBOOK, "outline", help="What Claude is told of the cells that ran since the last turn."),
    ).as_field()
    error: bool = Option("send the last traceback along").as_field()
    output: str | None = Option(
        "bind the reply to a variable", "NAME", "reply", NEW_VARIABLE, short="-o", offers="variables"
    ).as_field()
    schema: str | None = Option(
        "the type of the reply; the value is in the reply's .structured", "NAME", "City", TYPE, offers="types", in_ask=True
    ).as_field()
    code: bool = Option("put the reply's Python code into the next cell").as_field()
    quiet: bool = Option("show nothing; for use with --output").as_field()
    compare: tuple[str, ...] = Option(
        "prompt several models side by side; with --each, for every row",
        "MODEL,MODEL",
        "sonnet,opus",
        MODEL_LIST,
        offers=tuple(f"{one},{other}" for one, other in permutations(MODELS[1:4], 2)),
    ).as_field()
    samples: int | None = Option("prompt several times, side by side", "N", "3", SAMPLES).as_field()
    each: str | None = Option(
        "prompt once for each row of a table or list; {{ text }} is the value of its column text",
        "NAME",
        "df",
        VARIABLE,
        offers="variables",
    ).as_field()
    vary: tuple[tuple[str, tuple[str, ...]], ...] = Option(
        "with --each: use each of these values of {{ name }} with every row",
        "NAME=A,B ...",
        "tone=formal,plain",
        VARIANTS,
        offers=(),
    ).as_field()
    score: str | None = Option(
        "with --each: score each reply with a function of (row, reply), or a prompt that judges it",
        "NAME",
        "is_right",
        FUNCTION,
        offers="variables",
    ).as_field()
    concurrency: int | None = Option("with --each: how many rows run at once; 4 if not given", "N", "8", COUNT).as_field()
    checkpoint: str | None = Option(
        "with --each: keep answered rows in this file; a later run goes on from there",
        "PATH",
        "labels.sqlite",
        TEXT,
        offers=(),  # IPython completes paths
    ).as_field()
    timeout: float | None = Option(
        "give up after this long",
        "SECONDS",
        "120",
        SECONDS,
        trait=Float(None, allow_none=True, help="Seconds that a turn may take; None: as long as it needs."),
        in_ask=True,
    ).as_field()
    budget: float | None = Option(
        "the most that this turn, or all rows, may cost",
        "USD",
        "0.50",
        DOLLARS,
        trait=Float(None, allow_none=True, help="US dollars that a turn, or a run over rows, may cost."),
        sets="max_budget_usd",
        in_ask=True,
    ).as_field()
    max_turns: int | None = Option(
        "how many rounds with tools this turn may take",
        "N",
        "5",
        COUNT,
        trait=Int(None, allow_none=True, help="Rounds with tools that a turn may take."),
        sets="max_turns",
        in_ask=True,
    ).as_field()
    mode: str | None = Option(
        f"what Claude may do without asking: {', '.join(PERMISSION_MODES)}",
        "MODE",
        "plan",
        one_of(PERMISSION_MODES),
        offers=PERMISSION_MODES,
        trait=CaselessStrEnum(
            PERMISSION_MODES, None, allow_none=True, help="Permission mode of the CLI; None: its own default."
        ),
        sets="permission_mode",
        in_ask=True,
    ).as_field()
    allow: tuple[str, ...] = Option(
        "let a tool run without asking",
        "RULE ...",
        'Read "Bash(git status:*)"',
        TEXT,
        trait=List(Unicode(), help="Rules for tools that run without a question, such as 'Bash(git status:*)'."),
        sets="allowed_tools",
        in_ask=True,
    ).as_field()
    tool: tuple[str | Callable[..., Any], ...] = Option(
        "functions of yours that Claude may call; you are asked before each call",
        "FUNCTION ...",
        "load_prices plot",
        FUNCTION,
        offers="functions",
        trait=List(Anything(), help="Functions that Claude may call in every cell, or their names."),
        in_ask="tools",
    ).as_field()
    mcp: tuple[str, ...] = Option(
        "let Claude use the MCP servers that a file names",
        "PATH ...",
        "servers.json",
        TEXT,
        offers=(),  # IPython completes paths
        trait=List(Unicode(), help="Files that name MCP servers, as the CLI takes them."),
        sets="mcp",
        in_ask=True,
    ).as_field()
    no_kernel: bool = Option("do not let Claude see or use this kernel", in_ask=True).as_field()

    def conflict(self) -> tuple[str, str] | None:
        """Return two of the chosen options that exclude each other; `None` if all go together."""
        places = [name for name in ("new", "resume", "at", "redo") if getattr(self, name)]
        if self.new and self.fork:
            places.append("fork")
        if self.bare and self.style:
            return "bare", "style"
        return (places[0], places[1]) if len(places) > 1 else None

    def misplaced(self) -> str | None:
        """Return a chosen option that cannot be used with `--each`, or if that is not given, without it; else `None`."""
        names, default = _NOT_FOR_ROWS if self.each else _FOR_ROWS, Options()
        return next((name for name in names if getattr(self, name) != getattr(default, name)), None)

    def alternatives(self) -> list[Choice]:
        """Return the model and sample of each turn of a comparison; without a comparison, one empty `Choice`."""
        numbers = range(1, self.samples + 1) if self.samples else (None,)
        return [Choice(model, number) for model in self.compare or (None,) for number in numbers]


_NOT_FOR_ROWS = (
    *("new", "resume", "fork", "at", "redo", "style"),
    *("raw", "input", "file", "notebook", "error", "code", "samples", "tool"),
)
"""Options that rows cannot use: a row has no conversation, system prompt of Claude Code, variables, kernel or next cell."""

_FOR_ROWS = ("concurrency", "checkpoint", "vary", "score")

OPTIONS: tuple[Option, ...] = tuple(replace(choice.metadata["option"], name=choice.name) for choice in fields(Options))


def option_names() -> list[str]:
    """Return every option as typed: all long forms, then the short ones."""
    names = [name for option in OPTIONS for name in option.names]
    return sorted(names, key=lambda name: (not name.startswith("--"), name))


def usage(columns: int | None = None) -> str:
    """Return the options, each with its meaning and an example, in lines of at most `columns`."""
    return beside({option.usage: f"{option.help}; e.g. {option.example}" for option in OPTIONS}, columns)
