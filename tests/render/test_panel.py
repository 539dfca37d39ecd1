"""The session panel: facts and rows in, a table with buttons out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from page import VIEW, Page

from claude_magic._render.live.session_panel import SessionFacts, SessionPanel, panel_bundle, panel_text
from claude_magic._render.settled.session_list import SessionRow
from claude_magic.sdk.host import ContextPart

CURRENT = "681fea2c-2417-42d4-b134-6c7d6a02503b"
OTHER = "d83e13e2-0000-42d4-b134-6c7d6a02503b"
NOW = datetime(2026, 3, 14, 15, 0).astimezone()
COMMAND = f"cd /data/titanic && claude -r {CURRENT}"
FACTS = SessionFacts(CURRENT, "titanic clean-up", "/data/titanic", "claude-opus-5-5", 5, 9812, 0.094, 0.04, command=COMMAND)
ROWS = [
    SessionRow(CURRENT, "titanic clean-up", "Which columns of df have missing values?", None, NOW, turns=5, current=True),
    SessionRow(OTHER, None, "Summarise the survey answers", None, NOW - timedelta(hours=2), turns=12),
]


def test_panel_has_a_button_for_each_other_session(page: Page) -> None:
    """The current session has none; a click on another one's Resume hands over that session's whole ID."""
    resumed: list[str] = []
    panel = SessionPanel(FACTS, ROWS, resumed.append)
    panel.show()
    (button,) = page.buttons("Resume")
    assert button["tooltip"] == "Resume d83e13e2 · Summarise the survey answers"
    page.click(button)
    assert resumed == [OTHER]
    panel.close()


def test_request_by_part() -> None:
    """What a request holds stands in a line, the largest part first; without a live process there is none."""
    parts = (ContextPart("System prompt", 1_993), ContextPart("Messages", 12_000))
    text = panel_text(replace(FACTS, request=parts), ROWS)
    assert "about 13,993 tokens (messages 12,000, system prompt 1,993)" in text
    assert "a request" not in panel_text(FACTS, ROWS)


def test_panel_is_painted_in_place(page: Page) -> None:
    """After a click the same display shows the other session as current, with no widget more than before."""

    def resume(session_id: str) -> None:
        panel.update(SessionFacts(session_id), [SessionRow(OTHER, None, "Hi", None, NOW, turns=1, current=True), *ROWS[1:]])

    panel = SessionPanel(FACTS, ROWS, resume)
    panel.show()
    before = len(page.models)
    page.click(page.buttons("Resume")[0])
    assert len(page.outputs) == 1
    assert len(page.models) == before
    assert OTHER in page.html()[0]
    assert "titanic" not in "".join(page.html())
    panel.close()


def test_closed_panel_is_plain(page: Page) -> None:
    """Closing leaves the same facts and rows as plain HTML and text in the same display, and no widget."""
    panel = SessionPanel(FACTS, ROWS, print)
    panel.show()
    assert {VIEW, "text/html", "text/plain"} == set(page.outputs[0].data)
    panel.close()
    panel.close()
    first, last = page.outputs
    assert last.transient == first.transient
    assert set(last.data) == {"text/html", "text/plain"}
    assert f"claude -r {CURRENT}" in last.data["text/html"]
    panel.update(FACTS, [])
    assert not page.models


def test_long_lists_are_cut(page: Page) -> None:
    """The panel shows ten sessions and says how many more there are; the text shows all."""
    rows = [SessionRow(f"{number:08d}", None, "Hi", None, NOW) for number in range(33)]
    panel = SessionPanel(None, rows, print)
    panel.show()
    assert len(page.buttons("Resume")) == 10
    assert "23 more: %claude_session list" in page.html()[-1]
    assert "No session yet" in page.html()[0]
    panel.close()
    assert len(panel_text(None, rows).splitlines()) == 2 + 1 + 33


@pytest.mark.parametrize("evil", ["<img src=x onerror=alert(1)>", "</table><script>1</script>", '"><b>', "$\\href{x}{y}$"])
def test_names_and_prompts_are_text(evil: str, page: Page) -> None:
    """What comes from a session is shown as it is written, in the widgets and in what is saved."""
    facts = SessionFacts(evil, evil, evil, evil)
    rows = [SessionRow(evil, evil, evil, None, NOW, turns=1)]
    panel = SessionPanel(facts, rows, print)
    panel.show()
    shown = "".join(page.html()) + panel_bundle(facts, rows)["text/html"]
    panel.close()
    assert not any(tag in shown for tag in ("<img", "<script", "<b>", "$\\"))


def test_text() -> None:
    """Without a notebook the panel is lines: what is known, then a table; unknown values are left out."""
    assert panel_text(FACTS, ROWS).splitlines() == [
        f"session        {CURRENT}",
        "name           titanic clean-up",
        "directory      /data/titanic",
        "model          opus-5-5 · context 4 % used",
        "so far         5 turns · 9,812 tokens · $0.094",
        f"in a terminal  {COMMAND}",
        "",
        "session   name              last prompt                               turns  last used",
        "681fea2c  titanic clean-up  Which columns of df have missing values?  5      2026-03-14 15:00  current",
        "d83e13e2                    Summarise the survey answers              12     2026-03-14 13:00",
    ]
    assert panel_text(SessionFacts(CURRENT), []).splitlines() == [
        f"session        {CURRENT}",
        "",
        "No sessions in this directory yet.",
    ]


def test_headings_stand_above_their_columns() -> None:
    """JupyterLab puts headings of outputs to the right: each says that it stands to the left, as its cells do."""
    html = panel_bundle(FACTS, ROWS)["text/html"]
    assert html.count("<th>") == 0
    assert html.count('<th style="text-align:left') == 12
