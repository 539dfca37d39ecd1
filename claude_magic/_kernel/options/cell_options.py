"""The table of the options of `%%claude` and `%claude`: each is a field of `Options`.

Parsing, help, Tab, the parameters of `ask()` and the traits of `%config ClaudeMagics` are made from this table. The modules
that use `Options` do what a choice says; `sdk.config.TurnOptions` passes it to the CLI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import permutations
from typing import Any

from traitlets import Any as Anything
from traitlets import Bool, CaselessStrEnum, Float, Int, List, Unicode

from claude_magic._kernel.advice import beside
from claude_magic._kernel.options.option import Option, option_field
from claude_magic._kernel.options.value_kinds import (
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
    one_of,
)
from claude_magic.sdk._offers.choices import MODELS
from claude_magic.sdk.config import EFFORTS, PERMISSION_MODES

NOTEBOOK = ("none", "outline", "full")


@dataclass(frozen=True, slots=True)
class Choice:
    """One turn of a comparison: another model, or another sample of the same."""

    model: str | None = None
    sample: int | None = None

    @property
    def label(self) -> str:
        """Its name for a reader."""
        model = (self.model or "").removeprefix("claude-")
        return ", ".join(filter(None, (model, f"sample {self.sample}" if self.sample else "")))

    @property
    def typed(self) -> str:
        """The options that a person types for it."""
        model = f"--compare {self.model}" if self.model else ""
        return " ".join(filter(None, (model, f"--samples {self.sample}" if self.sample else "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one cell. `None` means: as in `%config ClaudeMagics`."""

    new: bool = option_field(("-n", "--new"), "", "begin another session; it becomes the current one", "--new", in_ask=True)
    resume: str | None = option_field(
        ("-r", "--resume"),
        "ID|PREFIX|NAME",
        "continue this session",
        "--resume 681fea2c",
        TEXT,
        offers=lambda known: known.sessions(),
        in_ask=True,
    )
    fork: bool = option_field(
        ("--fork",), "", "continue a branch of the session; the session stays as it is", "--fork", in_ask=True
    )
    at: int | None = option_field(
        ("--at",),
        "TURN",
        "continue a branch from the end of this turn",
        "--at 3",
        TURN,
        offers=lambda known: known.turn_numbers(),
        in_ask=True,
    )
    redo: bool = option_field(("--redo",), "", "replace this cell's last turn: ask again from just before it", "--redo")
    model: str | None = option_field(
        ("-m", "--model"),
        "NAME",
        "the model of this turn",
        "--model sonnet",
        TEXT,
        offers=lambda known: known.models(),
        trait=Unicode(None, allow_none=True, help="Model of a turn; None: the CLI's own default."),
        sets="model",
        in_ask=True,
    )
    effort: str | None = option_field(
        ("--effort",),
        "LEVEL",
        f"how much Claude thinks: {', '.join(EFFORTS)}",
        "--effort high",
        one_of(EFFORTS),
        offers=lambda known: EFFORTS,
        trait=CaselessStrEnum(EFFORTS, None, allow_none=True, help="How much Claude thinks in a turn."),
        sets="effort",
        in_ask=True,
    )
    system: str | None = option_field(
        ("--system",),
        "TEXT",
        "text that is added to the system prompt",
        '--system "Answer in French."',
        TEXT,
        trait=Unicode(None, allow_none=True, help="Text added to Claude Code's system prompt."),
        sets="system",
        in_ask=True,
    )
    style: str | None = option_field(
        ("--style",),
        "NAME",
        "the output style of this turn",
        "--style Learning",
        TEXT,
        offers=lambda known: known.styles(),
        trait=Unicode(None, allow_none=True, help="Output style of the CLI; None: its own default."),
        sets="style",
        in_ask=True,
    )
    bare: bool = option_field(
        ("--bare",),
        "",
        "send only the prompt and --system, without Claude Code's own prompt, tools and settings",
        "--bare",
        trait=Bool(False, help="Send only prompt and system text, without Claude Code's own prompt, tools and settings."),
        sets="bare",
        in_ask=True,
    )
    raw: bool = option_field(("--raw",), "", "leave {{ braces }} in the prompt alone", "--raw")
    input: tuple[str, ...] = option_field(
        ("-i", "--input"),
        "NAME ...",
        "send variables along with the prompt",
        "--input df fig",
        VARIABLE,
        offers=lambda known: known.variables(),
    )
    file: tuple[str, ...] = option_field(
        ("-f", "--file"),
        "PATH ...",
        "send files along: text, images, PDFs",
        '--file report.pdf "data/*.csv"',
        TEXT,
        offers=lambda known: (),  # IPython completes paths
        in_ask="files",
    )
    notebook: str | None = option_field(
        ("--notebook",),
        "HOW",
        "what Claude is told of the cells since the last turn: none, outline, full",
        "--notebook full",
        one_of(NOTEBOOK),
        offers=lambda known: NOTEBOOK,
        trait=CaselessStrEnum(NOTEBOOK, "outline", help="What Claude is told of the cells that ran since the last turn."),
    )
    error: bool = option_field(("--error",), "", "send the last traceback along", "--error")
    output: str | None = option_field(
        ("-o", "--output"),
        "NAME",
        "bind the reply to a variable",
        "--output reply",
        NEW_VARIABLE,
        offers=lambda known: known.variables(),
    )
    schema: str | None = option_field(
        ("--schema",),
        "NAME",
        "ask for a reply of this type, in the reply's .structured",
        "--schema City",
        TYPE,
        offers=lambda known: known.types(),
        in_ask=True,
    )
    code: bool = option_field(("--code",), "", "put the reply's Python code into the next cell", "--code")
    quiet: bool = option_field(("--quiet",), "", "show nothing; for use with --output", "--quiet")
    compare: tuple[str, ...] = option_field(
        ("--compare",),
        "MODEL,MODEL",
        "ask several models side by side; with --each, about every row",
        "--compare sonnet,opus",
        MODEL_LIST,
        offers=lambda known: [f"{one},{other}" for one, other in permutations(MODELS[1:4], 2)],
    )
    samples: int | None = option_field(("--samples",), "N", "ask several times, side by side", "--samples 3", SAMPLES)
    each: str | None = option_field(
        ("--each",),
        "NAME",
        "ask about each row of a table or list; {{ column }} is the row's value",
        "--each df",
        VARIABLE,
        offers=lambda known: known.variables(),
    )
    vary: tuple[tuple[str, tuple[str, ...]], ...] = option_field(
        ("--vary",),
        "NAME=A,B ...",
        "with --each: use each of these values of {{ name }} with every row",
        "--vary tone=formal,plain",
        VARIANTS,
        offers=lambda known: (),
    )
    score: str | None = option_field(
        ("--score",),
        "NAME",
        "with --each: score each reply with a function of (row, reply), or a prompt that judges it",
        "--score is_right",
        FUNCTION,
        offers=lambda known: known.variables(),
    )
    concurrency: int | None = option_field(("--concurrency",), "N", "how many rows are asked at once", "--concurrency 8", COUNT)
    checkpoint: str | None = option_field(
        ("--checkpoint",),
        "PATH",
        "keep answered rows in this file; a later run goes on from there",
        "--checkpoint labels.sqlite",
        TEXT,
        offers=lambda known: (),  # IPython completes paths
    )
    timeout: float | None = option_field(
        ("--timeout",),
        "SECONDS",
        "give up after this long",
        "--timeout 120",
        SECONDS,
        trait=Float(None, allow_none=True, help="Seconds that a turn may take; None: as long as it needs."),
        in_ask=True,
    )
    budget: float | None = option_field(
        ("--budget",),
        "USD",
        "the most that this turn, or all rows, may cost",
        "--budget 0.50",
        DOLLARS,
        trait=Float(None, allow_none=True, help="US dollars that a turn may cost."),
        sets="max_budget_usd",
        in_ask=True,
    )
    max_turns: int | None = option_field(
        ("--max-turns",),
        "N",
        "how many rounds with tools this turn may take",
        "--max-turns 5",
        COUNT,
        trait=Int(None, allow_none=True, help="Rounds with tools that a turn may take."),
        sets="max_turns",
        in_ask=True,
    )
    mode: str | None = option_field(
        ("--mode",),
        "MODE",
        f"what Claude may do without asking: {', '.join(PERMISSION_MODES)}",
        "--mode plan",
        one_of(PERMISSION_MODES),
        offers=lambda known: PERMISSION_MODES,
        trait=CaselessStrEnum(
            PERMISSION_MODES, None, allow_none=True, help="Permission mode of the CLI; None: its own default."
        ),
        sets="permission_mode",
        in_ask=True,
    )
    allow: tuple[str, ...] = option_field(
        ("--allow",),
        "RULE ...",
        "let a tool run without asking",
        '--allow Read "Bash(git status:*)"',
        TEXT,
        trait=List(Unicode(), help="Rules for tools that run without a question, such as 'Bash(git status:*)'."),
        sets="allowed_tools",
        in_ask=True,
    )
    tool: tuple[str | Callable[..., Any], ...] = option_field(
        ("--tool",),
        "FUNCTION ...",
        "let Claude call functions of yours, and ask before each call",
        "--tool load_prices plot",
        FUNCTION,
        offers=lambda known: known.functions(),
        trait=List(Anything(), help="Functions that Claude may call in every cell, or their names."),
        in_ask="tools",
    )
    mcp: tuple[str, ...] = option_field(
        ("--mcp",),
        "PATH ...",
        "let Claude use the MCP servers that a file names",
        "--mcp servers.json",
        TEXT,
        offers=lambda known: (),  # IPython completes paths
        trait=List(Unicode(), help="Files that name MCP servers, as the CLI takes them."),
        sets="mcp",
        in_ask=True,
    )
    no_kernel: bool = option_field(("--no-kernel",), "", "do not let Claude see or use this kernel", "--no-kernel", in_ask=True)

    def conflict(self) -> tuple[str, str] | None:
        """Return two of the chosen options that exclude each other; `None` if all go together."""
        places = [name for name in ("new", "resume", "at", "redo") if getattr(self, name)]
        if self.new and self.fork:
            places.append("fork")
        if self.bare and self.style:
            return "bare", "style"
        return (places[0], places[1]) if len(places) > 1 else None

    def misplaced(self) -> str | None:
        """Return a chosen option that cannot be used with `--each`; `None` if there is none."""
        return self._chosen(_NOT_FOR_ROWS) if self.each else None

    def rowless(self) -> str | None:
        """Return a chosen option that cannot be used without `--each`; `None` if there is none."""
        return None if self.each else self._chosen(_FOR_ROWS)

    def _chosen(self, names: tuple[str, ...]) -> str | None:
        default = Options()
        return next((name for name in names if getattr(self, name) != getattr(default, name)), None)

    def alternatives(self) -> list[Choice]:
        """Return what differs in each alternative of a comparison; a cell without a comparison has one."""
        numbers = range(1, self.samples + 1) if self.samples else (None,)
        return [Choice(model, number) for model in self.compare or (None,) for number in numbers]


_NOT_FOR_ROWS = (
    *("new", "resume", "fork", "at", "redo", "style"),
    *("raw", "input", "file", "notebook", "error", "code", "samples", "tool"),
)
"""Options that rows cannot use: a row has no conversation before it, no prompt of Claude Code, no values and no kernel."""

_FOR_ROWS = ("concurrency", "checkpoint", "vary", "score")

OPTIONS: tuple[Option, ...] = tuple(choice.metadata["option"] for choice in fields(Options))


def option_names() -> list[str]:
    """Return every option as typed, long form first."""
    names = [name for option in OPTIONS for name in option.names]
    return sorted(names, key=lambda name: (not name.startswith("--"), name))


def usage(columns: int | None = None) -> str:
    """Return the options, a line each: what it means, and an example.

    :param columns: how wide a line may be.
    """
    return beside({option.usage: f"{option.help}; e.g. {option.example}" for option in OPTIONS}, columns)
