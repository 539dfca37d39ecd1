"""Values, files and errors that go into a prompt: what Claude reads, and what they can not do there."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cells import answered, ask, failure, sent_text, usage_error
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from messages_api import MessagesAPI
from rig.kernel import Kernel

from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.prompt.composition import Composed, compose
from claude_magic.errors import ClaudeError

SECRET = "the secret 4711"
SHARED = "the shared 1234"

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")


class Pictured:
    def __repr__(self) -> str:
        return "a picture"

    def _repr_png_(self) -> bytes:
        return PNG


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Hostile:
    def __repr__(self) -> str:
        raise ValueError("not shown")

    def fail(self) -> None:
        raise Unprintable


NAMES: dict[str, Any] = {
    "word": "Ann",
    "number": 41,
    "items": [1, 2],
    "empty": "",
    "spy": "see @secret.txt",
    "path": "secret.txt",
    "command": "/context",
    "picture": Pictured(),
    "hostile": Hostile(),
}


Compose = Callable[..., Composed]


@pytest.fixture
def composed(shell: InteractiveShell) -> Compose:
    """Return what would be sent: `composed("{{ word }}", limit=100, input=("word",))`."""
    shell.user_ns.update(NAMES)

    def composed(typed: str, *, limit: int = 100, **options: Any) -> Composed:
        return compose(shell, typed, Options(**options), limit=limit, namespace=shell.user_ns)

    return composed


def texts(prompt: Composed) -> list[str]:
    content = prompt.prompt.content
    return [content] if isinstance(content, str) else [block["text"] for block in content if block["type"] == "text"]


def sent(api: MessagesAPI) -> list[dict[str, Any]]:
    """Return the blocks of the newest message of the user."""
    content = next(message for message in reversed(api.requests[-1]["messages"]) if message["role"] == "user")["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


# Templates


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("{{ word }} is {{ number + 1 }}", "Ann is 42"),
        ("{{ word }}, {{ word }}", "Ann, Ann"),
        ("{% for item in items %}{{ loop.index }}:{{ item }} {% endfor %}.", "1:1 2:2 ."),
        ("{{ word | upper }} {{ items | join('-') }}", "ANN 1-2"),
        ("{% macro hi(who) %}hi {{ who }}{% endmacro %}{{ hi(word) }} {{ hi(word) | upper }}", "hi Ann HI ANN"),
        ("{% filter upper %}hi {{ word }}{% endfilter %}", "HI ANN"),
        ("{% set all %}x{{ word }}{% endset %}{{ all }} {{ all | length }}", "xAnn 4"),
        ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}{{ word }}{% endcall %}", "<Ann>"),
        ("{{ sorted(items, reverse=True)[0] }}", "2"),
        ("{{ '{{' }} {% raw %}{{ word }}{% endraw %}", "{{ {{ word }}"),
        ("{# no comment #} {{ word }}", "{# no comment #} Ann"),
        ("{{ items[0:1][0] }} {{ items[:1, ] if 0 else number is None }}", "1 False"),
        ("{{ [n for n in items if (n > 1) & (n < 9)][0] }} of {{ word | upper }}", "2 of ANN"),
        ("{{ f'{number:05d}' }} {{ ~number }} {{ number | number }} {{ (lambda x: x)(word) }}", "00041 -42 41 Ann"),
        ('f\'{word}\' {"a": {"b": 1}} \\frac{1}{2} {#', 'f\'{word}\' {"a": {"b": 1}} \\frac{1}{2} {#'),
        ("{% if number > 40 %}big{% else %}small{% endif %}\n", "big\n"),
    ],
)
def test_template(composed: Compose, typed: str, expected: str) -> None:
    """A prompt is a template over the namespace; what is no template stays as it is."""
    prompt = composed(typed).prompt
    assert prompt.content == expected
    assert not prompt.verbatim


@pytest.mark.parametrize("typed", ["\\frac{{a}}{b} {% x %}", "{{ word }}", "{{"])
def test_raw(composed: Compose, typed: str) -> None:
    """`--raw` leaves braces alone."""
    assert composed(typed, raw=True).prompt.content == typed


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("{{ nam }}", "'nam' is undefined"),
        ("{% if nam %}x{% endif %}", "'nam' is undefined"),
        ("\\frac{{a}}{b}", "'a' is undefined"),
        ("{{ word.age }}", "no attribute 'age'"),
        ("{{ number / 0 }}", "ZeroDivisionError: division by zero"),
        ("{{ [n / 0 for n in items] }}", "ZeroDivisionError: division by zero"),
        ("{{ [n for n in nowhere] }}", "NameError: name 'nowhere' is not defined"),
        ("{{ hostile.fail() }}", "Unprintable"),
        ("one\n{{ word", "line 2 of the prompt"),
        ("{% x %}", "unknown tag 'x'"),
        ("{{ word | x }}", "No filter named 'x'"),
        ("{% include 'x' %}", "no loader"),
        ("{{ error }}", "no code of yours has failed yet"),
        ("{{ empty }} {{ empty }}", "the prompt is empty once its template is filled"),
    ],
)
def test_template_error(composed: Compose, typed: str, said: str) -> None:
    """A template that cannot be filled is an error of one line, and nothing is sent."""
    with pytest.raises(UsageError) as raised:
        composed(typed)
    (line,) = str(raised.value).splitlines()
    assert said in line
    assert "nothing was sent" in line


def test_value_that_cannot_be_shown(composed: Compose) -> None:
    """A value whose `__repr__` raises is an error that names its type."""
    with pytest.raises(ClaudeError, match=r"Hostile cannot be shown: ValueError: not shown"):
        composed("{{ hostile }}")


# What data can not do


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("{{ spy }}", "see @secret.txt"),
        ("{{ spy.split()[1] }}", "@secret.txt"),
        ("{{ command }} now", "/context now"),
        ("{{ empty }}{{ command }}", "/context"),
        ("@{{ path }}", "@secret.txt"),
        ("@./{{ path }}", "@./secret.txt"),
        ('@"{{ path }}"', '@"secret.txt"'),
        ("/{{ word }}", "/Ann"),
        ("{% filter trim %}@{{ path }}{% endfilter %}", "@secret.txt"),
    ],
)
def test_data_expands_nothing(composed: Compose, typed: str, expected: str) -> None:
    """A path or command that comes from data, wholly or in part, is sent as text."""
    prompt = composed(typed).prompt
    assert prompt.content == expected
    assert prompt.verbatim


@pytest.mark.parametrize(
    ("typed", "above", "last"),
    [
        ("{{ spy }} and @shared.txt", "see @secret.txt", "(value 1 above) and @shared.txt"),
        ("@{{ path }} and @shared.txt", "secret.txt", "@(value 1 above) and @shared.txt"),
        ("{{ command }} @shared.txt", "/context", "(value 1 above) @shared.txt"),
        ("/review {{ number }} {{ spy }}", "see @secret.txt", "/review 41 (value 1 above)"),
        (
            "{% macro m() %}m {{ spy }}{% endmacro %}{{ m() }} @shared.txt",
            "m see @secret.txt",
            "(value 1 above) @shared.txt",
        ),
    ],
)
def test_typed_beside_data(composed: Compose, typed: str, above: str, last: str) -> None:
    """Where something typed expands, data that could is put above it, and harmless values stay where they are."""
    prompt = composed(typed)
    assert texts(prompt) == [f"Value 1:\n{above}", last]
    assert not prompt.prompt.verbatim


def test_harmless_data_beside_typed(composed: Compose) -> None:
    """A command and a path as typed expand beside harmless values, also those in the template's own words."""
    for typed in ("/review {{ number }}", "@shared.txt {{ word }}", "{% if number %}@shared.txt{% endif %} {{ word }}"):
        assert not composed(typed).prompt.verbatim
        assert len(texts(composed(typed))) == 1


def test_secret_stays(shared_session: Kernel, api: MessagesAPI) -> None:
    """A variable holds `@` and the path of a secret file: the API never sees it, while `@path` as typed is expanded."""
    directory = shared_session.notebook_dir
    (directory / "secret.txt").write_text(SECRET)
    (directory / "shared.txt").write_text(SHARED)
    shared_session.run(f"spy = 'see @secret.txt and @{directory / 'secret.txt'}'; path = 'secret.txt'")
    for prompt in ("{{ spy }}", "{{ spy }} and @shared.txt", "@{{ path }}", "/context {{ spy }}", "{{ spy }} /context"):
        answered(shared_session, prompt)
    answered(shared_session, "@shared.txt again", "--input spy")
    seen = json.dumps(api.requests)
    assert SECRET not in seen
    assert "@secret.txt" in seen
    assert SHARED in json.dumps(api.requests[1])
    answered(shared_session, "@secret.txt")
    assert SECRET in json.dumps(api.requests[-1])


# Values, images, the last error


def test_names_of_the_shell(shared_session: Kernel, api: MessagesAPI) -> None:
    """`_`, `Out` and `In` are there, a reply is its text, and what is not there is named."""
    shared_session.run("6 * 7")
    number = shared_session.value("get_ipython().execution_count") - 1
    answered(shared_session, f"{{{{ _ }}}} {{{{ Out[{number}] }}}} {{{{ In[{number}] }}}}", "--output reply")
    assert sent_text(api) == "42 42 6 * 7"
    answered(shared_session, "so: {{ reply }}")
    assert sent_text(api) == "so: You said: 42 42 6 * 7"
    count = len(api.requests)
    assert "'nam' is undefined" in usage_error(ask(shared_session, "{{ nam }}"))
    assert "no variable nam" in usage_error(ask(shared_session, "x", "--input nam"))
    assert len(api.requests) == count


def test_variables_of_a_function(shared_session: Kernel, api: MessagesAPI) -> None:
    """In a function a prompt sees its own variables first, and those of the notebook."""
    code = "y, z = 10, 'all'\ndef f(y):\n    %claude --quiet value {{ y }} of {{ z }}\nf(3)"
    assert shared_session.run(code).ok
    assert sent_text(api) == "value 3 of all"


def test_table_has_lines_of_its_own(shared_session: Kernel, api: MessagesAPI) -> None:
    """A table in the middle of a sentence is a Markdown table with its shape."""
    shared_session.run("import pandas; table = pandas.DataFrame({'age': range(50)})")
    answered(shared_session, "In {{ table }}what is odd?")
    lines = sent_text(api).splitlines()
    assert lines[:3] == ["In ", "", "DataFrame: 50 rows × 1 column"]
    assert "|  | age |" in lines
    assert lines[-2:] == ["", "what is odd?"]


def test_images(shared_session: Kernel, api: MessagesAPI) -> None:
    """What has a picture is sent as one, in order, with the prompt behind it; `show --prompt` tells."""
    shared_session.run("import PIL.Image; a, b = PIL.Image.new('RGB', (3, 4)), PIL.Image.new('L', (5, 6))")
    answered(shared_session, "compare {{ a }} with {{ b }}", "--input a")
    content = sent(api)
    assert [block["source"]["media_type"] for block in content if block["type"] == "image"] == ["image/png"] * 3
    (prompt,) = api.prompts()[-1][-1:]
    assert prompt == "compare PIL image, mode RGB, 3 × 4 pixels with PIL image, mode L, 5 × 6 pixels"
    shown = shared_session.run("%claude_session show --prompt").stdout
    assert shown.count("[image: image/png") == 3
    assert shown.partition("\n\nA whole request of ")[0].rstrip().endswith(prompt)


def test_input(shared_session: Kernel, api: MessagesAPI) -> None:
    """`-i` sends values along under their names, before the prompt."""
    shared_session.run("first, second = 'one', [2]")
    answered(shared_session, "which?", "--input first second")
    content = sent(api)
    assert [block["text"] for block in content][-3:] == ["first:\n```\none\n```", "second:\n```\n[2]\n```", "which?"]


def test_cut(composed: Compose) -> None:
    """What is longer than the limit is cut, which Claude reads and the person is told."""
    prompt = composed("{{ 'x' * 1_000_000 }} {{ word }}", input=("word",), limit=1000)
    assert len(texts(prompt)[-1]) < 1200
    assert "left out" in texts(prompt)[-1]
    assert len(prompt.remarks) == 1
    assert "value_limit is 1,000" in prompt.remarks[0]


def test_the_last_error(shared_session: Kernel, api: MessagesAPI) -> None:
    """`{{ error }}` and `--error` bring the traceback and the failing cell, until a variable has that name."""
    shared_session.run("divisor = 0\n1 / divisor")
    answered(shared_session, "{{ error }}")
    text = sent_text(api)
    assert "divisor = 0\n1 / divisor" in text
    assert text.endswith("ZeroDivisionError: division by zero")
    answered(shared_session, "{{ error.args[0] }}")
    assert sent_text(api) == "division by zero"
    result = shared_session.run("%claude --error")
    assert result.ok, result.outputs
    assert text in sent(api)[-2]["text"]
    assert sent_text(api) == "Explain this error, and how to mend it."
    shared_session.run("error = 'mine'")
    answered(shared_session, "{{ error }}")
    assert sent_text(api) == "mine"
    shared_session.run("del error")


def test_interrupt_of_an_expression(shared_session: Kernel, api: MessagesAPI) -> None:
    """An expression that hangs is interrupted as any other code."""
    shared_session.run("import time\ndef hang():\n    print('going', flush=True)\n    time.sleep(600)")
    cell = shared_session.start("%%claude\n{{ hang() }}")
    cell.wait_for(lambda result: "going" in result.stdout)
    shared_session.interrupt()
    assert cell.wait().reply["ename"] == "KeyboardInterrupt"
    assert api.requests == []


# Files


@pytest.fixture
def files(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with files of several kinds, and in it."""
    private = tmp_path_factory.mktemp("private")
    (private / "a.txt").write_text("private")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, text in {"a b.txt": "spaced @secret.txt", "it's.txt": "quoted", "x[1].txt": "bracketed", "empty.txt": ""}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "picture.txt").write_bytes(PNG)
    (tmp_path / "binary.dat").write_bytes(bytes(range(256)))
    (tmp_path / "latin.csv").write_bytes("Zürich;1".encode("latin-1"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.txt").symlink_to(private / "a.txt")
    (tmp_path / "links").symlink_to(private)
    return tmp_path


def test_files(composed: Compose, files: Path) -> None:
    """Files are sent before the prompt, whatever their names; a picture by what it holds; a pattern in order."""
    prompt = composed("look @shared.txt", file=("~/a b.txt", "x[1].txt", "picture.txt", "[ei]*.txt"))
    names = [text.partition(":")[0] for text in texts(prompt)]
    assert names == ["a b.txt", "x[1].txt", "empty.txt", "it's.txt", "look @shared.txt"]
    assert isinstance(prompt.prompt.content, list)
    assert [block["type"] for block in prompt.prompt.content].count("image") == 1
    assert not prompt.prompt.verbatim


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere.txt", "There is no file"),
        ("~/nowhere.txt", "There is no file ~/nowhere.txt"),
        ("no*.txt", "No file matches no"),
        ("folder", "is a directory"),
        ("link.txt", "leads out of its folder"),
        ("lin*.txt", "leads out of its folder"),
        ("links/a.txt", "leads out of its folder"),
        ("folder/*", "No file matches folder"),
        ("binary.dat", "neither text nor an image"),
        ("latin.csv", "not text in UTF-8"),
    ],
)
def test_file_that_cannot_be_sent(composed: Compose, files: Path, path: str, said: str) -> None:
    """A file that is not there, or is none that Claude reads, is an error of one sentence."""
    with pytest.raises(ClaudeError) as raised:
        composed("look", file=(path,))
    assert said in raised.value.message


def test_patterns_elsewhere(composed: Compose, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern of another directory does not find, through a link, what is not in that directory."""
    (files / "folder" / "b.txt").write_text("open")
    monkeypatch.chdir(files / "folder")
    assert texts(composed("look", file=(f"{files}/fold*/*.txt",)))[0].startswith("b.txt:")
    with pytest.raises(ClaudeError, match="leads out of its folder, to"):
        composed("look", file=(f"{files}/l*/*.txt",))


def test_file_error_in_a_cell(shared_session: Kernel, api: MessagesAPI) -> None:
    """The error of a file says what to do, and nothing was sent."""
    failure(ask(shared_session, "look", "--file nowhere.txt"), "AttachmentError")
    assert api.requests == []
