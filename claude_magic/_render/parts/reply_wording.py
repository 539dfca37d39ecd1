"""The words about a reply and its blocks: names, outcomes, the status line and the footer.

Pure functions, most of them to strings, shared by every view so that all of them say the same. The views do the escaping,
colours and layout.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from claude_magic._characters import in_reading_order, reveal
from claude_magic._paths import shorten_home
from claude_magic.sdk._gate.tool_list import COMMANDS, EDITING
from claude_magic.sdk.events import Retrying
from claude_magic.sdk.host import QUESTION, SERVER, ContextPart, questions_in
from claude_magic.sdk.response import (
    STRUCTURED_OUTPUT,
    Block,
    Growing,
    Remark,
    SessionAwareResponse,
    Text,
    Thinking,
    ToolCall,
    as_json,
)

ARGUMENT_LENGTH: Final = 80

WAITS: Final = "waiting for you"
"""The status while a question or a permission request has no answer."""

WAITS_WITH_MORE: Final = f"{WAITS}; more follows"
"""The same, when Claude has written on meanwhile: that is shown after the answer."""

BEGINNING: Final = -2
"""Less than the number of any block."""

_ARGUMENTS: Final = (
    *("command", "file_path", "notebook_path", "pattern", "query", "url"),
    *("code", "expression", "description", "name", "path"),
)


def one_line(text: str, limit: int = ARGUMENT_LENGTH) -> str:
    """Return a text on one line of at most `limit` characters, with an ellipsis if it was longer."""
    # The slice bounds the work: a tool's argument may be a whole file.
    line = " ".join(in_reading_order(text[: 8 * limit]).split())
    return line if len(line) <= limit and len(text) <= 8 * limit else line[: limit - 1].rstrip() + "…"


def clip(text: str, limit: int) -> str:
    """Cut the middle out of a text of more than `limit` characters, and say there how much is missing."""
    return clipped(text, limit)[0]


def clipped(text: str, limit: int) -> tuple[str, int]:
    """Clip a text as `clip` does; return it and the number of missing characters."""
    if len(text) <= limit:
        return text, 0
    head, tail = text[: limit * 2 // 3], text[len(text) - limit // 3 :]
    missing = len(text) - len(head) - len(tail)
    return f"{head}\n… {missing:,} characters left out …\n{tail}", missing


def shown_blocks(response: SessionAwareResponse) -> list[Block]:
    """Return the blocks with something to show. An answer without a text block, or as data, becomes a block at the end."""
    blocks = [block for block in response.blocks if _is_shown(block)]
    number = last_number(response) + 1
    if response.structured is not None:
        blocks.append(Text(number, Growing(f"```json\n{as_json(response.structured)}\n```"), complete=True))
    elif response.content and not any(isinstance(block, Text) for block in blocks):
        blocks.append(Text(number, Growing(response.content), complete=True))
    return blocks


def last_number(response: SessionAwareResponse) -> int:
    """Return the number of the last block so far, `BEGINNING` before the first one."""
    return max((block.number for block in response.blocks), default=BEGINNING)


def blocks_between(blocks: Sequence[Block], after: int, until: int | None = None) -> list[Block]:
    """Return the blocks after number `after`, up to number `until`. A remark goes with the block before it."""
    numbers = accumulate((block.number for block in blocks), max)
    last = math.inf if until is None else until
    return [block for block, number in zip(blocks, numbers, strict=True) if after < number <= last]


def tool_name(call: ToolCall) -> str:
    """Return a tool's name as a reader knows it: `Bash`, `run_code` of the kernel, `server: tool` of another MCP server."""
    if call.name == QUESTION:
        return "Question"
    if not call.name.startswith("mcp__"):
        return one_line(reveal(call.name))
    server, _, tool = reveal(call.name).removeprefix("mcp__").partition("__")
    return one_line(tool if server == "kernel" else f"{server}: {tool}")


def tool_argument(call: ToolCall) -> str:
    """Return the one argument that says what a call is about, on one line; empty if there is none."""
    if questions := questions_in(call.name, call.input):
        return one_line(reveal(" ".join(question.text for question in questions)))
    # The names of a server's arguments say nothing certain about what its tool does with them.
    if call.name.startswith("mcp__") and not call.name.startswith(f"mcp__{SERVER}__") and len(call.input) > 1:
        value = ", ".join(f"{name}: {value}" for name, value in call.input.items())[: 16 * ARGUMENT_LENGTH]
        return one_line(reveal(shorten_home(value)))
    named = (call.input.get(key) for key in _ARGUMENTS)
    values = (value for value in (*named, *call.input.values()) if isinstance(value, str) and value.strip())
    value = next(values, "")
    return one_line(reveal(shorten_home(value[: 16 * ARGUMENT_LENGTH]))) if value else ""


def in_quotes(text: str) -> str:
    """Return a text in quotes, for a sentence of ours; an empty text stays empty."""
    return json.dumps(text, ensure_ascii=False) if text else ""


def tool_outcome(call: ToolCall, *, ended: bool = False) -> str:
    """Return how a call ended. Without a result it was stopped if the turn has `ended`; otherwise it is running."""
    if not call.complete:
        return "stopped" if ended else "running…"
    permission = one_line(call.permission)
    if call.denied and call.name == QUESTION:
        return f"✗ {permission.replace('denied', 'not answered', 1) or 'not answered'}"
    if call.denied:
        return f"✗ {permission or 'denied'}"
    words = [word for word in ("failed" if call.is_error else "", permission) if word]
    if call.duration_s is not None:
        words.append(duration(call.duration_s))
    return f"{'✗' if call.is_error else '✓'} {' · '.join(words)}".rstrip()


def thinking_title(block: Thinking, *, ended: bool = False) -> str:
    """Return that Claude is thinking, or how long it thought."""
    if block.duration_s is not None:
        return f"Thought for {whole_seconds(max(block.duration_s, 0.001))}"
    return "Thought" if block.complete or ended else "Thinking…"


def status_line(response: SessionAwareResponse, elapsed_s: float | None) -> list[str]:
    """Return what a running turn does, its model, and how long it has run; unknown parts are left out.

    The first part is a warning if `waiting` returns one. Tokens are shown only at the end: the API reports their number once
    for each request, so it would not move until then.

    :param elapsed_s: `None` when nothing is drawn for a while, as the time would then stand still.
    """
    activity = waiting(response) or _activity(response.blocks)
    since = "" if elapsed_s is None else whole_seconds(elapsed_s)
    return [part for part in (activity, _model(response.model), since) if part]


def waiting(response: SessionAwareResponse) -> str:
    """Return why a running turn waits: another turn runs, the API refuses to answer now, or it does not answer.

    Empty if the turn does not wait.
    """
    if response.queued:
        return "waiting for another turn to end"
    unanswered = response.unanswered
    silent = f"no answer for {whole_seconds(unanswered.for_s)}" if unanswered else ""
    if response.retrying:
        again = _retry(response.retrying)
        return f"{again}; {silent} from {one_line(unanswered.address)}" if unanswered else again
    return f"waiting for {one_line(unanswered.address)}, {silent}" if unanswered else ""


def footer(response: SessionAwareResponse, turn: int | None, note: str = "", *, for_audience: bool = False) -> list[str]:
    """Return the footer of a turn: number, note, model, seconds, tokens, cost, session; unknown parts are left out.

    The cost of a played recording is marked as recorded.

    :param note: where in a conversation the turn began, if that is special; shown only with a number.
    :param for_audience: whether the footer is shown to an audience, without the cost.
    """
    tokens_in, tokens_out = tokens(response)
    parts = (
        f"turn {turn}" if turn is not None else "",
        one_line(note) if turn is not None else "",
        _model(response.model),
        duration(response.duration_s) if response.duration_s else "",
        f"{tokens_in:,} in · {tokens_out:,} out" if tokens_in or tokens_out else "",
        _cost(response, for_audience=for_audience),
        _not_done(response),
        one_line((response.session_id or "")[:8]),
    )
    return [part for part in parts if part]


def tokens(response: SessionAwareResponse) -> tuple[int, int]:
    """Return the tokens of a turn, in and out. Tokens that were read from or written to the cache count as in."""
    usage = response.usage
    keys = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    counted = sum(usage.get(key) or 0 for key in keys), usage.get("output_tokens") or 0
    return counted if any(counted) else (response.input_tokens, response.output_tokens)


def context_line(parts: Sequence[ContextPart]) -> str:
    """Return how large a request is, with the largest part first; empty if unknown."""
    if not parts:
        return ""
    by_size = sorted(parts, key=lambda part: -part.tokens)
    said = ", ".join(f"{part.name.lower()} {part.tokens:,}" for part in by_size)
    return f"about {sum(part.tokens for part in parts):,} tokens ({said})"


def duration(seconds: float) -> str:
    """Write a measured time: `0.1 s`, `6.2 s`, `42 s`, `3 min 5 s`."""
    if seconds < 0.05:
        return "<0.1 s"
    return f"{seconds:.1f} s" if seconds < 9.95 else whole_seconds(seconds)


def whole_seconds(seconds: float) -> str:
    """Write a time in whole seconds: `9 s`, `1 min 12 s`, `2 h 5 min`."""
    total = round(seconds)
    if total < 60:
        return f"{total} s" if total or not seconds else "<1 s"
    minutes, rest = divmod(total, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def dollars(cost_usd: float) -> str:
    """Write a cost in US dollars, in cents from one dollar on: `$0.021`, `$1.20`."""
    if cost_usd >= 1:
        return f"${cost_usd:,.2f}"
    return f"${cost_usd:.3f}" if cost_usd >= 0.0005 or not cost_usd else "<$0.001"


def _cost(response: SessionAwareResponse, *, for_audience: bool) -> str:
    # A turn that was refused cost nothing, which needs no words.
    cost = dollars(response.cost_usd) if response.cost_usd and not for_audience else ""
    # A recorded turn costs nothing when it is played.
    return f"{cost} recorded".lstrip() if response.metadata.get("recorded") else cost


def _not_done(response: SessionAwareResponse) -> str:
    """Return which commands and changes of files a played recording only shows."""
    names = [block.name for block in response.blocks if isinstance(block, ToolCall) and block.name in COMMANDS | EDITING]
    played = response.metadata.get("recorded") and names
    return f"not done again: {', '.join(dict.fromkeys(names))}" if played else ""


def _model(model: str | None) -> str:
    """Shorten a model's name; `<synthetic>`, the CLI's own word for "no model", is none."""
    return "" if model is None or model.startswith("<") else one_line(model.removeprefix("claude-"))


def _is_shown(block: Block) -> bool:
    match block:
        case Text():
            return block.growing.length > 0
        case ToolCall(name=name) if name == STRUCTURED_OUTPUT:
            # This call carries the answer, which is shown as data. Only an error, an answer that misfits, is news to a reader.
            return block.is_error
    return True


def _retry(retrying: Retrying) -> str:
    reason = one_line(retrying.error.removesuffix("_error").replace("_", " ")) or "no answer"
    status = f" ({retrying.status})" if retrying.status is not None else ""
    when = f"in {whole_seconds(retrying.delay_s)}" if retrying.delay_s >= 0.5 else "now"
    return f"Retrying ({retrying.attempt} of {retrying.max_attempts}) {when}: {reason}{status}"


def _activity(blocks: Sequence[Block]) -> str:
    calls = [block for block in blocks if isinstance(block, ToolCall) and block.name != STRUCTURED_OUTPUT]
    running = [call for call in calls if not call.complete]
    if len(running) > 1:
        return f"running {len(running)} tools"
    if running:
        return f"running {tool_name(running[0])}"
    match next((block for block in reversed(blocks) if not isinstance(block, Remark)), None):
        case Text(complete=False) | ToolCall(complete=False):  # this call is the structured answer
            return "writing"
        case Thinking(complete=False):
            return "thinking"
        case _:
            return "working"
