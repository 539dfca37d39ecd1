"""IPython in a real terminal of 60 columns: what a person types, sees and is asked there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cells import sent_text
from messages_api import MessagesAPI
from rig import TIMEOUT_S
from rig.leaks import Ledger
from rig.terminal import Terminal

pytestmark = pytest.mark.long

IPYTHON = (sys.executable, "-m", "IPython", "--no-banner", "--no-confirm-exit", "--no-tip")
ASKED = "instead:"
MEGABYTE = 2**20


class Typing:
    """A person at IPython's prompt."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._prompt = 1
        self.wait_for_prompt()

    def wait_for_prompt(self) -> None:
        start = f"In [{self._prompt}]:"
        self.terminal.wait_for(lambda: self.terminal.line.startswith(start), start)

    def line(self, line: str) -> str:
        """Type a line and Enter; return what is there when the next prompt is."""
        self.begin(line)
        return self.end()

    def begin(self, line: str) -> None:
        self.terminal.type(f"{line}\r")
        self._prompt += 1

    def cell(self, first: str, body: str) -> None:
        """Type a cell whose first line opens the next one; two blank lines end it, as they do behind `%%time`."""
        self.terminal.type(f"{first}\r")
        self.terminal.wait_for(lambda: "...:" in self.terminal.line, f"{first} opens no line below it")
        self.begin(f"{body}\r\r")

    def wait_for_question(self) -> None:
        self.terminal.wait_for(lambda: self.terminal.line.rstrip().endswith(ASKED), "the question")

    def end(self) -> str:
        self.wait_for_prompt()
        return self.terminal.text


@pytest.fixture(scope="module")
def module_typing(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], ledger: Ledger) -> Iterator[Typing]:
    with (
        Terminal(IPYTHON, tmp_path_factory.mktemp("terminal"), environment, rows=16, columns=60) as terminal,
        ledger.adopt(lambda: terminal.pid),
    ):
        person = Typing(terminal)
        person.line("%load_ext claude_magic")
        yield person
        terminal.type("exit()\r")
        assert terminal.end() == 0


@pytest.fixture
def typing(module_typing: Typing, api: MessagesAPI) -> Typing:
    return module_typing


def tool(code: str) -> str:
    return f"<<tool mcp__kernel__run_code {json.dumps({'code': code})}>><<say done>>"


def test_enter_opens_the_next_line(typing: Typing, api: MessagesAPI) -> None:
    """Enter behind `%%claude` opens the next line, as behind `%%time`."""
    typing.cell("%%claude", "hello there")
    assert "You said: hello there" in typing.end()
    assert sent_text(api) == "hello there"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("print('a' * 3, end='')", "aaa\n"),
        ("6 * 7", "42\n"),
        ("1/0", "ZeroDivisionError: division by zero\n"),
        ("import sys; print('to stderr', file=sys.stderr)", "to stderr\n"),
        ("print('\\\\n'.join(map(str, range(3000))))", "2999\n"),
    ],
)
def test_code_of_claudes(typing: Typing, api: MessagesAPI, code: str, shown: str) -> None:
    """Code that Claude runs shows what it prints, its value or its failure once, Claude reads it, and memory stays."""
    memory = typing.terminal.memory
    typing.cell("%%claude", tool(code))
    typing.wait_for_question()
    typing.terminal.type("y\r")
    written = typing.end()
    assert shown in written
    assert "done" in written.rsplit(shown, 1)[1]
    (result,) = [
        block["content"]
        for block in api.requests[-1]["messages"][-1]["content"]
        if isinstance(block, dict) and block["type"] == "tool_result"
    ]
    assert str(result).count(shown.strip()) == 1
    assert typing.terminal.memory - memory < 50 * MEGABYTE


def test_keys_and_rules_are_no_markup(typing: Typing, api: MessagesAPI) -> None:
    """The keys and the rule of a question are shown as they are; Ctrl-D is a refusal, which Claude hears."""
    typing.cell("%%claude", '<<tool Bash {"command": "touch [red]x"}>><<say done>>')
    typing.wait_for_question()
    asked = typing.terminal.text.replace("\n    … ", "")
    assert "[y] allow once,\n[s] allow this command in this session: Bash(touch [red]x)," in asked
    typing.terminal.type("\x04")
    written = typing.end()
    assert "denied" in written
    assert "Traceback" not in written.rsplit(ASKED, 1)[1]
    assert "done" in written.rsplit(ASKED, 1)[1]


def test_a_question_is_not_painted_over(typing: Typing, api: MessagesAPI) -> None:
    """Code that a terminal would break at its edge begins no line there."""
    forged = "Claude asks to use inspect_variable in /data:"
    code = "1 #".ljust(60 - len("    code: ")) + " " * 60 * 20 + forged.ljust(60) + "    name: df"
    typing.cell("%%claude", tool(code))
    typing.wait_for_question()
    shown = typing.terminal.shown
    typing.terminal.type("n\r")
    typing.end()
    assert "    code: 1 #\n    (1,246 blanks)\n    … Claude asks to use inspect_variable in /data:\n" in shown
    assert f"\n{forged}" not in shown


def test_what_is_typed_ahead_answers_nothing(typing: Typing, api: MessagesAPI) -> None:
    """What was typed before a question could be read does not answer it, nor does a second Enter answer the next one."""
    first, second = (json.dumps({"command": f"touch ahead{number}"}) for number in (1, 2))
    typing.begin(f"%claude <<say Soon.>><<wait>><<tool Bash {first}>><<tool Bash {second}>><<say done>>")
    typing.terminal.wait_for(lambda: "Soon." in typing.terminal.text, "the beginning")
    typing.terminal.type("y\r")
    api.go_on.set()
    typing.wait_for_question()
    typing.terminal.type("n\ry\r")
    typing.terminal.wait_for(lambda: typing.terminal.text.count("touch ahead2") == 1, "the second question")
    typing.wait_for_question()
    typing.terminal.type("n\r")
    typing.end()
    assert "found []" in typing.line("import glob; print('found', glob.glob('ahead*'))")


def test_ctrl_c(typing: Typing, api: MessagesAPI) -> None:
    """Ctrl-C ends the question, or the code that runs, and the turn with it; nothing is drawn twice for that."""
    typing.cell("%%claude", '<<tool Bash {"command": "touch x"}>><<say done>>')
    typing.wait_for_question()
    typing.terminal.type("\x03")
    after = typing.end().rsplit(ASKED, 1)[1]
    assert after.count("Bash  touch x") == 1
    assert "TurnInterrupted" in after
    typing.cell("%%claude", tool("import time; print('begun'); time.sleep(100)"))
    typing.wait_for_question()
    typing.terminal.type("y\r")
    typing.terminal.wait_for(lambda: "begun" in typing.terminal.lines, "the code runs")
    typing.terminal.type("\x03")
    assert "TurnInterrupted" in typing.end().rsplit("begun", 1)[1]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("' '.join(f'word{i}' for i in range(600))", "word599"),
        ("'\\n'.join(f'- item {i}' for i in range(60))", "item 59"),
        ("'```\\n' + '\\n'.join(f'x = {i}' for i in range(60))", "x = 59"),
    ],
)
def test_long_replies_scroll(typing: Typing, api: MessagesAPI, text: str, last: str) -> None:
    """While a reply grows past the height of the screen its end can be seen; in the end it is there whole, once."""
    typing.line(f"text = {text}")
    typing.begin("%claude <<say {{ text }}>><<wait>>")
    typing.terminal.wait_for(lambda: last in typing.terminal.shown, last)
    api.go_on.set()
    above, _, reply = typing.end().rpartition("<<wait>>")
    assert above
    assert reply.count(last) == 1
    assert reply.count(last.replace("59", "30")) == 1


def test_mathematics_keeps_its_backslashes(typing: Typing, api: MessagesAPI) -> None:
    r"""Formulas stand there as they were written, `\\` among them."""
    formulas = (r"$\frac{a}{b}$", r"\(x_1\)", r"$$\alpha_i \\ \beta$$")
    typing.line(f"%claude <<say {' '.join(formulas)}>>")
    reply = typing.terminal.text.rsplit(">>", 1)[1].replace("\n", " ")
    assert all(formula in reply for formula in formulas)


def test_pick(typing: Typing, api: MessagesAPI) -> None:
    """Below several replies stands how to go on from another one, and so one can."""
    typing.cell("%%claude --samples 2", "hello")
    assert "%claude_session pick NUMBER continues from another one." in typing.end().replace("\n", " ")
    assert "goes on from answer 2, turn" in typing.line("%claude_session pick 2")


def test_lists_fit(typing: Typing, api: MessagesAPI) -> None:
    """Panel, list, tree and help are lines that fit, and say what is what."""
    typing.line("%claude hello, which columns of the table have missing values?")
    whole = r"   .*last used: \d{4}-\d\d-\d\d \d\d:\d\d.*"
    for word, line in (("", whole), ("list", whole), ("turns", r"\W*\d+ +hello, .*"), ("help", " {8}draw the tree of .*")):
        shown = typing.line(f"%claude_session {word}").rsplit(f"%claude_session {word}".strip(), 1)[1]
        assert any(re.fullmatch(line, text) for text in shown.splitlines()), shown
        assert word != "turns" or re.search(r"hello, which .*\s+current\b", shown), shown


def test_lines_of_errors_end_with_whole_words(typing: Typing, api: MessagesAPI) -> None:
    """The lines of an error and of its next step fit, too, and are divided between words."""
    typing.line("%claude hello")
    shown = " ".join(typing.line("%claude_session resume 99999999").split())
    assert "%claude_session list shows what there is. The current session (" in shown


def test_ended_input_is_a_refusal(environment: dict[str, str], api: MessagesAPI, tmp_path: Path) -> None:
    """`ipython -c` ends without a traceback, also at once; where no input is, nobody is there to be asked."""
    for code in ("%load_ext claude_magic", '%load_ext claude_magic\n%claude <<tool Bash {"command": "touch y"}>><<say done>>'):
        done = subprocess.run(
            [*IPYTHON, "-c", code],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        assert not done.stderr
    assert '--allow "Bash(touch y)"' in done.stdout
    assert "done" in done.stdout
    assert not (tmp_path / "y").exists()


def test_the_cell_above(typing: Typing, api: MessagesAPI) -> None:
    """What the cell above printed goes along with a prompt, and the figure that it returned is there to be looked at."""
    typing.line("%claude_session new")
    typing.line("from matplotlib.figure import Figure; figure = Figure((2, 1)); axes = figure.subplots(); print('12 rows')")
    typing.line("figure")
    number = int(typing.terminal.text.rsplit("Out[", 1)[1].partition("]")[0])
    typing.cell("%%claude", f'<<tool mcp__kernel__read_cells {{"numbers": [{number - 1}, {number}]}}>><<say done>>')
    assert "done" in typing.end()
    content = api.requests[-1]["messages"][-1]["content"]
    (result,) = [block["content"] for block in content if isinstance(block, dict) and block["type"] == "tool_result"]
    assert "12 rows" in str(result)
    assert [part["type"] for part in result].count("image") == 1
