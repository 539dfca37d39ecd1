"""A cell while it runs and when it is done: widgets first, in the same place settled output."""

from __future__ import annotations

import json

import pytest
from cells import SETTLED, WIDGET, about, answered, on_page, session_of, start
from messages_api import MessagesAPI
from rig.kernel import Kernel


@pytest.fixture
def loaded_kernel(shared_session: Kernel) -> Kernel:
    """No test here needs a session of its own."""
    return shared_session


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_streams_then_settles(loaded_kernel: Kernel, api: MessagesAPI, kind: str) -> None:
    """Text appears while it is written; then the widget is replaced, in the same display, by settled output."""
    answered(loaded_kernel, "warm up")
    cell = start(loaded_kernel, "<<say The beginning.>><<wait>><<say The end.>>", kind=kind)
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    cell.wait_for(lambda result: WIDGET in result.displays[0]["data"])
    assert "text/html" not in cell.result.displays[0]["data"]
    api.go_on.set()
    result = cell.wait()
    assert result.ok, result.outputs
    assert len(result.displays) == 1
    assert set(result.bundle) == SETTLED
    for kind_of_text in SETTLED:
        assert "The beginning." in result.bundle[kind_of_text]
        assert "The end." in result.bundle[kind_of_text]
    assert dict(loaded_kernel.widgets) == {}


def test_settles_before_it_closes(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """The settled output comes before the widgets close, so that the cell is never blank."""
    cell = start(loaded_kernel, "<<say The beginning.>><<wait>>")
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    api.go_on.set()
    result = cell.wait()
    kinds = [message["msg_type"] for message in result.messages]
    last_update = max(number for number, kind in enumerate(kinds) if kind == "update_display_data")
    assert kinds.index("comm_open") < last_update < kinds.index("comm_close")


def test_a_short_reply_is_few_messages(loaded_kernel: Kernel) -> None:
    """A reply that ends within a moment needs no widgets: the line that stood there becomes the settled output."""
    answered(loaded_kernel, "warm up")
    moment = "__import__('claude_magic._render.live_view', fromlist=['']).MOMENT_S"
    before = loaded_kernel.value(moment)
    # However busy the machine is, the reply ends within it.
    assert loaded_kernel.run(f"{moment} = 600").ok
    messages = answered(loaded_kernel, "hello").messages
    assert loaded_kernel.run(f"{moment} = {before}").ok
    assert [message["msg_type"] for message in messages if message["msg_type"].startswith(("comm_", "display", "update"))] == [
        "display_data",
        "update_display_data",
    ]
    assert len(messages) <= 14
    parts = ("header", "parent_header", "metadata", "content")
    assert sum(len(json.dumps(message[part], default=str)) for message in messages for part in parts) <= 10_000


@pytest.mark.parametrize("allow_stdin", [True, False], ids=["live", "static"])
def test_metadata(loaded_kernel: Kernel, api: MessagesAPI, allow_stdin: bool) -> None:
    """The settled output's metadata says session, turn, model, usage, cost and duration, and where the turn began and ended."""
    result = answered(loaded_kernel, "hello", allow_stdin=allow_stdin)
    found = about(result)
    place = {"parent", "how", "fork", "origin", "message_id", "failed"}
    assert set(found) == {"session_id", "turn", "model", "usage", "cost_usd", "duration_s"} | place
    assert found["session_id"] == session_of(answered(loaded_kernel, "again", allow_stdin=allow_stdin))
    assert found["turn"] >= 1
    assert found["model"] == api.requests[0]["model"]
    assert found["usage"]["input_tokens"] == 100
    assert 0 < found["cost_usd"] < 0.1
    assert 0 < found["duration_s"] < 60


def test_static_where_nobody_watches(loaded_kernel: Kernel) -> None:
    """Under nbclient no widget is opened at all; the cell settles the same output."""
    result = answered(loaded_kernel, "hello", allow_stdin=False)
    assert not any(message["msg_type"].startswith("comm_") for message in result.messages)
    assert set(result.bundle) == SETTLED


def test_status_line(loaded_kernel: Kernel) -> None:
    """While it waits the cell shows model, time and a Stop button."""
    answered(loaded_kernel, "warm up")
    cell = start(loaded_kernel, "<<think Hm.>><<say The beginning.>><<hang>>")
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    cell.wait_for(lambda _: "opus" in on_page(loaded_kernel))
    cell.wait_for(lambda _: " s" in on_page(loaded_kernel))
    loaded_kernel.click("Stop")
    assert cell.wait().status == "error"


def test_tool_calls_appear_as_they_come(loaded_kernel: Kernel) -> None:
    """A tool call shows while it runs, and its result when it has one."""
    prompt = '<<say First.>><<tool Bash {"command": "echo resulting"}>><<say Then.>><<hang>>'
    cell = start(loaded_kernel, prompt, "--allow Bash(echo:*)")
    cell.wait_for(lambda _: "Then." in on_page(loaded_kernel))
    page = on_page(loaded_kernel)
    assert page.index("First.") < page.index("echo resulting") < page.index("Then.")
    loaded_kernel.click("Stop")
    result = cell.wait()
    assert "echo resulting" in result.bundle["text/html"]


def test_updates_are_bounded(loaded_kernel: Kernel) -> None:
    """A fast stream is painted at most 20 times a second, and the kernel sends no more with every update."""
    answered(loaded_kernel, "warm up")
    result = answered(loaded_kernel, "<<stream 2000 10 1000>>")
    updates = [message for message in result.of_type("comm_msg") if "value" in message["content"]["data"].get("state", {})]
    first, last = (update["header"]["date"] for update in (updates[0], updates[-1]))
    took_s = (last - first).total_seconds()
    # A paint may change the text, the status and, when a piece is finished, one more.
    assert len(updates) <= (took_s * 20 + 2) * 3
    sent = sum(len(str(message["content"])) for message in result.of_type("comm_msg"))
    assert sent < 2_000_000
