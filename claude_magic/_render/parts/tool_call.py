"""One tool call -> HTML: a summary line to open, with input and result inside; and the answer that allows such calls."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from claude_magic._characters import reveal, strip_controls
from claude_magic._render.parts.highlighting import language_of_file
from claude_magic._render.parts.markdown_html import code_html, escape, plain_html
from claude_magic._render.parts.reply_wording import clip, one_line, tool_argument, tool_name
from claude_magic.sdk._gate.tool_list import COMMANDS, EDITING
from claude_magic.sdk.events import Image
from claude_magic.sdk.host import SERVER, Choice, ClaudeQuestion, questions_in
from claude_magic.sdk.response import ToolCall

SHOWN_LENGTH: Final = 10_000
SUMMARY_LENGTH: Final = 60
"""The most characters of an argument in the summary line, so that the outcome fits beside it in a notebook 800 pixels wide."""
IMAGE_BYTES: Final = 5_000_000
RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]+")
"""Letters that are written from right to left. A page would turn around what stands between two such words."""
_TAG_OR_WORD: Final = re.compile(f"(<[^>]*>)|{RIGHT_TO_LEFT.pattern}")

_COVERED: Final = {
    "Edit(**)": "edits",
    "WebSearch": "web searches",
    "mcp__kernel__run_code": "code in this kernel",
    "mcp__kernel__add_cell": "new cells",
}
"""What some rules allow, in a person's words; a view shows the rules themselves beside these in small type."""

_CODE: Final = {
    **dict.fromkeys(COMMANDS, ("command", "bash")),
    "NotebookEdit": ("new_source", "python"),
    f"mcp__{SERVER}__run_code": ("code", "python"),
    f"mcp__{SERVER}__add_cell": ("source", "python"),
}
"""By tool: the argument that is code, and its language. Another tool may do something else with an argument of that name."""

# A key with one of these could be taken for a path, so it is put in quotes.
_IN_PATHS: Final = re.compile(r'[.\[\]"]|^$')

_PLAIN: Final = re.compile(r"[\w./~@%+,=()'-]+(?: +[\w./~@%+,=()'-]+)*", re.ASCII)
"""Words that cannot be taken for several arguments. Others could hold signs that look like `·` or `:`."""

_NO_TEXT: Final = re.compile(r"True|False|None|[-+.\d][\w.+-]*", re.ASCII)
"""Text that reads like a number or a truth value."""

_BLANKS: Final = re.compile(" {2,}")

_RUN_CODE: Final = f"mcp__{SERVER}__run_code"
"""Our tool whose figures are in the cell's output; if shown in the call, too, the notebook would hold them twice."""

_IMAGE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # no SVG: it is a document


def call_html(call: ToolCall, outcome: str, *, is_open: bool = False) -> str:
    """Render a tool call with its outcome; folded unless `is_open`."""
    said = one_line(tool_argument(call), SUMMARY_LENGTH)
    argument = f" <code>{html.escape(said)}</code>" if said else ""
    nested = " claude-nested" if call.parent_id else ""
    kind = {"✓": "claude-ok", "✗": "claude-bad"}.get(outcome[:1])
    words = f'<span class="{kind}">{outcome[0]}</span>{escape(outcome[1:])}' if kind else escape(outcome)
    summary = f'<b>{escape(tool_name(call))}</b>{argument} <span class="claude-outcome">{words}</span>'
    inside = isolated(input_html(call)) + _result_html(call)
    return fold_html(f"claude-tool{nested}", isolated(summary), inside, is_open=is_open)


def isolated(shown: str) -> str:
    """Return HTML in which each word from right to left stands alone."""
    return _TAG_OR_WORD.sub(lambda found: found[1] or f"<bdi>{found[0]}</bdi>", shown)


def fold_html(css_class: str, summary: str, inside: str, *, is_open: bool) -> str:
    """Render a summary line, which hides `inside` until it is opened."""
    opened = " open" if is_open else ""
    return (
        f'<details class="{css_class}"{opened}><summary>{summary}</summary>'
        f'<div class="claude-inside">{inside}</div></details>\n'
    )


def input_html(call: ToolCall, limit: int = SHOWN_LENGTH, show: Callable[[str, str], str] = code_html) -> str:
    """Render the input of a tool call; texts of more than `limit` characters are cut in the middle.

    :param show: renders a code in a language.
    """

    def code(text: str, language: str) -> str:
        return show(clip(reveal(text, in_command=language == "bash"), limit), language)

    language, source, rest = _source(call)
    pieces = [] if source is None else [code(source, language)]
    if isinstance(plan := rest.get("plan"), str) and call.name == "ExitPlanMode":
        # The CLI (2.1.331) adds the plan to the input, from the file into which Claude wrote it.
        pieces.append(plain_html(clip(reveal(plan), limit)))
        rest = _without(rest, "plan")
    elif questions := questions_in(call.name, rest):
        pieces += map(_question_html, questions)
        rest = _without(rest, "questions")
    first = len(pieces)
    # Long texts are shown as they are, not as JSON strings with `\n` in them.
    for name, text in leaves(rest):
        if not _is_short(text):
            pieces.append(f'<p class="claude-rest">{escape(reveal(name))}:</p>\n{code(text, "")}')
    rest = {key: value for key, value in rest.items() if _is_short(value) or not isinstance(value, str)}
    if rest and pieces and all(_is_short(value) for value in rest.values()):
        pieces.insert(0, arguments_html(rest))
    elif rest:
        pieces.insert(first, code(json.dumps(_without_long(rest), indent=2, ensure_ascii=False, default=str), "json"))
    return "".join(pieces)


def arguments_html(arguments: Mapping[str, object]) -> str:
    """Render names and short values in one line."""
    words = " · ".join(f"{_told_apart(name)}: {_told_apart(value)}" for name, value in arguments.items())
    # A page would show several blanks as one.
    shown = _BLANKS.sub(lambda run: " " + "&nbsp;" * (len(run[0]) - 1), escape(reveal(words)))
    return f'<p class="claude-rest">{shown}</p>\n'


def _told_apart(part: object) -> str:
    """Return a name or a value for a line of several, a text in quotes if it could be taken for several, or for a number."""
    text = str(part)
    is_clear = not isinstance(part, str) or (_PLAIN.fullmatch(text) and not _NO_TEXT.fullmatch(text))
    return text if is_clear else json.dumps(text, ensure_ascii=False)


def leaves(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value of an input as a text, with its path: `cells[0].source`; a key such as `a.b` is in quotes there."""
    match value:
        case dict() if value:
            for key, part in value.items():
                shown = json.dumps(key, ensure_ascii=False) if _IN_PATHS.search(str(key)) else str(key)
                yield from leaves(part, f"{name}.{shown}" if name else shown)
        case list() if value:
            for number, part in enumerate(value):
                yield from leaves(part, f"{name}[{number}]")
        case _:
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _without_long(value: object) -> object:
    """Return data with `(below)` instead of each long text, which is shown below by its path."""
    match value:
        case dict():
            return {key: _without_long(part) for key, part in value.items()}
        case list():
            return [_without_long(part) for part in value]
    return value if _is_short(value) or not isinstance(value, str) else "(below)"


def _question_html(question: ClaudeQuestion) -> str:
    def shown(choice: Choice) -> str:
        text = ": ".join(filter(None, (choice.label, choice.description)))
        preview = code_html(clip(reveal(choice.preview), SHOWN_LENGTH)) if choice.preview else ""
        return f'<li class="claude-plain">{escape(clip(reveal(text), SHOWN_LENGTH))}{preview}</li>'

    items = "".join(map(shown, question.choices))
    return f"{plain_html(clip(reveal(question.text), SHOWN_LENGTH))}<ul>{items}</ul>\n"


def _result_html(call: ToolCall) -> str:
    text = clip(strip_controls(call.result), SHOWN_LENGTH)
    images = "".join(_image_html(image, tool_name(call)) for image in call.images)
    if call.images and call.name == _RUN_CODE:
        count = len(call.images)
        images = f"<p>{'A figure' if count == 1 else f'{count} figures'} in the output of this cell.</p>\n"
    return (code_html(text) if text.strip() else "") + images


def _image_html(image: Image, name: str) -> str:
    if image.media_type not in _IMAGE_TYPES:
        return f"<p>{escape(f'An image of type {reveal(image.media_type)!r} is not shown.')}</p>"
    try:
        size = len(base64.b64decode(image.data, validate=True))
    except (binascii.Error, ValueError):
        return "<p>An image that is not valid base64 is not shown.</p>"
    if size > IMAGE_BYTES:
        return f"<p>An image of {size / 1e6:.1f} MB is not shown.</p>"
    source = f"data:{image.media_type};base64,{image.data}"
    return f'<img class="claude-image" src="{source}" alt="{html.escape(f"Image from {name}")}">'


def _source(call: ToolCall) -> tuple[str, str | None, dict[str, Any]]:
    """Return the part of a call's input that reads best as code: its language, the code, and the rest of the input."""
    match call.input:
        case {"old_string": str(old), "new_string": str(new)} if call.name in EDITING:
            return "diff", _diff(old, new), _without(call.input, "old_string", "new_string")
        case {"edits": [*edits]} if call.name in EDITING and edits and all(_is_edit(edit) for edit in edits):
            diffs = "\n".join(_diff(edit["old_string"], edit["new_string"]) for edit in edits)
            more = [_without(edit, "old_string", "new_string") for edit in edits]
            return "diff", diffs, call.input | {"edits": more} if any(more) else _without(call.input, "edits")
        case {"file_path": str(path), "content": str(content)} if call.name in EDITING:
            return language_of_file(PurePath(path).name), content, _without(call.input, "content")
    name, language = _CODE.get(call.name, (None, ""))
    if name is not None and isinstance(code := call.input.get(name), str):
        return language, code, _without(call.input, name)
    return "", None, call.input


def _without(given: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in keys}


def _is_short(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) < 200 and "\n" not in value)


def _is_edit(edit: object) -> bool:
    return isinstance(edit, Mapping) and all(isinstance(edit.get(key), str) for key in ("old_string", "new_string"))


def _diff(old: str, new: str) -> str:
    """Write a replacement as a diff: all of the old text, then all of the new, without a search for common lines."""
    marked: list[str] = []
    for sign, text in (("-", old), ("+", new)):
        marked += (f"{sign}{line}" for line in (text.removesuffix("\n").split("\n") if text else ()))
    if ends := _ends(old, new):
        marked.append(f"\\ {ends}")
    return "\n".join(marked)


def _ends(old: str, new: str) -> str:
    """Say what the lines of a replacement do not show: that a line end comes or goes."""
    if not new:  # the CLI (2.1.332) also removes a line end after the old text
        return "Its line end is removed, too." if old.endswith("\n") else "A line end that follows is removed, too."
    if not old or old.endswith("\n") == new.endswith("\n"):
        return ""
    return "A line end is added." if new.endswith("\n") else "A line end is removed."


def end_remarks(call: ToolCall) -> list[str]:
    """Return what `_ends` says of each replacement in a call."""
    edits = call.input.get("edits")
    found = (
        _ends(edit["old_string"], edit["new_string"])
        for edit in (call.input, *(edits if isinstance(edits, list) else ()))
        if _is_edit(edit)
    )
    return [remark for remark in found if remark]


def session_answer(rules: Sequence[str]) -> str:
    """Return what these rules allow, as an answer: `Allow edits in this session`."""
    what = dict.fromkeys(map(_covered, rules))
    return f"Allow {one_line(reveal(' and '.join(what)), SUMMARY_LENGTH)} in this session"


def _covered(rule: str) -> str:
    if rule in _COVERED:
        return _COVERED[rule]
    name, bracket, content = rule.removesuffix(")").partition("(")
    if not bracket:
        return tool_name(ToolCall(0, "", rule))
    match name:
        case "Bash" | "Monitor" | "PowerShell":
            return "this command"
        case "Skill":
            return "this skill"
        case "WebFetch":
            return f"pages of {content.removeprefix('domain:')}"
        case "Edit":
            return f"edits of {PurePath(content).name}"
        case "Read" if content.endswith(("/*", "/**")):
            return f"files of {PurePath(content).parent.name or '/'}"
        case "Read":
            return f"reading {PurePath(content).name}"
    return f"this use of {name}"
