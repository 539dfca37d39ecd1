"""What is made of texts costs no more than a text of its length may: whatever stands in it, and in whichever language it is.

Measured is processor time, and what four times the text costs is compared with what the text costs, as machines differ.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from rig.cost import cost_s

from claude_magic._characters import strip_controls
from claude_magic._kernel.nested_asyncio import runs_a_loop
from claude_magic._kernel.notebook.cell_reading import read_notebook
from claude_magic._kernel.prompt.composition import _without_open_end
from claude_magic._kernel.prompt.template import fill
from claude_magic._kernel.state.directory_trust import Unloaded
from claude_magic._kernel.state.notebook_file import notebooks_with, saved_turns
from claude_magic._markdown import language_of
from claude_magic._paths import file_bytes, object_in
from claude_magic._render.live.replaced_file import _BLANK_ENDS
from claude_magic._render.parts.highlighting import _KNOWN, BLOCK_S, LONGEST, TEXT_S, Allowance
from claude_magic._render.parts.markdown_html import code_html, is_too_much, text_html
from claude_magic._render.parts.safe_markdown import escape, text_markdown
from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk import ClaudeClient, ClaudeConfig
from claude_magic.sdk._cassette.scrubbing import _STANDS_FOR_ANYTHING, same_text
from claude_magic.sdk._folder.contents import _words
from claude_magic.sdk._folder.memories import memories
from claude_magic.sdk._gate.commands import parts_of
from claude_magic.sdk._gate.git_words import git_use
from claude_magic.sdk._gate.rules import _fits
from claude_magic.sdk._history.places import read_entries
from claude_magic.sdk._history.transcripts import _inside, is_before_compaction
from claude_magic.sdk.content import _AFTER_NAME, Prompt, check_mentions

SIGNS = [
    *(
        "[",
        "]",
        "[a](",
        "[a](b) ",
        "![",
        "![a](",
        "](",
        "$",
        "$$",
        "$a",
        "$a$ ",
        "$a\n",
        "\\",
        "\\(",
        "\\$",
        "*",
        "**",
        "*a",
        "_a ",
    ),
    *("~~", "`", "`a", "> ", "- ", "1. ", "|", "|a|\n|-|\n", "a|b\n-|-\n", "#", "&", "&a", "<", "http://a ", "\n", "    a\n"),
    *("---\n", "===\n", "a\n===\n", "[a]: b\n", "```\n", "```c\na\n```\n"),
]
"""What means something in Markdown, to be repeated."""

SHELL = (
    "{",
    "{a",
    '\\"',
    '"',
    "'",
    "\\",
    "$",
    "`",
    "#",
    "# ",
    "a#",
    "\n",
    "<<",
    ";",
    "-C ",
    "cd a;",
    "git ",
    "* ",
    "-*",
    "~",
    "<<E\nE\n",
    "<<E\n",
)
"""What a shell reads in its own way."""

RUN = (
    "\n",
    "-\n",
    " ",
    "command",
    "command:",
    "command\n",
    "!`",
    "!",
    "```!\n",
    "> ",
    ">",
    '"',
    "\\",
    "'",
    "$",
    "${CLAUDE_PROJECT_DIR",
)
"""What the words of commands are read from."""


READERS: dict[str, tuple[Callable[[str], Any], tuple[str, ...]]] = {
    "loops in a cell": (
        lambda text: runs_a_loop(text, {}),
        ("\n", " \n", "\t", "from asyncio import ", "%run -a ", "import ", "a . ", "#|a\n", "\r\n"),
    ),
    "an expression": (lambda text: filled(text), ("{{", "{{a", "{ {")),
    "an open path": (lambda text: _without_open_end(text + " x"), ("@", '@"', "@a ", "/")),
    "a fence's language": (language_of, ("a", "a=", 'a="', "a='b", ".", "-", "{", "&amp;")),
    "controls": (strip_controls, ("\x1b[", "\x1b[0", "\x1b]a", "\x9d", "\x1b ", "\r")),
    "escaped": (escape, ("www.", "://", "_", "1.", " ")),
    "a placeholder": (_STANDS_FOR_ANYTHING.split, ("[", "[KEY", "KEY", "[KEYKEY", "~")),
    "a recorded prompt": (
        lambda text: same_text(text, "a" * len(text), "a" * len(text)),
        ("[user]", "~", "[user]a", "[host] "),
    ),
    "a rule": (lambda text: _words("rule.md", f"command: x\n{text}".encode()), RUN),
    "a setting": (lambda text: _words("settings.json", json.dumps({"command": text}).encode()), RUN),
    "YAML of a rule": (lambda text: _words("rule.md", f"---\n{text}".encode()), RUN),
    "the parts of a command": (parts_of, SHELL),
    "git's part of a command": (lambda text: git_use(f"git {text}"), SHELL),
    "blanks at ends of lines": (lambda text: _BLANK_ENDS.sub("", f"{text}x"), (" ", "\t ", " \n")),
    "what follows a path": (lambda text: _AFTER_NAME.sub("", f"a{text}x"), ("!", "!a")),
    "a rule's pattern": (
        lambda text: _fits(f"docker {text}", "docker * exec * a * bash"),
        ("exec ", " exec ", " a", " exec  a "),
    ),
    "a command": (lambda text: _inside(text, "command-name"), ("<command-name>", "</command-name>")),
}


PIPES: dict[str, tuple[Callable[[Path], Any], Any]] = {
    "any file": (file_bytes, OSError),
    "a notebook that mentions sessions": (lambda pipe: notebooks_with(["s"], str(pipe.parent)), {}),
    "a notebook with turns": (saved_turns, ConfigError),
    "the notebook": (lambda pipe: read_notebook(pipe).cells, ()),
    "settings": (object_in, {}),
    "instructions": (lambda pipe: memories(str(pipe.parent)).text, ""),
    "a file to be trusted": (
        lambda pipe: Unloaded(str(pipe), "new", str(pipe.parent)).text,
        "(it is a device or a pipe, not a file)",
    ),
    "a script": (lambda pipe: runs_a_loop(f"%run {pipe}", {}), False),
    "a transcript": (lambda pipe: [*read_entries(pipe)], OSError),
    "the end of a compacted transcript": (lambda pipe: is_before_compaction(pipe, "x"), False),
    "a prefix": (
        lambda pipe: ClaudeClient(ClaudeConfig(enable_prefix_prompt=True, prefix_prompt_file=str(pipe))).request("go"),
        ConfigError,
    ),
    "a path in a prompt": (lambda pipe: check_mentions(Prompt(f"read @{pipe.name}"), str(pipe.parent)), AttachmentError),
}
"""What reads a file of the folder, and what comes of it if the file is a pipe."""


def filled(text: str) -> object:
    try:
        return fill(text, {}, str)
    except UsageError as error:
        return error


def repeated(piece: str, length: int) -> str:
    return (piece * (length // len(piece) + 1))[:length]


@pytest.mark.parametrize("reader", READERS)
def test_readers_are_linear(reader: str) -> None:
    """No regular expression of ours goes over a text again and again."""
    function, pieces = READERS[reader]
    for piece in pieces:
        quarter = max(cost_s(function, repeated(piece, 10_000)), 0.01)
        whole = repeated(piece, 40_000)
        assert any(cost_s(function, whole) < 10 * quarter for _ in range(3)), piece


@pytest.mark.timeout(30)
@pytest.mark.parametrize("reader", PIPES)
@pytest.mark.parametrize("name", ["pipe.ipynb", "CLAUDE.md"])
def test_pipes(reader: str, name: str, tmp_path: Path) -> None:
    """A pipe without a writer, in the place of a file that is read, holds nobody up."""
    read, found = PIPES[reader]
    os.mkfifo(pipe := tmp_path / name)
    if isinstance(found, type):
        with pytest.raises(found):
            read(pipe)
    else:
        assert read(pipe) == found


def test_a_cell_that_begins_with_empty_lines() -> None:
    """Empty lines at the beginning of a cell cost nothing: 30 of them would have been years."""
    assert not runs_a_loop("\n \n" * 40 + "x = 1", {})
    assert runs_a_loop("\n\nfrom asyncio import run as go\n", {})
    assert not runs_a_loop("from asyncio import sleep\n", {})


@pytest.mark.parametrize("piece", SIGNS)
def test_markdown_in_every_form(piece: str) -> None:
    """190 kB of signs cost about what 40 kB of prose cost ten times, in HTML and in Markdown."""
    prose = cost_s(text_html, repeated("The quick brown fox, and *his* `dog`. ", 40_000))
    for form in (text_html, text_markdown):
        text = repeated(piece, 190_000)
        assert any(cost_s(form, text) < 25 * max(prose, 0.03) for _ in range(3)), form


def test_signs_that_are_too_many() -> None:
    """A text of signs is shown as it was written; a long answer with some of each is Markdown."""
    assert is_too_much(repeated("![", 190_000))
    assert not is_too_much(
        repeated("The *quick* brown [fox](https://example.org) has `legs`.\n" + "And more words. " * 12, 150_000)
    )


@pytest.mark.parametrize("language", ["androidbp", "adl", "c", "cpp", "fish", "nonsense"])
def test_a_slow_language(language: str) -> None:
    """Code in a language whose lexer can take long is plain."""
    assert code_html("int f(a < b)", language) == "<pre><code>int f(a &lt; b)</code></pre>\n"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("markdown", f"```c\nusing {' ' * 2_000}a\n```\n"),
        ("postgresql", f"CREATE FUNCTION f() RETURNS int AS $$ using {' ' * 2_000}a $$ LANGUAGE c;\n"),
    ],
)
def test_code_inside_of_code(language: str, code: str) -> None:
    """A language that holds code of others does not lead to the lexers of those."""
    assert any(cost_s(lambda code: Allowance().coloured(code, language), code + "x" * number) < BLOCK_S for number in range(3))


@pytest.mark.parametrize("language", ["console", "ini", "matlab"])
def test_a_language_for_short_code(language: str) -> None:
    """Where a token may take long, short code is coloured and longer code is plain."""
    code = "% note\n# note\n$ for a = 1\n"
    marked = re.compile("<[bi]>")
    assert marked.search(code_html(code, language))
    assert not marked.search(code_html(code * 100, language))


@pytest.mark.parametrize("language", ["python", "bash", "css"])
def test_colours_end_in_time(language: str) -> None:
    """The most code that is coloured, made to go back from each place, takes little longer than a block may."""
    for piece in ('\\"', "'", "(", "a ", "[", "<a ", "/*", "$("):
        code = repeated(piece, LONGEST + 3)
        # Each time another text, as the same would not be coloured again.
        parts = (code[number : LONGEST + number] for number in range(3))
        assert any(cost_s(lambda part: Allowance().coloured(part, language), part) < 3 * BLOCK_S for part in parts), piece


def test_colours_of_a_whole_text_end_in_time() -> None:
    """Many blocks share one allowance: when it is used up, the rest is plain."""
    allowance = Allowance()
    taken = 0.0
    for number in range(40):
        taken += cost_s(lambda code: allowance.coloured(code, "css"), f"{number}" + '\\"' * 4_000)
    assert taken < 3 * TEXT_S


def test_languages_are_known_to_pygments() -> None:
    """Each language of the list has a lexer, and they are written in lower case."""
    from pygments.lexers import get_lexer_by_name

    assert all(get_lexer_by_name(language) and language == language.lower() for language in _KNOWN)
    assert {"python", "py", "bash", "json", "sql", "r", "julia", "javascript", "html", "yaml", "diff", "pycon"} <= _KNOWN
