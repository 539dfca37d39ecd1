"""The list of sessions: rows in, a table out."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from claude_magic._render.settled.session_list import SessionRow, listing_bundle, listing_text, size, time_ago

NOW = datetime(2026, 3, 14, 15, 0).astimezone()
ROWS = [
    SessionRow("681fea2c-2417", "titanic clean-up", "Which columns of df have missing values?", 5, NOW, True, 123_456),
    SessionRow("d83e13e2-0000", None, "Summarise the survey answers", None, NOW - timedelta(hours=2)),
]


def test_text() -> None:
    """In a terminal the list is lines; what is not known is left out."""
    assert listing_text(ROWS, now=NOW).splitlines() == [
        "session   name              first prompt                              turns  last used  size",
        "681fea2c  titanic clean-up  Which columns of df have missing values?  5      now        123 KB  current",
        "d83e13e2                    Summarise the survey answers                     2 h ago",
    ]


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
    bundle = listing_bundle([SessionRow(evil, evil, evil, 1, NOW)])
    html = bundle["text/html"]
    assert not any(tag in html + bundle["text/markdown"] for tag in ("<img", "<script"))
    assert "](d)" not in bundle["text/markdown"]
    assert html.count("<td ") == 7
    assert [line.count("|") for line in bundle["text/markdown"].splitlines()] == [8, 8, 8]


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "1 KB"), (12_345, "12 KB"), (999_499, "999 KB"), (999_500, "1.0 MB"), (3_449_000, "3.4 MB")],
)
def test_size(size_bytes: int, expected: str) -> None:
    """Sizes are said in KB and MB."""
    assert size(size_bytes) == expected


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=5, seconds=30), "5 min ago"),
        (timedelta(hours=2, minutes=40), "2 h ago"),
        (timedelta(hours=14, minutes=59), "14 h ago"),
        (timedelta(hours=16), "yesterday"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=6, hours=20), "2026-03-07"),
        (timedelta(days=400), "2025-02-07"),
    ],
)
def test_time_ago(passed: timedelta, expected: str) -> None:
    """Times are said as one would, and as a date from a week on."""
    assert time_ago(NOW - passed, NOW) == expected


def test_time_ago_near_midnight() -> None:
    """What was two hours ago is so, also when it was yesterday; the time zone of the moment makes no difference."""
    midnight = datetime(2026, 3, 14, 1, 0).astimezone()
    assert time_ago(midnight - timedelta(hours=2), midnight) == "2 h ago"
    assert time_ago((midnight - timedelta(hours=2)).astimezone(timezone(timedelta(hours=9))), midnight) == "2 h ago"
