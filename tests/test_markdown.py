"""Code in Markdown: what a reader sees as code is what the SDK returns, what redaction spares and what the live view shows."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import islice
from unittest.mock import patch

import pytest

from claude_magic._markdown import code_in, finished_length, language_of, open_fence, split_lines
from claude_magic._mathematics import FORMULA_LENGTH
from claude_magic._render.live import growing_text
from claude_magic._render.live.growing_text import GrowingText
from claude_magic._render.parts.markdown_html import MARKDOWN_LIMIT, text_html
from claude_magic._render.parts.redacted_reply import cleaned
from claude_magic.sdk.response import SessionAwareResponse, Text

HOME = "/home/ada"


class Code(HTMLParser):
    """The text of each `<pre>`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "pre":
            self._inside = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data


def seen(markdown: str) -> list[str]:
    """The code that a reader of the settled reply sees."""
    return Code(text_html(markdown)).texts


def joined(pieces: list[str]) -> list[str]:
    """The code that a reader of the live view sees: a fence that was cut is one again."""
    texts: list[str] = []
    for piece in pieces:
        here = Code(piece).texts
        classes = piece.partition(">")[0]
        if "claude-continued" in classes:
            texts[-1] += here.pop(0)
        texts += here
    return texts


def lived(markdown: str, step: int) -> Iterator[tuple[str, list[str]]]:
    """Feed a text delta by delta to a view that cuts early; yield what has come and the code that is shown for it."""
    block = Text(0)
    growing = GrowingText(block)
    pieces: list[str] = []
    with patch.multiple(growing_text, PIECE_LENGTH=20, FENCE_LENGTH=30):
        for start in range(0, len(markdown), step):
            block.growing.add(markdown[start : start + step])
            if growth := growing.advance(float(start)):
                pieces += growth.finished
                yield markdown[: start + step], joined([*pieces, growth.tail])
        block.complete = True
        growth = growing.advance(0.0)
        assert growth is not None
        yield markdown, joined([*pieces, growth.tail])


CASES = [
    pytest.param("```python\na\n```", ["a"], id="plain"),
    pytest.param("Then\n```python\na\n```\nand", ["a"], id="no blank lines around"),
    pytest.param("- one\n\n  ```python\n  a\n    b\n  ```\n", ["a\n  b"], id="in a list"),
    pytest.param("1. ```python\n   a\n   ```\n2. ```python\n   b\n   ```", ["a", "b"], id="on the line of a list's mark"),
    pytest.param("- [ ] do\n  ```python\n  a\n  ```\n- [x] done", ["a"], id="in a list of tasks"),
    pytest.param("> ```python\n> a\n>\n> b\n> ```", ["a\n\nb"], id="in a quote"),
    pytest.param("> - ```python\n>   a\n>   ```", ["a"], id="in a list in a quote"),
    pytest.param("> ```python\n> a\nText.", ["a"], id="ended by its quote"),
    pytest.param("- ```python\n  a\nText.", ["a"], id="ended by its list"),
    pytest.param("   ```python\n   a\n  b\n     c\n   ```", ["a\nb\n  c"], id="indented"),
    pytest.param("    ```python\n    a\n    ```", ["```python\na\n```"], id="indented as code"),
    pytest.param("Text:\n\n    a\n\n    b\n\nText.", ["a\n\nb"], id="indented code"),
    pytest.param("```python\na\n`````", ["a"], id="a longer end"),
    pytest.param("````python\n```\na\n```\n````", ["```\na\n```"], id="in a longer fence"),
    pytest.param("~~~python\n```\na\n~~~", ["```\na"], id="tildes"),
    pytest.param("~~~ a `b`\na\n~~~", ["a"], id="backticks behind tildes"),
    pytest.param("```python\na\n```b\n```", ["a\n```b"], id="no end"),
    pytest.param("```python\na\n  ```  \nText.", ["a"], id="an indented end"),
    pytest.param("```python\na", ["a"], id="open"),
    pytest.param("- ```python\n  a\n\n", ["a\n"], id="open in a list"),
    pytest.param("```", [""], id="only a beginning"),
    pytest.param("```python\r\na\r\n\r\nb\r\n```\r\nText.\r\n", ["a\n\nb"], id="CRLF"),
    pytest.param("```python\n\ta\n```\n-\t```\n\ta\n\t\tb\n\t```", ["\ta", "a\n\tb"], id="tabs"),
    pytest.param("<details>\n<summary>Code</summary>\n```python\na\n```\n</details>", ["a"], id="between HTML"),
    pytest.param("<pre>\n\n```\n</pre>\n```", ["</pre>"], id="HTML of code"),
    pytest.param("$$\n```\na\n```\n$$", [], id="in a formula"),
    pytest.param("```markdown\n# a\n```js\nb\n```\nc\n```\nText.", ["# a\n```js\nb\n```\nc"], id="in a fence of Markdown"),
    pytest.param("~~~ md\n```\na\n```\n~~~\n```\nb\n```", ["```\na\n```", "b"], id="other marks in a fence of Markdown"),
    pytest.param("- ```md\n  ```js\n  a\nText.", ["```js\na"], id="a fence of Markdown ended by its list"),
    pytest.param("<details>\n<summary>a</summary>\n\n```\nb\n```\n</details>\n```\nc\n```", ["b", "c"], id="in a fold"),
    pytest.param("a[^1]\n\n[^1]: b\n```\nc\n```", ["c"], id="behind a footnote"),
    pytest.param("```\n$$\n```\n$$", ["$$"], id="a formula's mark"),
    pytest.param("| a |\n|---|\n```python\na\n```", ["a"], id="behind a table"),
    pytest.param("`a ```python b` and ```c```", [], id="code spans"),
    pytest.param("```a``` b\nc\n```", [""], id="a span that looks like a fence"),
    pytest.param("[a]: javascript:x\n    b\n\n[c]: https://x.example\n    d", ["d"], id="behind a link's definition"),
    pytest.param("```pycon\n>>> 1 + 1\n2\n```", [">>> 1 + 1\n2"], id="a session"),
]


@pytest.mark.parametrize(("markdown", "code"), CASES)
def test_code_blocks_are_what_is_shown_as_code(markdown: str, code: list[str]) -> None:
    """The code of a reply is that of the blocks that its reader sees as code, wherever they stand."""
    assert SessionAwareResponse(markdown).code_blocks == code
    assert [text.removesuffix("\n") for text in seen(markdown)] == code


@pytest.mark.parametrize(
    "info",
    [
        *("python", "Python", "PYTHON", "py", "python3", "Python3.11", "py3", "ipython", "IPython3", "jupyter-python"),
        *("{python}", "{.python}", "{.python .numberLines}", "{.numberLines .python}", '{#fit .python caption="a b"}'),
        *("{python, echo=FALSE}", "{code-cell} ipython3", "{code-block} python", "{ .python }"),
        *("python title=x", 'python title="a b.py"', "python {1,3-5}", "python{1}", "python:fit.py", "python,ignore"),
        *("python=", "python # then", " \tpython", "Python (3.12)"),
    ],
)
def test_python_is_python_however_it_is_written(info: str) -> None:
    """An info string that means Python makes a block Python, for `python_blocks` as for the colours."""
    markdown = f"~~~ {info}\nimport a\n~~~\n\n```\nb\n```"
    assert SessionAwareResponse(markdown).python_blocks == ["import a"]
    assert "<b>import</b>" in text_html(markdown)


@pytest.mark.parametrize(
    ("info", "language"),
    [
        *(("", ""), (" ", ""), ("{}", ""), ("title=x", ""), ("{code-cell}", ""), ("{.numberLines}", ""), ("#1", "")),
        *(("JS", "js"), ("c++", "c++"), ("C#", "c#"), ("objective-c", "objective-c"), ("html+jinja", "html+jinja")),
        *(("{r, fig.width=5}", "r"), ("{=html}", "html"), ("ts {1} title='a'", "ts"), ("c\\+\\+", "c++")),
        *(("pycon", "pycon"), ("python-console", "python-console"), ("python2", "python2"), ("cython", "cython")),
        ("text", "text"),
    ],
)
def test_language_of_an_info_string(info: str, language: str) -> None:
    """Another language is its name in lower case; an info string that names none says nothing."""
    assert language_of(info) == language
    assert SessionAwareResponse(f"~~~ {info}\na\n~~~").python_blocks == ([] if language else ["a"])


def test_a_text_too_long_to_show_has_its_code() -> None:
    """The code of a reply that is shown as it was written, because it is long, is found as in any other."""
    markdown = "- a list\n" * (MARKDOWN_LIMIT // 9) + "- ```python\n  a\n  ```\n"
    assert len(markdown) > MARKDOWN_LIMIT
    assert SessionAwareResponse(markdown).python_blocks == ["a"]


def test_the_sdk_is_imported_without_a_parser() -> None:
    """The SDK imports the parser of Markdown when somebody wants the code of a reply, and not before."""
    code = "import sys, claude_magic.sdk as s; print('markdown_it' in sys.modules, s.SessionAwareResponse('```').code_blocks)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False ['']\n"


@pytest.mark.parametrize("opening", ["$$ x\n", "$$\nx\n", "- $$ x\n", "\\[\n", "> \\begin{align}\n"])
def test_a_formula_that_is_open_is_not_finished(opening: str) -> None:
    """What may be a formula is kept together, whatever its lines say, until it ends, breaks off or is too long for one."""
    assert finished_length(f"a\n\n{opening}- b\n# c\n") == len("a\n\n")
    assert finished_length(f"a\n\n{opening}- b\n\nc\n") == len(f"a\n\n{opening}- b\n\n")
    long = f"{opening}" + "# b\n" * (FORMULA_LENGTH // 3)
    assert finished_length(f"{long}c\n") == len(long)


def test_a_formula_that_has_ended_is_finished() -> None:
    """What follows a formula does not wait for it."""
    assert finished_length("$$\n- x\n$$\n\nb\n") == len("$$\n- x\n$$\n\n")
    assert finished_length("$$x$$ is *x*\n\nb\n\nc\n") == len("$$x$$ is *x*\n\nb\n\n")


def test_a_fold_that_is_open_is_not_finished() -> None:
    """A fold is kept together until it is closed."""
    assert finished_length("a\n\n<details>\n\nb\n\nc\n") == len("a\n\n")
    assert finished_length("<details>\n\nb\n</details>\n\nc\n") == len("<details>\n\nb\n</details>\n\n")


@pytest.mark.parametrize(
    ("markdown", "opening"),
    [
        ("```python\na\n", "```python\n"),
        ("\n  ~~~\r\na\r\nb\r", "\n  ~~~\r\n"),
        ("````\n```\n", "````\n"),
        ("```\na\n```", "```\n"),
        ("```\na\n```\n", ""),
        ("```", ""),
        ("- ```\n  a\n", ""),
        ("```markdown\n```js\n", ""),
        ("a\n\n```\n", ""),
    ],
)
def test_open_fence(markdown: str, opening: str) -> None:
    """A text that is all in one fence without an end says how that begins; only whole lines are read."""
    assert open_fence(markdown) == opening


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        (f"- {HOME}\n  ```\n  {HOME}\n  ```\n- {HOME}", f"- ~\n  ```\n  {HOME}\n  ```\n- ~"),
        (f"> {HOME}\n> ```\n> {HOME}\n\n{HOME}", f"> ~\n> ```\n> {HOME}\n\n~"),
        (f"```\n{HOME}\n````\n{HOME}", f"```\n{HOME}\n````\n~"),
        (f"````\n```\n````\n{HOME}", "````\n```\n````\n~"),
        (f"```a``` {HOME}\n{HOME}", "```a``` ~\n~"),
        (f"```sh {HOME}\ncd {HOME}\n```", f"```sh ~\ncd {HOME}\n```"),
        (f"In {HOME}:\n\n    {HOME}\r\n\r{HOME}", f"In ~:\n\n    {HOME}\r\n\r~"),
        (f"{HOME}~~\n{HOME}", "\\~~~\n~"),
        (f"$$\n```\n{HOME}\n$$", "$$\n```\n~\n$$"),
    ],
)
def test_home_is_spared_where_code_is_shown(markdown: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the home directory stays in what is shown as code, and goes from everything else."""
    monkeypatch.setenv("HOME", HOME)
    assert cleaned(SessionAwareResponse(markdown)).content == shown


LINES = [
    *("", "", "", " ", "\t", "a", "b = 1", "`c`", "x < y & z", HOME, f"open('{HOME}/a')", f"{HOME}~~", f"~~{HOME}"),
    *("```", "```", "````", "~~~", "~~~~", "``", "```python", "``` {.python .x}", "~~~ py `a`", "```js x", "```a```b", "```\t"),
    *("$$", "$$ x", "$$ x $$", "x $$", "$$x$$ y", "$$$", "$ x", "# $$", "$$ a | b"),
    *("| a | b |", "|---|---|", "---", "===", "# head", "***", "<div>", "</div>", "<pre>", "<!--", "-->", "<script>"),
    *("\\[", "\\]", "\\[ x", "x \\]", "\\begin{align}", "\\end{align}", "\\(x", "y\\)", "$a$ $b"),
    *(
        "```markdown",
        "~~~ md",
        "<details>",
        "<summary>s</summary>",
        "</details>",
        "<sub>a",
        "</sub>",
        "[^1]",
        "[^1]: a",
        "[ ] a",
    ),
    *("[a]: https://x.example", "[a]: javascript:x", "[a]:", "'t", "[a]", "\\", "&#96;&#96;&#96;", "\x0b", "\u2028", "\0"),
]
PREFIXES = ["", "", "", "", " ", "  ", "   ", "    ", "     ", "\t", "- ", "-   ", "-     ", "1. ", "2) ", "* ", "> ", ">"]


def soup(rng: random.Random) -> str:
    """Lines of all kinds, behind marks of lists and quotes that sometimes fit together."""
    kept = ""
    text = ""
    end = rng.choice(["\n", "\n", "\n", "\r\n", "\r"])
    for _ in range(rng.randrange(1, 30)):
        if rng.random() < 0.3:
            kept = "".join(rng.choice(PREFIXES) for _ in range(rng.randrange(3)))
        elif rng.random() < 0.5:
            kept = re.sub(r"[-*]|\d[.)]", lambda mark: " " * len(mark[0]), kept)  # the next line of the same item
        text += kept + rng.choice(LINES) + (end if rng.random() < 0.97 else rng.choice(["\n", "\r\n", "\r"]))
    return text if rng.random() < 0.5 else text.rstrip("\r\n")


def nested(rng: random.Random, depth: int = 0) -> str:
    """A document as a model writes one: prose, code, lists and quotes in each other."""
    blocks = []
    for _ in range(rng.randrange(1, 4)):
        match rng.randrange(6 if depth < 4 else 3):
            case 0:
                blocks.append(f"Text in {HOME}, then `code`.\n")
            case 1 | 2:
                fence = rng.choice("`~") * rng.randrange(3, 6)
                code = "".join(f"{rng.choice(LINES)}\n" for _ in range(rng.randrange(6)))
                closing = fence + fence[0] * rng.randrange(2)
                blocks.append(f"{fence}{rng.choice(['', 'python', ' Python3.11', 'bash', 'json'])}\n{code}{closing}\n")
            case 3:
                blocks.append(re.sub("^", "> ", nested(rng, depth + 1), flags=re.MULTILINE).removesuffix("> "))
            case _:
                mark = rng.choice(["- ", "1. ", "* ", "-   "])
                inner = re.sub("^(?=.)", " " * len(mark), nested(rng, depth + 1), flags=re.MULTILINE)
                blocks.append(mark + inner[len(mark) :])
    return rng.choice(["", "\n"]).join(blocks)


SEEDS = range(8)


def generated(seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(25):
        yield soup(rng)
        yield nested(rng)


@pytest.mark.parametrize("seed", SEEDS)
def test_code_of_any_text_is_what_is_shown(seed: int) -> None:
    """However blocks are nested, the SDK returns the code that is shown, in order, and knows in which lines it stands."""
    for markdown in generated(seed):
        blocks = code_in(markdown)
        assert [code.text for code in blocks] == seen(markdown), markdown
        lines = split_lines(markdown)
        for code in blocks:
            there = "".join(lines[code.first_line : code.end_line])
            assert all(line.strip() in there.replace("\0", "\ufffd") for line in code.text.split("\n")), markdown


@pytest.mark.parametrize("seed", SEEDS)
def test_redaction_leaves_code_alone_in_any_text(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However blocks are nested, the home directory goes from all but the code, and no code changes."""
    monkeypatch.setenv("HOME", HOME)
    for markdown in generated(seed):
        shown = cleaned(SessionAwareResponse(markdown)).content
        assert seen(shown) == seen(markdown), markdown
        left = rf"(?<!~){HOME}"
        assert len(re.findall(left, shown)) == sum(len(re.findall(left, code)) for code in seen(shown)), markdown


@pytest.mark.parametrize("seed", SEEDS)
def test_live_view_of_any_text_shows_its_code(seed: int) -> None:
    """However a text arrives, its pieces together show the code that the settled reply shows, at every moment."""
    for number, markdown in enumerate(islice(generated(seed), 16)):
        for text, code in lived(markdown, step=3 + number % 11):
            assert code == seen(text), (text, markdown)
