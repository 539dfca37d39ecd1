"""A permission request as it is seen: the card with its buttons, and the lines where there are none."""

from __future__ import annotations

import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import anyio
import pytest
from page import Page
from payloads import NOT_RENDERED

from claude_magic._render.live.open_question import TICK_S, OpenQuestion
from claude_magic._render.live.question import ARM_S, UNSEEN_S, ask_in_lines
from claude_magic._render.live_view import LiveView
from claude_magic._render.parts.block import block_html
from claude_magic.sdk.events import TextDelta, ToolStarted
from claude_magic.sdk.host import Decision, PermissionAnswer, PermissionRequest, Suggestion
from claude_magic.sdk.response import SessionAwareResponse, ToolCall, fold

RULE = "Bash(git status:*)"


def request(
    tool: str = "Bash", rules: tuple[str, ...] = (RULE,), reason: str | None = None, **arguments: Any
) -> PermissionRequest:
    return PermissionRequest("call", tool, arguments or {"command": "git status -s"}, "/data/titanic", reason, rules)


class Card:
    """A card on the page, and the answers that it gave."""

    def __init__(self, page: Page, asked: PermissionRequest) -> None:
        self.page, self.asked = page, asked
        self.answers: list[PermissionAnswer] = []
        self.view = LiveView([""], lambda: None)
        assert self.view.ask(1, asked, self.answers.append)
        self.html = next(value for value in page.html() if 'role="alertdialog"' in value)
        self.text = html.unescape(re.sub(r"<[^>]*>", "", self.html))
        self.response = SessionAwareResponse()

    def at(self, elapsed_s: float) -> Card:
        """Let the turn be so old."""
        self.view.update([self.response], elapsed_s)
        return self

    def ready(self, asked_s: float = 0.0) -> Card:
        """Let the page show the card, and a moment pass."""
        self.page.see()
        return self.at(asked_s).at(asked_s + ARM_S)

    def type(self, words: str) -> None:
        (text,) = [model for model in self.page.shown() if model["_model_name"] == "TextModel"]
        self.page.change(text, value=words)

    def enter(self) -> None:
        (text,) = [model for model in self.page.shown() if model["_model_name"] == "TextModel"]
        data = {"method": "custom", "content": {"event": "submit"}}
        self.page.comms[text["model_id"]].handle_msg({"content": {"data": data}, "buffers": []})

    @property
    def buttons(self) -> list[dict[str, Any]]:
        return [
            model for model in self.page.shown() if model["_model_name"] == "ButtonModel" and model["description"] != "Stop"
        ]

    def click(self, start: str) -> None:
        self.page.click(next(button for button in self.buttons if button["description"].startswith(start)))


def closed(card: Card) -> Card:
    card.view.close()
    return card


def joined(shown: str) -> str:
    """Return what a terminal shows with each line as one row."""
    return shown.replace("\n    … ", "")


ASKED: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "command": ("Bash", {"command": "ls -l\ndu -sh", "description": "Look"}, ["run a command", "ls -l\ndu -sh", "Look"]),
    "write": ("Write", {"file_path": "/d/a.py", "content": "x = 1\ny = 2"}, ["write a file", "/d/a.py", "x = 1\ny = 2"]),
    "edit": (
        "Edit",
        {"file_path": "/d/a.py", "old_string": "x = 1", "new_string": "x = 2", "replace_all": True},
        ["change a file", "/d/a.py", "-x = 1\n+x = 2", "replace_all: True"],
    ),
    "edits": (
        "MultiEdit",
        {"file_path": "/d/a.py", "edits": [{"old_string": "a", "new_string": "b"}, {"old_string": "c", "new_string": "d"}]},
        ["change a file", "/d/a.py", "-a\n+b\n-c\n+d"],
    ),
    "line end added": (
        "Edit",
        {"file_path": "/d/a.py", "old_string": "#", "new_string": "#\n"},
        ["-#", "+#", "\\ A line end is added."],
    ),
    "new file": ("Edit", {"file_path": "/d/a.py", "old_string": "", "new_string": "x = 1\n"}, ["+x = 1\n"]),
    "line end removed": (
        "Edit",
        {"file_path": "/d/a.py", "old_string": "#\n", "new_string": "#"},
        ["-#", "+#", "\\ A line end is removed."],
    ),
    "a part of a line": (
        "Edit",
        {"file_path": "/d/a.py", "old_string": "# ", "new_string": ""},
        ["-# ", "\\ A line end that follows is removed, too."],
    ),
    "deletion": (
        "Edit",
        {"file_path": "/d/a.py", "old_string": "gone\n", "new_string": ""},
        ["-gone", "\\ Its line end is removed, too."],
    ),
    "code": (
        "mcp__kernel__run_code",
        {"code": "if a < b:\n    print('x')"},
        ["run code in this kernel", "if a < b:\n    print('x')"],
    ),
    "page": (
        "WebFetch",
        {"url": "https://example.org/?q=a&b", "prompt": "Sum"},
        ["fetch a web page", "https://example.org/?q=a&b"],
    ),
    "foreign": ("mcp__db__drop", {"table": "users", "sure": True}, ["use db: drop", "users", "sure"]),
    "foreign with more": (
        "mcp__db__run",
        {"command": "shown", "extra": {"hidden": "x" * 300}},
        ["use db: run", "shown", "x" * 300],
    ),
    "no input": ("mcp__db__flush", {}, ["use db: flush"]),
}


@pytest.mark.parametrize(("tool", "arguments", "shown"), ASKED.values(), ids=ASKED)
def test_card(page: Page, tool: str, arguments: dict[str, Any], shown: list[str]) -> None:
    """The card says what is asked, with all that the tool would be given, and where."""
    card = closed(Card(page, PermissionRequest("call", tool, arguments, "/data/titanic", "the rule of the house", ())))
    for text in (*shown, "in /data/titanic", "the rule of the house"):
        assert text in card.text


def test_a_path_says_nothing_of_its_own(page: Page) -> None:
    """What a path holds stays on its line with all its blanks, and a line end in it is not one that was typed."""
    directory, reason = r"/d  · in \n/safe", "leads to /x · in /safe\nfree"
    card = Card(page, PermissionRequest("call", "Bash", {"command": "ls"}, directory, reason, ()))
    styles = "".join(str(model.get("value")) for model in page.models.values())
    assert re.search(r"\.claude-where *{[^}]*white-space: pre-wrap", styles)
    closed(card)
    lines = re.findall('<p class="claude-where">(.*?)</p>', re.sub("</?span>", "", card.html))
    assert lines == [f"in {directory}", r"leads to /x · in /safe<code>\n</code>free"]


def test_line_ends_in_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines say that a line end comes or goes, too, for each replacement."""
    monkeypatch.setattr("builtins.input", lambda prompt="": "n")
    ask_in_lines(request("MultiEdit", edits=[{"old_string": "#", "new_string": "#\n"}, {"old_string": "a", "new_string": ""}]))
    asked = capsys.readouterr().out
    assert "A line end is added." in asked
    assert "A line end that follows is removed, too." in asked


def test_an_edit_is_shown_in_whole_lines(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An edit of a file that is there is shown as the lines that it makes, as one that joins two may make a command."""
    (tmp_path / "a.sh").write_text("# check\ntouch mark\n")
    asks = replace(request("Edit", (), file_path="a.sh", old_string="check\n", new_string=""), directory=str(tmp_path))
    monkeypatch.setattr("builtins.input", lambda prompt="": "n")
    ask_in_lines(asks)
    asked = capsys.readouterr().out
    card = closed(Card(page, asks))
    for line in ("-# check", "-touch mark", "+# touch mark"):
        assert line in card.text
        assert f"    {line}\n" in asked
    assert "old_string" not in card.text + asked


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (b"x" * 600_000, {"content": "y"}, "what changes is not shown"),
        ("é".encode("utf-16"), {"content": "y"}, "what changes is not shown"),
        (b"a\r\nb\n", {"old_string": "b", "new_string": "c"}, "two kinds of line ends"),
    ],
)
def test_a_file_that_is_not_compared(
    page: Page,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    arguments: dict[str, str],
    said: str,
) -> None:
    """If a file is there, and what would become of it is not shown, the question says so."""
    (tmp_path / "a.txt").write_bytes(content)
    tool = "Write" if "content" in arguments else "Edit"
    asks = replace(request(tool, (), file_path="a.txt", **arguments), directory=str(tmp_path))
    monkeypatch.setattr("builtins.input", lambda prompt="": "n")
    ask_in_lines(asks)
    assert said in joined(capsys.readouterr().out).replace("\n", " ")
    assert said in closed(Card(page, asks)).text


def test_blanks_on_a_page(page: Page) -> None:
    """Many blanks are counted: a page would show what follows them as a line of its own."""
    card = closed(Card(page, request(command="touch b" + " " * 900 + "; rm x", note="a" + "\t" * 12 + "b")))
    for shown in ("touch b(900 blanks); rm x", "a(12 blanks)b"):
        assert shown in card.text


def test_words_from_right_to_left(page: Page) -> None:
    """Each word that is written from right to left stands alone, so that the page turns no command around."""
    card = Card(page, request(rules=("Bash(cat א > ב)",), command="cat א > ב; cp אא בב", description="ק"))
    assert any("Bash(cat <bdi>א</bdi> &gt; <bdi>ב</bdi>)" in value for value in page.html())
    closed(card)
    for shown in ("cat <bdi>א</bdi> &gt; <bdi>ב</bdi>", "cp <bdi>אא</bdi> <bdi>בב</bdi>", "<bdi>ק</bdi>"):
        assert shown in card.html


@pytest.mark.parametrize("plan", NOT_RENDERED)
def test_a_plan_is_shown_as_it_was_written(page: Page, plan: str) -> None:
    """A plan that is agreed to is text, so that no part of it hides, also when it has been; what comes with it is there."""
    card = closed(Card(page, request("ExitPlanMode", (), plan=plan, more={"also": "x" * 300})))
    call = ToolCall(0, "call", "ExitPlanMode", {"plan": plan}, permission="allowed once", complete=True)
    for shown in (card.html, block_html(call)):
        assert plan in html.unescape(re.sub(r"<[^>]*>", "", shown))
        assert not re.search(r"<(a|table)\b", shown)
    assert "x" * 300 in card.text


def test_a_plan_that_is_not_there(page: Page) -> None:
    """The CLI takes away a plan that stands in no file; the card says so, whatever else is in the call."""
    card = closed(Card(page, request("ExitPlanMode", (), extra="more")))
    assert "it wrote no plan down" in card.text


@pytest.mark.parametrize("key", ["command", "code", "content", "anything"])
def test_never_cut(page: Page, key: str) -> None:
    """However long it is, all of it is there."""
    text = "\n".join(f"line {number} {'x' * 60}" for number in range(1000))
    card = closed(Card(page, request("Tool", **({"file_path": "/a"} if key == "content" else {}), **{key: text})))
    assert "left out" not in card.text
    assert all(f"line {number} " in card.text for number in range(1000))


def test_answers(page: Page) -> None:
    """Each button gives its answer; the one for the session names the rule before it is taken."""
    card = Card(page, request())
    assert [button["description"] for button in card.buttons] == [
        "Allow once",
        "Allow this command in this session",
        "Deny",
        "Deny and tell",
    ]
    card.view.close()
    decisions = {"Allow once": Decision.ONCE, "Allow this": Decision.SESSION, "Deny": Decision.DENY}
    for start, decision in decisions.items():
        card = Card(page, request()).ready()
        card.click(start)
        closed(card)
        assert card.answers == [PermissionAnswer(decision)]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (("Edit(**)",), "Allow edits in this session"),
        (("Edit(//data/titanic/note.py)",), "Allow edits of note.py in this session"),
        (("Read(//data/titanic/*)",), "Allow files of titanic in this session"),
        (("Read(//data/titanic/**)",), "Allow files of titanic in this session"),
        (("Read(//data/titanic/a.csv)",), "Allow reading a.csv in this session"),
        ((RULE,), "Allow this command in this session"),
        (("WebFetch(domain:example.org)",), "Allow pages of example.org in this session"),
        (("WebSearch",), "Allow web searches in this session"),
        (("mcp__kernel__run_code",), "Allow code in this kernel in this session"),
        (("mcp__db__drop",), "Allow db: drop in this session"),
        (("Edit(//a/b.py)", "Edit(//a/c.py)"), "Allow edits of b.py and edits of c.py in this session"),
    ],
)
def test_buttons_speak_a_persons_words(page: Page, rules: tuple[str, ...], said: str) -> None:
    """The answer for the session says what it allows in words, and the card the rules in small type."""
    card = Card(page, request(rules=rules))
    small = next(html.unescape(re.sub(r"<[^>]*>", "", value)) for value in page.html() if "claude-rule" in value)
    assert card.buttons[1]["description"] == said
    assert small == f"this session: {', '.join(rules)}"
    assert closed(card).answers == []


def test_another_way(page: Page, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning stands above what would be done; the other way that a host knows of is one more answer, and in lines too."""
    asked = replace(request(), warning="This is open here.", instead=Suggestion("Ask for a cell instead", "Use add_cell."))
    card = Card(page, asked).ready()
    assert card.text.index("This is open here.") < card.text.index("git status")
    card.click("Ask for a cell")
    assert closed(card).answers == [PermissionAnswer(Decision.DENY, "Use add_cell.")]
    monkeypatch.setattr("sys.stdin", io.StringIO("i\n"))
    assert ask_in_lines(asked) == PermissionAnswer(Decision.DENY, "Use add_cell.")
    shown = capsys.readouterr().out
    assert "This is open here." in shown
    assert "[i] ask for a cell instead" in shown


@pytest.mark.parametrize("lines", [False, True], ids=["card", "lines"])
def test_code_is_code_wherever_it_stands(
    page: Page, lines: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text of several lines inside of lists and objects is shown as lines, below its name, and what is around it stays."""
    cells = [{"kind": "code", "source": 'x = "1"\nprint(x)'}, {"kind": "text", "lines": ["one", "two\nthree"]}]
    asked = request("mcp__nb__add", cells=cells, at={"index": 3, "before": None})
    if lines:
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        ask_in_lines(asked)
        shown = capsys.readouterr().out
        assert 'cells[0].source: x = "1"\n      print(x)\n' in shown
        assert "at.before: null" in shown
    else:
        shown = closed(Card(page, asked)).text
        assert 'x = "1"\nprint(x)\n' in shown
        assert '"kind": "text"' in shown
    assert "\\n" not in shown
    assert "cells[1].lines[1]" in shown
    assert "two" in shown
    assert "three" in shown


@pytest.mark.parametrize("button", ["Deny", "Deny and tell", None])
def test_words_with_a_no(page: Page, button: str | None) -> None:
    """What was typed goes with every no, and Enter is one, whichever of the two the page tells first."""
    for text_first in (True, False):
        card = Card(page, request()).ready()
        if text_first:
            card.type(" Use polars. ")
        if button:
            card.type(" Use polars. ")
            card.click(button)
        else:
            card.enter()
            card.type(" Use polars. ")
        closed(card)
        assert card.answers == [PermissionAnswer(Decision.DENY, "Use polars.")]


def test_enter_without_words(page: Page) -> None:
    """Enter in the empty box is no answer."""
    card = Card(page, request()).ready()
    card.enter()
    assert closed(card).answers == []


def test_armed_when_seen(page: Page) -> None:
    """A card takes no answer before it has been on the page for a moment, however long ago it was made."""
    card = Card(page, request())
    assert all(button["disabled"] for button in card.at(0.0).buttons)
    assert all(button["disabled"] for button in card.at(2.0).buttons)
    page.see()
    for elapsed_s in (2.1, 2.05 + ARM_S):
        assert all(button["disabled"] for button in card.at(elapsed_s).buttons)
        card.click("Allow once")
        card.enter()
        assert card.answers == []
    assert not any(button["disabled"] for button in card.at(2.1 + ARM_S).buttons)
    card.click("Allow once")
    closed(card)
    assert card.answers == [PermissionAnswer(Decision.ONCE)]


def test_armed_unseen(page: Page) -> None:
    """Where the page does not tell what it shows, nobody waits for ever."""
    card = Card(page, request())
    assert all(button["disabled"] for button in card.at(0.0).at(UNSEEN_S - 0.1).buttons)
    assert not any(button["disabled"] for button in card.at(UNSEEN_S).buttons)
    closed(card)


def test_one_answer(page: Page) -> None:
    """The second click of a double one changes nothing."""
    card = Card(page, request()).ready()
    card.click("Allow once")
    card.click("Deny")
    assert closed(card).answers == [PermissionAnswer(Decision.ONCE)]


def test_the_next_one_comes_below(page: Page) -> None:
    """An answered card keeps its place, without buttons, and the next one stands below it, not yet to be answered."""
    card = Card(page, request()).ready()
    card.click("Allow once")
    card.view.asked(1, card.asked)
    other = PermissionRequest("other", "Bash", {"command": "rm -r data"}, "/data", None, ())
    assert card.view.ask(1, other, card.answers.append)
    shown = re.sub(r"<[^>]*>", "", "|".join(page.html()))
    assert shown.index("git status") < shown.index("allowed once") < shown.index("rm -r data")
    page.see()
    card.at(ARM_S)
    assert [button["disabled"] for button in card.buttons] == [True] * 3
    assert len(card.at(100.0).buttons) == 3
    assert "allowed once" in "".join(page.html())
    closed(card)


def test_an_answered_card_goes_when_claude_speaks(page: Page) -> None:
    """It goes after a while, when nothing is asked and the reply goes on in words."""
    card = Card(page, request()).ready()
    card.click("Deny")
    card.view.asked(1, card.asked)
    for elapsed_s, words, there in ((50.0, "", True), (51.0, "So be it.", False)):
        if words:
            fold(card.response, TextDelta(0, words))
        card.at(elapsed_s)
        assert ("denied" in "".join(page.html())) is there
    closed(card)


OTHER = PermissionRequest("other", "Bash", {"command": "rm -r data"}, "/data", None, ())


def test_what_stands_above_a_card_does_not_grow(page: Page) -> None:
    """While a card is open nothing is painted above it, so that it keeps its place; the rest follows with the answer."""
    card = Card(page, request()).ready()
    events = [TextDelta(0, "So be it."), ToolStarted(1, "call 1", "Read"), TextDelta(2, "On.")]
    for number, event in enumerate(events):
        fold(card.response, event)
        card.at(5.0 + number)
    shown = "|".join(page.html())
    assert "So be it." not in shown
    assert "Read" not in shown
    assert "waiting for you; more follows" in shown
    assert not any(button["disabled"] for button in card.buttons)
    card.click("Deny")
    card.view.asked(1, card.asked)
    shown = "|".join(card.at(8.0).page.html())
    assert shown.index("So be it.") < shown.index("Read") < shown.index("On.")
    assert "more follows" not in shown
    closed(card)


def test_a_card_that_moves_is_disabled_for_a_moment(page: Page) -> None:
    """An answer makes room for what was held back, and moves the cards below: they take no answer for a moment."""
    card = Card(page, request())
    assert card.view.ask(1, OTHER, card.answers.append)
    card.ready()
    fold(card.response, TextDelta(0, "So be it."))
    card.at(4.0).click("Deny")
    card.view.asked(1, card.asked)
    card.click("Allow once")
    assert "So be it." in "|".join(card.at(5.0).page.html())
    for elapsed_s in (5.0, 4.95 + ARM_S):
        card.at(elapsed_s).click("Allow once")
        assert all(button["disabled"] for button in card.buttons)
    assert card.answers == [PermissionAnswer(Decision.DENY)]
    card.at(5.1 + ARM_S).click("Allow once")
    assert card.answers == [PermissionAnswer(Decision.DENY), PermissionAnswer(Decision.ONCE)]
    closed(card)


def test_a_second_card_moves_no_other(page: Page) -> None:
    """A new card below leaves the first one as it was, and what was held back stays so."""
    card = Card(page, request()).ready()
    fold(card.response, TextDelta(0, "So be it."))
    assert card.view.ask(1, OTHER, card.answers.append)
    assert "So be it." not in "|".join(card.at(5.0).page.html())
    card.click("Allow once")
    assert closed(card).answers == [PermissionAnswer(Decision.ONCE)]


def test_an_answer_between_cells_disables_the_cards_below(page: Page) -> None:
    """Cards that are shown between two cells move when the output above changes, and are disabled then."""
    answers: list[PermissionAnswer] = []

    async def show() -> None:
        card = OpenQuestion(request(), answers.append)
        card.show()
        page.see()
        (allow,) = page.buttons("Allow once")
        await anyio.sleep(ARM_S + 3 * TICK_S)
        assert not allow["disabled"]
        card.moved()
        assert allow["disabled"]
        page.click(allow)
        assert answers == []
        await anyio.sleep(ARM_S + 3 * TICK_S)
        assert not allow["disabled"]
        card.close()

    anyio.run(show)


def test_what_allows_and_what_denies_stand_side_by_side(page: Page) -> None:
    """No answer that allows is in the box of those that deny, so that none wraps to where another was."""
    card = Card(page, replace(request(), instead=Suggestion("Ask for a cell instead", "Use add_cell.")))
    boxes = [model for model in page.shown() if "claude-answers" in model.get("_dom_classes", ())]
    inside = [[part.get("description", "") for part in page._below(box["model_id"])][1:] for box in boxes]
    assert inside == [
        ["Allow once", "Allow this command in this session"],
        ["Ask for a cell instead", "Deny", "", "Deny and tell"],
    ]
    closed(card)


@pytest.mark.parametrize(
    ("by_helper", "is_earlier", "title"),
    [
        (False, False, "Claude asks to run a command"),
        (True, False, "A helper agent asks to run a command"),
        (True, True, "A helper agent, at work on an earlier prompt, asks to run a command"),
        (False, True, "Claude, at work on an earlier prompt, asks to run a command"),
    ],
)
def test_whose_it_is(page: Page, *, by_helper: bool, is_earlier: bool, title: str) -> None:
    """A card says who asks, and for what."""
    card = closed(Card(page, replace(request(), by_helper=by_helper, is_earlier=is_earlier)))
    assert f">{title}</p>" in card.html


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("x\n" * 18, None),
        ("x\n" * 40, "26 more lines"),
        ("x\n" * 13 + "y" * 700, "1 more line"),
        ("x" * 3_000, "1,600 more characters"),
        ("\n" * 200 + "rm -r ~", "187 more lines"),
    ],
)
def test_what_is_cut_is_seen_to_be_cut(page: Page, text: str, more: str | None) -> None:
    """Of a long text the beginning is shown, and a fold that says how much more there is; all of it is on the card."""
    for key, tool in (("command", "Bash"), ("code", "mcp__kernel__run_code"), ("anything", "Tool")):
        card = closed(Card(page, request(tool, **{key: text})))
        found = re.search(r"<summary>(.*?)</summary>", card.html)
        assert (found and found[1]) == more
        assert card.text.replace(more or "", "").replace("\n", "").count(text.replace("\n", "")) == 1


def test_no_rule(page: Page) -> None:
    """Where no rule can be added there is no answer for the session."""
    card = closed(Card(page, request(rules=())))
    assert not any(
        model.get("description", "").startswith("Allow this")
        for _, _, data in page.messages
        for model in [data.get("state", {})]
    )
    assert card.answers == []


def test_every_rule_can_be_read(page: Page) -> None:
    """A rule too long for its button, and every one of several, can be read on the card before it is taken."""
    rules = ("Bash(git status:*)", f"Bash({'x' * 100}:*)", "Bash(rm:*)")
    card = Card(page, request(rules=rules))
    shown = card.text + "".join(f"{button['description']} {button['tooltip']}" for button in card.buttons)
    card.view.close()
    for rule in rules:
        assert rule in shown


def test_what_is_replaced(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that would be overwritten is named as that: how many lines go, and the difference; the lines say it, too."""
    old = [f"x_{number} = {number}" for number in range(40)]
    (tmp_path / "note.py").write_bytes(("\n".join(old) + "\n").encode())
    content = "\n".join([*old[:20], "x_20 = 'other'", *old[21:]]) + "\n"
    asked = replace(request("Write", file_path="note.py", content=content), directory=str(tmp_path))
    card = closed(Card(page, asked))
    assert "replaces the file's 40 lines" in card.text
    assert "-x_20 = 20\n+x_20 = 'other'\n" in card.text
    assert "x_1 = 1" not in card.text
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ask_in_lines(asked)
    assert "It replaces the file's 40 lines." in capsys.readouterr().out
    same = closed(Card(page, replace(asked, input={"file_path": "note.py", "content": "\n".join(old) + "\n"})))
    assert "The file does not change." in same.text
    old = [f"x_{number} = {number}" for number in range(3_000)]
    (tmp_path / "note.py").write_text("\n".join(old) + "\n")
    edited = "\n".join([*old[:2_500], "other", *old[2_501:]]) + "\n"
    long = closed(Card(page, replace(asked, input={"file_path": "note.py", "content": edited}))).text
    assert "@@ -2499,5 +2499,5 @@\n x_2498 = 2498\n x_2499 = 2499\n-x_2500 = 2500\n+other\n" in long
    gone = closed(Card(page, replace(asked, input={"file_path": "note.py", "content": "new\n"}))).text
    assert "replaces the file's 3,000 lines, too many to be compared" in gone


ONLY = "Only line endings or invisible characters change: "


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("a\r\nb\r\n", "a\nb\n", f"{ONLY}\\r\\n 2 → 0, \\n 0 → 2.\n@@ -1,2 +1,2 @@\n-a\\r\n-b\\r\n+a\n+b\n"),
        ("a b\n", "a\u200b b\n", f"{ONLY}\\u200b 0 → 1.\n@@ -1 +1 @@\n-a b\n+a\\u200b b\n"),
        ("ab\u200b\n", "a\u200bb\n", f"{ONLY}their places.\n@@ -1 +1 @@\n-ab\\u200b\n+a\\u200bb\n"),
        ("a\n", "a", f"{ONLY}\\n 1 → 0.\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"),
        ("a\u2028b\n", "a\nb\n", "\n@@ -1 +1,2 @@\n-a\\u2028b\n+a\n+b\n"),
    ],
)
def test_what_is_not_seen_is_a_change(page: Page, tmp_path: Path, before: str, after: str, shown: str) -> None:
    """A file that changes in line endings or in characters that one does not see is named as that, and both sides are shown."""
    (tmp_path / "note.py").write_bytes(before.encode())
    asked = replace(request("Write", file_path="note.py", content=after), directory=str(tmp_path))
    text = closed(Card(page, asked)).text
    assert shown in text
    assert "does not change" not in text


@pytest.mark.parametrize(
    ("typed", "real"), [(r"\r", "\r"), (r"\u200b", "\u200b"), (r"\x1b", "\x1b"), (r"\U000e0001", "\U000e0001")]
)
def test_a_typed_escape_is_not_a_character(page: Page, tmp_path: Path, typed: str, real: str) -> None:
    """An escape that was typed differs from one that spells a character, in files, edits, commands and keys."""
    (tmp_path / "note.py").write_bytes(f"# C:{typed}import os\n".encode())
    asked = replace(request("Write", file_path="note.py", content=f"# C:{real}import os\n"), directory=str(tmp_path))
    text = closed(Card(page, asked)).text
    assert f"-# C:\\{typed}import os\n+# C:{typed}import os\n" in text
    assert "does not change" not in text
    assert "each typed backslash is doubled" in text
    assert f"-\\{typed}\n+{typed}\n" in closed(Card(page, request("Edit", old_string=typed, new_string=real))).text
    keys = closed(Card(page, request("mcp__db__run", **{"a" + typed: "ONE", "a" + real: "OTHER"}))).text
    assert "ONE" in keys
    assert "OTHER" in keys
    assert typed in closed(Card(page, request(command=f"printf '{typed}'"))).text.replace(f"\\{typed}", "")


@pytest.mark.parametrize("lines", [False, True], ids=["card", "lines"])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("mcp__s__t", {"a.b": "HIDDEN\nlong", "a": {"b": "harmless\nlong"}}),
        ("mcp__s__t", {"a": {"b": "harmless\nlong"}, "a.b": "HIDDEN"}),
        ("mcp__s__t", {"steps[0]": "HIDDEN\nlong", "steps": ["harmless\nlong"]}),
        ("mcp__s__t", {"x": {'a"."b': "HIDDEN\nlong", "a": {"b": "harmless\nlong"}, "a.b": "harmless\nlong"}}),
        ("mcp__s__t", {"edits": [{"old_string": "a", "new_string": "b", "command": "HIDDEN"}]}),
        (
            "MultiEdit",
            {"edits": [{"old_string": "a", "new_string": "b"}, {"old_string": "a", "new_string": "b", "HIDDEN": True}]},
        ),
        ("MultiEdit", {"edits": [{"old_string": "a", "new_string": "b", "more": {"x": ["HIDDEN\nlong"]}}]}),
        ("Edit", {"old_string": "a", "new_string": "b", "edits": [{"old_string": "HIDDEN", "new_string": ""}]}),
        ("Bash", {"command": "ls", "code": "HIDDEN", "plan": "x"}),
        ("ExitPlanMode", {"plan": "x", "extra": "HIDDEN"}),
        ("ExitPlanMode", {"plan": "x", "command": "HIDDEN\nlong"}),
    ],
)
def test_no_part_is_missing(
    page: Page,
    tool: str,
    arguments: dict[str, Any],
    lines: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every key and value of a call is shown, whatever the others are called."""
    if lines:
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        ask_in_lines(request(tool, **arguments))
        assert "HIDDEN" in capsys.readouterr().out
    else:
        assert "HIDDEN" in closed(Card(page, request(tool, **arguments))).text


def test_paths_are_told_apart(page: Page) -> None:
    """A key that reads like a path stands in quotes."""
    text = closed(Card(page, request("mcp__s__t", **{"x": {"a.b": "one\n1", "a": {"b": "two\n2"}, "": ["three\n3"]}}))).text
    assert 'x."a.b":\none\n1\n' in text
    assert "x.a.b:\ntwo\n2\n" in text
    assert 'x.""[0]:\nthree\n3\n' in text


@pytest.mark.parametrize("lines", [False, True], ids=["card", "lines"])
def test_signs_of_a_command(
    page: Page, lines: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typographic quotes and dashes are spelled out in commands, paths and rules, and not in texts."""
    quoted = "“hi; rm x”"
    asked = PermissionRequest("call", "Bash", {"command": quoted, "description": quoted}, quoted, quoted, (quoted,))
    if lines:
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        ask_in_lines(asked)
        shown = joined(capsys.readouterr().out)
    else:
        shown = closed(Card(page, asked)).text
    assert shown.count(r"\u201chi; rm x\u201d") == (5 if lines else 2)
    assert shown.count(quoted) == (1 if lines else 2)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"x\n" * 3_000, b"x" * 600_000])
def test_what_cannot_be_compared(page: Page, tmp_path: Path, content: bytes | None) -> None:
    """Where there is no file, no text, or too much of it, the whole new text is shown."""
    if content is not None:
        (tmp_path / "note.py").write_bytes(content)
    asked = replace(request("Write", file_path="note.py", content="y = 2\n"), directory=str(tmp_path))
    card = closed(Card(page, asked))
    assert "y = 2\n" in card.text
    assert ("replaces the file's 3,000 lines" in card.text) is (content == b"x\n" * 3_000)


def test_taken_away(page: Page) -> None:
    """An answered card goes with all its widgets, the others stay."""
    card = Card(page, request())
    before = len(page.models)
    other = PermissionRequest("other", "Bash", {"command": "ls"}, "/data", None, ())
    assert card.view.ask(1, other, card.answers.append)
    card.view.asked(1, other)
    assert len(page.models) == before
    assert len(card.buttons) == 4
    card.view.close()


class Names(HTMLParser):
    """The names of all tags and attributes, as a browser would read them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


HOSTILE = ["<img src=x onerror=alert(1)>", "</pre><script>alert(1)</script>", '" onmouseover="alert(1)', "<b>&lt;b&gt;"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_html(page: Page, text: str) -> None:
    """HTML in anything that is asked is shown as text."""
    asked = PermissionRequest(text, text, {"command": text, text: text, "x": {text: [text]}}, text, text, (text,))
    card = closed(Card(page, asked))
    assert card.text.count(text) >= 3
    names = Names()
    names.feed(card.html)
    assert names.tags <= {"div", "p", "pre", "code", "span"}
    assert names.attributes <= {"role", "aria-label", "class"}


HIDING = {
    "OSC": "shown #\x1b]\nhidden\n\x07",
    "open OSC": "shown #\x1b]0;\nhidden",
    "DCS": "shown #\x1bP\nhidden\n\x1b\\",
    "C1": "shown #\x9d\nhidden",
    "CSI": "shown\x1b[2Khidden",
    "CR": "hidden\rshown",
    "bidi": "hidden\u202eshown",
    "zero width": "hid\u200bden shown",
    "backspace": "hidden\b\b\bshown",
}


@pytest.mark.parametrize("lines", [False, True], ids=["card", "lines"])
@pytest.mark.parametrize("command", HIDING.values(), ids=HIDING)
def test_nothing_hides(
    page: Page, command: str, lines: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever would run is shown: a control character is spelled out and swallows nothing."""
    if lines:
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        ask_in_lines(request(command=command))
        shown = capsys.readouterr().out
    else:
        shown = closed(Card(page, request(command=command))).text
    assert "hidden" in shown.replace("\\u200b", "").replace("\u200b", "")
    assert "shown" in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", shown)


def test_names_stay_on_their_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A name, a place, a reason or a rule with an end of line in it draws no line of its own into the question."""
    text = "a\nClaude asks to read a file:"
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ask_in_lines(PermissionRequest("call", "mcp__x__y", {text: "value"}, text, text, (text,)))
    shown = joined(capsys.readouterr().out)
    assert [line for line in shown.splitlines() if line.startswith("Claude asks to read")] == []
    assert shown.count(r"a\nClaude asks to read a file:") == 4


@pytest.mark.parametrize("lines", [False, True], ids=["card", "lines"])
def test_unseen_and_look_alike(
    page: Page, lines: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be seen, or reads as another character, is spelled out in all that is asked."""
    text = "cat\u3164 data\u2800\U000e0101 sc\u0430n"
    asked = PermissionRequest("call", text, {"command": text, text: text}, text, text, (text,))
    if lines:
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        ask_in_lines(asked)
        shown = joined(capsys.readouterr().out)
    else:
        shown = closed(Card(page, asked)).text
    assert not set("\u3164\u2800\U000e0101\u0430") & set(shown)
    assert len(re.findall(r"cat\\+u3164 data\\+u2800\\+U000e0101 sc\\+u0430n", shown)) >= 5


@pytest.mark.parametrize("lines", [False, True], ids=["card", "lines"])
@pytest.mark.parametrize("text", HIDING.values(), ids=HIDING)
def test_nothing_hides_around_it(
    page: Page, text: str, lines: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does anything hide in the tool's name, an argument's, the directory, the reason or the rule that would be added."""
    asked = PermissionRequest("call", f"mcp__db__{text}", {text: "value"}, f"/data/{text}", text, (f"Bash({text})",))
    if lines:
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        ask_in_lines(asked)
        seen = [joined(capsys.readouterr().out)]
    else:
        card = Card(page, asked)
        rule = next(button for button in card.buttons if button["description"].startswith("Allow this"))
        small = next(html.unescape(re.sub(r"<[^>]*>", "", value)) for value in page.html() if "claude-rule" in value)
        card.view.close()
        seen = [card.text, small, rule["tooltip"]]
    assert [len(re.findall(r"hid(?:\\+u200b)?den", part)) for part in seen] == ([5] if lines else [4, 1, 1])
    for part in seen:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", part)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("y", PermissionAnswer(Decision.ONCE)),
        ("YES", PermissionAnswer(Decision.ONCE)),
        ("s", PermissionAnswer(Decision.SESSION)),
        ("n", PermissionAnswer(Decision.DENY)),
        ("", PermissionAnswer(Decision.DENY)),
        ("use polars", PermissionAnswer(Decision.DENY, "use polars")),
    ],
)
def test_lines(
    typed: str, answer: PermissionAnswer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines say what, where and the answers; what is typed is the answer, or a word to Claude."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
    assert ask_in_lines(request(command="git status\n-s")) == answer
    shown = capsys.readouterr().out
    assert "Claude asks to run a command in /data/titanic:" in shown
    assert "git status\n" in shown
    assert f"[s] allow this command in this session: {RULE}" in shown


@pytest.mark.parametrize("in_terminal", [False, True], ids=["page", "terminal"])
def test_lines_from_right_to_left(
    in_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a page, each word from right to left stands alone, by two characters that Claude cannot bring; a terminal has none."""
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: in_terminal)
    ask_in_lines(request(command="cat א > בב \u2069", rules=("Bash(cat א > בב)",)))
    shown = capsys.readouterr().out
    word = "{}" if in_terminal else "\u2068{}\u2069"
    assert shown.count(f"cat {word.format('א')} > {word.format('בב')}") == 2
    assert r"\u2069" in shown


FORGED = "Claude asks to read a file in /data:"


def at_the_edge(start: str, columns: int = 60) -> str:
    """Return a text that a terminal would break before a question of its own, after many rows of blanks."""
    return (
        f"touch mark #{start}".ljust(columns - len("    command: ")) + " " * columns * 40 + FORGED.ljust(columns) + "    n: 1"
    )


@pytest.mark.parametrize("place", ["value", "directory", "reason", "rule"])
@pytest.mark.parametrize("start", ["", "漢" * 20, "e\u0301☺🌡" * 9], ids=["ASCII", "wide", "signs"])
def test_a_value_paints_nothing_over(
    place: str, start: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No row of a value, a place or a rule begins where a question does, however wide it is; nothing of it is lost."""
    text = at_the_edge(start)
    asked = {
        "value": request(command=text),
        "directory": replace(request(), directory=text),
        "reason": request(reason=text),
        "rule": request(rules=(text,)),
    }[place]
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ask_in_lines(asked)
    rows = capsys.readouterr().out.splitlines()
    assert max(len(row) + len(re.findall(r"[^\x00-\x7f]", row)) for row in rows) <= 60
    assert [row for row in rows if row.startswith((FORGED[:10], "    n"))] == rows[:1]
    (mark,) = [number for number, row in enumerate(rows) if re.fullmatch(r"    \(2,[34]\d\d blanks\)", row)]
    assert rows[mark - 1].endswith("touch mark # " if not start else " ")
    assert rows[mark + 1] == f"    … {FORGED}{' ' * (53 - len(FORGED))}"


def test_much_to_scroll_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Blank lines are counted where they are many, and below many lines it is said again who asks for what."""
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n" * 3))
    ask_in_lines(request(command="touch mark\n" + " \n" * 60 + "ls\n", rules=()))
    assert capsys.readouterr().out.splitlines()[1:4] == ["    command: touch mark", "    (60 blank lines)", "      ls"]
    ask_in_lines(request(command="\n".join("a\n\nb" + " " * 70 for _ in range(20)), rules=()))
    rows = capsys.readouterr().out.splitlines()
    assert rows[1:6] == ["    command: a", "      ", "      b ", "    (69 blanks)", "      a"]
    assert rows[-4:-1] == ["    (69 blanks)", "Claude asks to run a command (81 lines above):", "[y] allow once,"]
    ask_in_lines(request(command="ls\n" * 9, rules=()))
    assert "above" not in capsys.readouterr().out


def test_lines_without_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no rule can be added an `s` is no yes."""
    monkeypatch.setattr("sys.stdin", io.StringIO("s\n"))
    assert ask_in_lines(request(rules=())).decision is Decision.DENY


def test_a_question_below_a_long_reply_is_told_above(page: Page) -> None:
    """Above a long reply a link says that somebody waits below, and leads there; it goes with the question."""
    view, response = LiveView([""], lambda: None), SessionAwareResponse()
    fold(response, TextDelta(0, "word " * 1_000))
    view.update([response], 0.0)
    assert view.ask(1, request(), lambda _: None)

    def link() -> dict[str, Any]:
        (found,) = [model for model in page.shown() if "claude-waits" in model.get("_dom_classes", ())]
        return found

    assert "claude-hidden" not in link()["_dom_classes"]
    target = re.search('href="#(.*?)"', link()["value"])
    assert target
    assert sum(f'id="{target[1]}"' in html for html in map(str, (model.get("value") for model in page.shown()))) == 1
    view.asked(1, request())
    assert "claude-hidden" in link()["_dom_classes"]
    view.close()


def test_the_keyboard_stays_where_questions_are(page: Page) -> None:
    """When a question is answered their place gets the keyboard; a next one takes it from nobody who types elsewhere."""
    card = Card(page, request()).ready()
    card.click("Allow once")
    card.view.asked(1, card.asked)
    (slot,) = [model for model in page.shown() if "claude-slot" in model.get("_dom_classes", ())]
    focus = {"method": "custom", "content": {"do": "focus"}}
    assert [model for _, model, data in page.messages if data == focus] == [slot["model_id"]]
    assert card.view.ask(1, replace(request(), call_id="other"), card.answers.append)
    assert [model for _, model, data in page.messages if data == focus] == [slot["model_id"]]
    card.view.close()
