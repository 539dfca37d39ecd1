"""Claude's own questions as they are seen: the card with its choices, and the lines where there are no buttons."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import pytest
from page import Page
from payloads import NOT_RENDERED

from claude_magic._render.live.choices import answer_in_lines
from claude_magic._render.live.live_reply import BEHIND_S
from claude_magic._render.live.question import ARM_S
from claude_magic._render.live_view import LiveView
from claude_magic._render.parts.block import block_html, block_plain
from claude_magic.sdk.host import Decision, PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse, ToolCall

COLOUR, SIZES = "Which colour?", "Which sizes?"


def asked(*questions: dict[str, Any], **more: Any) -> PermissionRequest:
    return PermissionRequest("call", "AskUserQuestion", {"questions": list(questions)}, "/data", **more)


def question(text: str = COLOUR, *labels: str, several: bool = False, **more: Any) -> dict[str, Any]:
    options = [{"label": label, "description": f"about {number}", **more} for number, label in enumerate(labels, 1)]
    return {"question": text, "header": "Choice", "multiSelect": several, "options": options}


ONE = question(COLOUR, "Red", "Blue")
TWO = (ONE, question(SIZES, "S, small", "M", "L", several=True))


def answered(**answers: str) -> PermissionAnswer:
    return PermissionAnswer(Decision.ANSWERED, answers=answers)


class Card:
    """A card on the page that can be answered, and the answers that it gave."""

    def __init__(self, page: Page, request: PermissionRequest) -> None:
        self.page, self.request = page, request
        self.answers: list[PermissionAnswer] = []
        self.view = LiveView([""], lambda: None)
        assert self.view.ask(1, request, self.answers.append)
        self.at(0.0)

    def at(self, elapsed_s: float) -> Card:
        self.view.update([SessionAwareResponse()], elapsed_s)
        return self

    def ready(self) -> Card:
        """Let the page show the card, and a moment pass."""
        self.page.see()
        return self.at(0.0).at(ARM_S)

    @property
    def text(self) -> str:
        return html.unescape(re.sub(r"<[^>]*>", "", " ".join(self.page.html())))

    @property
    def buttons(self) -> list[str]:
        buttons = [model for model in self.page.shown() if model["_model_name"] == "ButtonModel"]
        return [model["description"] for model in buttons if model["description"] != "Stop"]

    def click(self, *labels: str) -> None:
        for label in labels:
            shown = self.page.shown()
            self.page.click(next(model for model in shown if model.get("description", "").lstrip("☐☑○● ") == label))

    def type(self, number: int, words: str) -> dict[str, Any]:
        field = [model for model in self.page.shown() if model["_model_name"] == "TextModel"][number]
        self.page.change(field, value=words)
        return field

    def enter(self, field: dict[str, Any]) -> None:
        data = {"method": "custom", "content": {"event": "submit"}}
        self.page.comms[field["model_id"]].handle_msg({"content": {"data": data}, "buffers": []})

    def close(self) -> None:
        self.view.close()


@pytest.fixture
def single(page: Page) -> Any:
    card = Card(page, asked(ONE)).ready()
    yield card
    card.close()


@pytest.fixture
def double(page: Page) -> Any:
    card = Card(page, asked(*TWO)).ready()
    yield card
    card.close()


def test_a_click_answers(single: Card) -> None:
    """One question with one answer is answered by a click on a choice, and the choices go."""
    assert [text in single.text for text in ("Claude asks you", COLOUR, "about 1", "about 2")] == [True] * 4
    assert single.buttons == ["Red", "Blue", "Send", "Decline"]
    single.click("Blue")
    assert single.answers == [answered(**{COLOUR: "Blue"})]
    single.view.asked(1, single.request)
    assert single.buttons == []
    assert COLOUR in single.text
    assert "answered: Blue" in single.text


def test_it_wakes_up_late(page: Page) -> None:
    """A choice that is clicked before the card has been on the page for a moment is none."""
    card = Card(page, asked(ONE))
    card.click("Blue", "Send", "Decline")
    page.see()
    card.at(0.0).at(ARM_S / 2).click("Blue")
    assert card.answers == []
    card.at(ARM_S).click("Red", "Blue")
    assert card.answers == [answered(**{COLOUR: "Red"})]
    card.close()


def test_own_words(single: Card) -> None:
    """Words in the place of a choice are sent by Enter."""
    single.enter(single.type(0, "green, rather"))
    assert single.answers == [answered(**{COLOUR: "green, rather"})]


def test_words_and_a_choice(single: Card) -> None:
    """Words that are there when a choice is clicked go with it."""
    single.type(0, "but dark")
    single.click("Blue")
    assert single.answers == [answered(**{COLOUR: "Blue – but dark"})]


@pytest.mark.parametrize("words", ["", "Ask me later."])
def test_declined(single: Card, words: str) -> None:
    """Decline tells Claude no answer, and the words that are there."""
    single.type(0, words)
    single.click("Decline")
    assert single.answers == [PermissionAnswer(Decision.DENY, words)]


def test_two_questions(double: Card) -> None:
    """Several questions are sent together when each has an answer; of some several choices can be taken, and given up."""
    double.click("Send")
    assert f"Not answered yet: {COLOUR}" in double.text
    double.click("Red", "Blue", "Send")
    assert f"Not answered yet: {SIZES}" in double.text
    double.click("S, small", "M", "L", "M")
    assert double.buttons == ["○ Red", "● Blue", "☑ S, small", "☐ M", "☑ L", "Send", "Decline"]
    assert double.answers == []
    double.click("Send")
    assert double.answers == [answered(**{COLOUR: "Blue", SIZES: '"S, small", L'})]
    double.view.asked(1, double.request)
    assert double.buttons == []
    assert SIZES in double.text


def test_questions_with_a_permission(page: Page) -> None:
    """A question and a permission stand on the page together, each with its own answer; the second can be given later."""
    card = Card(page, asked(ONE)).ready()
    other = PermissionRequest("other", "Bash", {"command": "ls"}, "/data")
    allowed: list[PermissionAnswer] = []
    assert card.view.ask(1, other, allowed.append)
    page.see()
    card.at(1.0).at(1.0 + ARM_S)
    card.click("Allow once")
    assert allowed == []
    card.at(1.1 + ARM_S + BEHIND_S)
    card.click("Allow once", "Blue")
    assert (card.answers, allowed) == ([answered(**{COLOUR: "Blue"})], [PermissionAnswer(Decision.ONCE)])
    card.close()


HOSTILE = "<img src=x onerror=alert(1)>\x1b[2J\u202e\u200b"


@pytest.mark.parametrize("lines", [False, True], ids=["card", "lines"])
def test_hostile(page: Page, *, lines: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever Claude asks is shown as text with nothing hidden in it, and the label goes back as it was offered."""
    label = f"yes{HOSTILE}"
    request = asked(question(f"Now?{HOSTILE}", label, "no", preview=f"<b>{HOSTILE}"))
    if lines:
        monkeypatch.setattr("sys.stdin", io.StringIO("1\n"))
        assert answer_in_lines(request).answers == {f"Now?{HOSTILE}": label}
        shown = capsys.readouterr().out
    else:
        card = Card(page, request).ready()
        shown = " ".join([*card.page.html(), *card.buttons])
        assert "<img" not in "".join(card.page.html())
        card.click(next(button for button in card.buttons if button.startswith("yes")))
        assert card.answers[0].answers == {f"Now?{HOSTILE}": label}
        card.close()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", shown)
    assert r"\u202e" in shown


def test_long_labels(page: Page) -> None:
    """What does not fit on a button, or has lines, stands beside it whole."""
    long = "word " * 100 + "end"
    card = Card(page, asked(question(COLOUR, long, "two\nlines", *map(str, range(50)))))
    assert long in card.text
    assert "two\nlines" in card.text
    assert max(map(len, card.buttons)) <= 60
    assert len(card.buttons) == 54
    card.close()


@pytest.mark.parametrize("text", NOT_RENDERED)
def test_what_is_asked_is_shown_as_it_was_written(page: Page, text: str) -> None:
    """Question, labels and descriptions are text, so that no part hides; open, answered and settled."""
    about = {"question": text, "options": [{"label": f"1 {text}", "description": f"2 {text}", "preview": f"3 {text}"}]}
    card = Card(page, asked(about)).ready()
    shown = ["".join([*page.html(), *map(html.escape, card.buttons)])]
    assert not [model for model in page.shown() if model["_model_name"] == "HTMLMathModel"]
    card.click(card.buttons[0])
    card.view.asked(1, card.request)
    shown.append("".join(page.html()))
    card.close()
    shown.append(block_html(ToolCall(0, "call", "AskUserQuestion", {"questions": [about]}, complete=True)))
    for part in shown:
        words = html.unescape(re.sub(r"<[^>]*>", "", part))
        assert text in words
        assert part == shown[1] or all(f"{number} {text}" in words for number in (1, 2, 3))
        assert not re.search(r"<(a|table)\b", part)


def test_without_choices(page: Page) -> None:
    """A question that offers nothing can be answered in words."""
    card = Card(page, asked(question(COLOUR))).ready()
    card.click("Send")
    assert card.answers == []
    card.enter(card.type(0, "green"))
    assert card.answers == [answered(**{COLOUR: "green"})]
    card.close()


@pytest.mark.parametrize(
    ("typed", "answers"),
    [
        ("2\n1,3\n", {COLOUR: "Blue", SIZES: '"S, small", L'}),
        ("blue\nm\n", {COLOUR: "Blue", SIZES: "M"}),
        ("green\nS, small\n", {COLOUR: "green", SIZES: "S, small"}),
        ("7\n1\n9\n2\n", {COLOUR: "Red", SIZES: "M"}),
        ("1, 2\n2, or so\n", {COLOUR: "1, 2", SIZES: "2, or so"}),
        ("1\n\n", {COLOUR: "Red"}),
        ("\n\n", {}),
    ],
)
def test_lines(
    typed: str, answers: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines number the choices; a number, a label or words answer, and nothing is no answer."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    decision = Decision.ANSWERED if answers else Decision.DENY
    assert answer_in_lines(asked(*TWO)) == PermissionAnswer(decision, answers=answers)
    shown = capsys.readouterr().out
    assert "  [2] Blue: about 2" in shown
    assert ("There is no choice 7." in shown) is typed.startswith("7")


def test_a_question_paints_nothing_over(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No line or row of what Claude asks begins where a question or a choice does; many blank lines are counted."""
    forged = "\nClaude asks to read a file:\n  [1] no\n" + "x" * 80 + "Claude asks" + "\n" * 60 + "end"
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n"))
    about = {"question": f"Now?{forged}", "options": [{"label": "yes", "description": forged, "preview": f"p{forged}"}]}
    answer_in_lines(asked(about))
    rows = capsys.readouterr().out.splitlines()
    assert rows[1:8] == [
        "      Now?",
        "      Claude asks to read a file:",
        "        [1] no",
        f"      {'x' * 53}",
        f"    … {'x' * 27}Claude asks",
        "    (59 blank lines)",
        "      end",
    ]
    assert [row for row in rows if row.startswith(("Claude", "  ["))] == [
        "Claude asks you:",
        "  [1] yes: ",
        "Claude asks you (22 lines above):",
    ]
    assert max(map(len, rows)) <= 80


def test_lines_with_numbers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Choices that are numbers themselves have letters, so that no number is taken for another."""
    for typed, meant in (("2\n", "2"), ("a\n", "4"), ("3\n", "3")):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert answer_in_lines(asked(question("How many?", "4", "2"))).answers == {"How many?": meant}
    assert "  [b] 2: about 2" in capsys.readouterr().out


def test_no_more_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing more can be typed (Ctrl+D) whoever asks is told so: it is no answer, and no permission."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    for request in (asked(*TWO), PermissionRequest("call", "Bash", {"command": "ls"}, "/data")):
        with pytest.raises(EOFError):
            answer_in_lines(request)


def test_settled() -> None:
    """The settled reply says what was asked and what was answered; opened it lists the choices."""
    call = ToolCall(0, "call", "AskUserQuestion", {"questions": [ONE]}, permission="answered: Blue", complete=True)
    shown = re.sub(r"<[^>]*>", " ", block_html(call))
    for text in ("Question", COLOUR, "answered: Blue", "Red: about 1"):
        assert text in shown
    assert block_plain(call) == f"Question  {COLOUR}  ✓ answered: Blue"
    call.permission, call.denied = "denied: Later.", True
    assert "✗ not answered: Later." in block_plain(call)


def test_words_from_right_to_left(page: Page) -> None:
    """A question and its choices are not turned around by the words from right to left in them."""
    card = Card(page, asked(question("Run `cat א > ב`?", "Yes", description="cp אא בב")))
    shown = page.html()
    card.view.close()
    assert any("<bdi>א</bdi> &gt; <bdi>ב</bdi>" in value for value in shown)
    assert any("cp <bdi>אא</bdi> <bdi>בב</bdi>" in value for value in shown)
