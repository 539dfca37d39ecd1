"""Fixtures of the rendering tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from page import Page
from traitlets.config import Config

from claude_magic._render.live import live_reply


@pytest.fixture
def painted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paint a growing text with each update, however soon it follows."""
    monkeypatch.setattr(live_reply, "PAINT_EVERY_S", 0.0)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """The page, empty; a test that leaves a widget open on it fails."""
    page = Page()

    class Comm(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, **_: Any) -> None:
            page.take(self, msg_type, data or {})

    # The `comm` package's own seam: "intended to be replaced, so that it returns your Comm instance".
    monkeypatch.setattr(comm, "create_comm", Comm)
    InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        with capture_output(stdout=False, stderr=False) as page.captured:
            yield page
    finally:
        InteractiveShell.clear_instance()
    assert not page.models, "widgets were left open"
