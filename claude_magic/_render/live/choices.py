"""Claude's own questions as a person sees them: a card with a button for each choice, or lines with numbers.

The meaning of each choice is beside it, and the person may add words or answer only in words. The caller acts on the answer.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence
from string import ascii_lowercase
from typing import Final

from ipywidgets import HTML, Button, HBox, Layout, Text, VBox, Widget

from claude_magic._characters import reveal
from claude_magic._render.live.question import ApprovalCard, Card, ask_in_lines, who_asks
from claude_magic._render.live.typed_line import ask_line
from claude_magic._render.parts.markdown_html import code_html, escape, plain_html
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.parts.tool_call import isolated
from claude_magic.sdk.host import Choice, ClaudeQuestion, Decision, PermissionAnswer, PermissionRequest

LABEL_LENGTH: Final = 60

_MARKS: Final = {True: ("☐ ", "☑ "), False: ("○ ", "● ")}
"""The marks of a choice that is not selected and of one that is; the first pair if several may be selected."""


def card_of(request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> Card:
    """Return the card of a request, which is a question of Claude's own or a permission request."""
    return ChoiceCard(request, on_answer) if request.questions else ApprovalCard(request, on_answer)


def answer_in_lines(request: PermissionRequest) -> PermissionAnswer:
    """Get an answer through `input()`, where there are no buttons. The exceptions are those of `ask_line`."""
    return _choose_in_lines(request) if request.questions else ask_in_lines(request)


class ChoiceCard(Card):
    """All questions of one call. A click answers a single question that takes one choice; Send answers all others."""

    def __init__(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> None:
        layout = Layout()
        super().__init__(on_answer, layout)
        self._title = f"{who_asks(request)} asks you"
        (first, *others) = request.questions
        self._at_once = not others and not first.several
        self._about = HTML(_title_html(self._title), layout=layout)
        self._groups = [_Group(question, layout, marked=not self._at_once) for question in request.questions]
        decline = Button(description="Decline", tooltip="Claude is told that you do not answer", layout=layout, disabled=True)
        send = Button(description="Send", tooltip="Send the answer to Claude", layout=layout, disabled=True)
        send.add_class("claude-allow")
        send.on_click(lambda _: self._send())
        decline.on_click(lambda _: self._decline())
        self._answers = [send, decline]
        row: list[Widget] = [send, decline, self._outcome]
        boxes: list[Widget] = []
        for group in self._groups:
            for index, button in enumerate(group.buttons):
                button.on_click(lambda _, group=group, index=index: self._chosen(group, index))
            self._on_enter(group.words, self._send)
            self._answers += [*group.buttons, group.words]
            boxes.append(group.box)
            if others:
                boxes.append(_answers_row([group.words], layout))
        self._row = _answers_row(row if others else [self._groups[0].words, *row], layout)
        # `_view_count=0`: without a number the page does not count the views of a box.
        self.box = VBox([self._about, *boxes, self._row], layout=layout, _view_count=0, _dom_classes=("claude-ask",))

    def end(self) -> None:
        """Replace the choices by the questions and their answers."""
        gone = [widget for box in self.box.children[1:-1] for widget in _boxes_and_texts(box)]
        asked = "".join(group.asked_html() for group in self._groups)
        self._about.value = _title_html(self._title) + asked
        self.box.children = (self._about, self._row)
        super().end()
        for widget in gone:  # their layout stays open: the whole card shares it
            if hasattr(widget, "style"):  # a box has none
                widget.style.close()
            widget.close()

    def _chosen(self, group: _Group, index: int) -> None:
        if self._is_armed and not self.is_answered:
            group.choose(index)
            if self._at_once:
                self._send()

    def _send(self) -> None:
        answers = {group.question.text: answer for group in self._groups if (answer := group.answer())}
        missing = [group.question for group in self._groups if group.question.text not in answers]
        if missing:
            self._remark(f"Not answered yet: {one_line(reveal(missing[0].text))}")
        else:
            said = f"{Decision.ANSWERED.value}: {one_line(reveal('; '.join(answers.values())))}"
            self._give(PermissionAnswer(Decision.ANSWERED, answers=answers), said)

    def _decline(self) -> None:
        words = "; ".join(filter(None, (group.words.value.strip() for group in self._groups)))
        self._give(PermissionAnswer(Decision.DENY, words), f"not answered: {one_line(words)}" if words else "not answered")


class _Group:
    """One question of a card: its text, the choices, and a field for the person's own words.

    :param marked: whether each choice shows that it is selected.
    """

    def __init__(self, question: ClaudeQuestion, layout: Layout, *, marked: bool) -> None:
        self.question = question
        self._marks = _MARKS[question.several] if marked else ("", "")
        self._taken: set[int] = set()
        self.buttons = [Button(tooltip=reveal(choice.label), layout=layout, disabled=True) for choice in question.choices]
        rows = [
            HBox([button, HTML(_choice_html(choice), layout=layout)], layout=layout, _dom_classes=("claude-choice",))
            for button, choice in zip(self.buttons, question.choices, strict=True)
        ]
        placeholder = "or in your own words" if rows else "your answer"
        self.words = Text(placeholder=placeholder, layout=layout, continuous_update=False, _dom_classes=("claude-word",))
        self.box = VBox([HTML(self.asked_html(), layout=layout), *rows], layout=layout)
        self._paint()

    def choose(self, index: int) -> None:
        """Select a choice; if several may be selected, a second call deselects it."""
        self._taken = self._taken ^ {index} if self.question.several else {index}
        self._paint()

    def answer(self) -> str:
        """Return the answer for Claude; empty if there is none."""
        labels = [choice.label for index, choice in enumerate(self.question.choices) if index in self._taken]
        return self.question.answer(labels, self.words.value.strip())

    def asked_html(self) -> str:
        """Render the text of the question."""
        some = '<p class="claude-where">one or several</p>' if self.question.several else ""
        return isolated(f'<div class="claude-asked">{plain_html(reveal(self.question.text))}{some}</div>')

    def _paint(self) -> None:
        for index, (button, choice) in enumerate(zip(self.buttons, self.question.choices, strict=True)):
            button.description = self._marks[index in self._taken] + one_line(reveal(choice.label), LABEL_LENGTH)


def _choose_in_lines(request: PermissionRequest) -> PermissionAnswer:
    title = f"{who_asks(request)} asks you"
    lines = [f"{title}:"]
    answers = {}
    for question in request.questions:
        keys = _keys(question)
        lines += _question_lines(question, keys)
        how = "the number" if not keys or keys[0].isdigit() else "the letter"
        which = f"{how} of one{', or of several with commas' if question.several else ''}, or your own words"
        asked = f"{which if keys else 'Your answer'} (nothing: no answer): "
        while (answer := _meant(question, keys, typed := ask_line(title, lines, asked))) is None:
            lines = [f"There is no choice {reveal(typed)}."]
        lines = []
        if answer:
            answers[question.text] = answer
    return PermissionAnswer(Decision.ANSWERED, answers=answers) if answers else PermissionAnswer(Decision.DENY)


def _keys(question: ClaudeQuestion) -> list[str]:
    """Return a number for each choice, or a letter if a choice itself begins with a digit."""
    count = len(question.choices)
    if count <= len(ascii_lowercase) and any(choice.label[:1].isdigit() for choice in question.choices):
        return list(ascii_lowercase[:count])
    return [str(number) for number in range(1, count + 1)]


def _question_lines(question: ClaudeQuestion, keys: Sequence[str]) -> Iterator[str]:
    yield f"      {reveal(question.text)}"
    for key, choice in zip(keys, question.choices, strict=True):
        about = ": ".join(filter(None, (one_line(reveal(choice.label), 400), reveal(choice.description))))
        yield "\n".join(filter(None, (f"  [{key}] {about}", reveal(choice.preview))))


def _meant(question: ClaudeQuestion, keys: Sequence[str], typed: str) -> str | None:
    """Return the answer that the typed words give; `None` if they are a number without a choice."""
    labels = [choice.label for choice in question.choices]
    named = {label.casefold(): label for label in labels} | dict(zip(keys, labels, strict=True))
    parts = [part.strip().casefold() for part in (typed.split(",") if question.several else [typed])]
    if typed.casefold() in named:
        return question.answer([named[typed.casefold()]])
    if all(part in named for part in parts):
        return question.answer(dict.fromkeys(named[part] for part in parts))
    if keys and keys[0].isdigit() and all(part.isdigit() for part in parts):
        return None
    return question.answer([], typed)


def _title_html(title: str) -> str:
    return f'<div role="alertdialog" aria-label="{html.escape(title)}"><p class="claude-title">{escape(title)}</p></div>'


def _choice_html(choice: Choice) -> str:
    label = reveal(choice.label)
    # A button cannot show a long label, nor its lines and spaces.
    more = label if one_line(label, LABEL_LENGTH) != label else ""
    described = "\n\n".join(filter(None, (more, reveal(choice.description))))
    preview = f"<details><summary>preview</summary>{code_html(reveal(choice.preview))}</details>" if choice.preview else ""
    return isolated((plain_html(described) if described else "") + preview)


def _answers_row(widgets: Sequence[Widget], layout: Layout) -> HBox:
    return HBox(widgets, layout=layout, _dom_classes=("claude-answers",))


def _boxes_and_texts(widget: Widget) -> list[Widget]:
    """Return the widgets of a tree, except buttons and fields, which `Card.end` closes."""
    if isinstance(widget, Button | Text):
        return []
    return [part for child in getattr(widget, "children", ()) for part in _boxes_and_texts(child)] + [widget]
