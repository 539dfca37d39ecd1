"""The list of sessions: rows in, a table out."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from claude_magic._render.settled.session_list import SessionRow, listing_bundle, moment, size

NOW = datetime(2026, 3, 14, 15, 0).astimezone()
ROWS = [
    SessionRow(
        "681fea2c-2417",
        "titanic clean-up",
        "hello",
        None,
        NOW,
        123_456,
        turns=5,
        current=True,
        last_prompt="Which columns have missing values?",
        branch_of="d83e13e2-0000",
        notebook="titanic.ipynb",
    ),
    SessionRow("d83e13e2-0000", None, "Summarise the survey answers", None, NOW - timedelta(hours=2)),
]


def test_text() -> None:
    """In a terminal the list is lines; what is not known is left out."""
    assert listing_bundle(ROWS)["text/plain"].splitlines() == [
        "row  session   name              last prompt                         turns  last used         from"
        "                               size",
        "1    681fea2c  titanic clean-up  Which columns have missing values?  5      2026-03-14 15:00  "
        "branch of d83e13e2, titanic.ipynb  123 KB  current",
        "2    d83e13e2                    Summarise the survey answers               2026-03-14 13:00",
    ]


def test_narrow_text() -> None:
    """On a screen that is narrower than the table each session is a few lines, which say what is what."""
    assert listing_bundle(ROWS, columns=60)["text/plain"].splitlines() == [
        "1  681fea2c  name: titanic clean-up",
        "   last prompt: Which columns have missing values?  turns: 5",
        "   last used: 2026-03-14 15:00",
        "   from: branch of d83e13e2, titanic.ipynb  size: 123 KB",
        "   current",
        "2  d83e13e2  last prompt: Summarise the survey answers",
        "   last used: 2026-03-14 13:00",
    ]
    assert listing_bundle(ROWS, columns=200)["text/plain"] == listing_bundle(ROWS)["text/plain"]


def test_more_than_is_shown() -> None:
    """Where not all sessions are shown the list says how many there are, and how to see them."""
    for text in listing_bundle(ROWS, more=1234).values():
        assert "1,234 more: %claude\\_session list" in text or "1,234 more: %claude_session list --all" in text


def test_nothing_to_list() -> None:
    """A directory without sessions says so, in every form."""
    for text in listing_bundle([]).values():
        assert "No sessions in this directory yet." in text


def test_long_lists_are_whole() -> None:
    """All sessions are listed, in every form."""
    for text in listing_bundle([SessionRow(f"{number:08d}", None, "Hi", None, NOW) for number in range(200)]).values():
        assert all(f"{number:08d}" in text for number in range(200))


@pytest.mark.parametrize("evil", ["<img src=x onerror=alert(1)>", "</table><script>1</script>", "a | b `|` [c](d)\n| e"])
def test_names_and_prompts_are_text(evil: str) -> None:
    """What comes from a session is shown as it is written, in one cell."""
    bundle = listing_bundle([SessionRow(evil, evil, evil, None, NOW, turns=1)])
    html = bundle["text/html"]
    assert not any(tag in html + bundle["text/markdown"] for tag in ("<img", "<script"))
    assert "](d)" not in bundle["text/markdown"]
    assert html.count("<td ") == 9
    assert [line.count("|") for line in bundle["text/markdown"].splitlines()] == [10, 10, 10]


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "1 KB"), (12_345, "12 KB"), (999_499, "999 KB"), (999_500, "1.0 MB"), (3_449_000, "3.4 MB")],
)
def test_size(size_bytes: int, expected: str) -> None:
    """Sizes are said in KB and MB."""
    assert size(size_bytes) == expected


def test_moment() -> None:
    """Times are said as date and time, which stay true in a saved page, in the time zone of the machine."""
    assert moment(NOW) == "2026-03-14 15:00"
    assert moment(NOW.astimezone(timezone(timedelta(hours=9)))) == "2026-03-14 15:00"
