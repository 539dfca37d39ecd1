"""A page reports which widgets it shows only while they are wanted, as JupyterLab ends the thread that takes the reports."""

from __future__ import annotations

import pytest
from messages_api import MessagesAPI
from playwright.sync_api import WebSocket
from rig.lab import Lab

CELLS = (
    "%load_ext claude_magic",
    "%%claude\n<<say The beginning. >><<sleep 1>><<say The end.>>",
    "%%claude --compare sonnet,opus\n<<say The beginning. >><<sleep 1>><<say The end.>>",
    "%claude_session turns",
    "1 + 1",
)


@pytest.mark.long
def test_no_report_when_widgets_are_closed(lab: Lab, api: MessagesAPI) -> None:
    """With the last widget no report is under way: ipykernel (7.4) would print an error of its own into some cell."""
    sent: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(frame if isinstance(frame, str) else frame.decode("utf-8", "replace")))

    lab.write("reports.ipynb", [("code", cell) for cell in CELLS])
    with lab.open("reports.ipynb") as notebook:
        notebook.page.on("websocket", listen)
        notebook.reload()
        for number, _ in enumerate(CELLS):
            notebook.run_cell(number)
    assert any('"_view_count":1' in frame for frame in sent)
    assert not any('"_view_count":0' in frame for frame in sent)
