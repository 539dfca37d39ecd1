"""A lesson that is shown to a room: larger, without what it costs; and told to those who do not see it."""

from __future__ import annotations

import re

import pytest
from cells import SETTLED, Configure, answered, on_page
from messages_api import MessagesAPI
from rig.kernel import Kernel

from claude_magic._render.parts.reply_wording import shown_blocks
from claude_magic._render.settled.reply import SettledReply, reply_bundle
from claude_magic.sdk import events
from claude_magic.sdk.response import SessionAwareResponse, fold

COST = re.compile(r"\$\s*(?:</span>)?\d")


@pytest.mark.parametrize("for_audience", [True, False])
def test_settled_reply(for_audience: bool) -> None:
    """The cost stands in no form of it, nor does the type stay as it was; what Claude thought and did is folded."""
    response = SessionAwareResponse()
    fold(response, events.SessionStarted("00000000-0000-4000-8000-00000000000a", "m"))
    fold(response, events.ThinkingDelta(0, "Hm."))
    fold(response, events.BlockEnded(0, 0.5))
    fold(response, events.ToolCalled(1, "c", "Bash", {"command": "ls"}))
    fold(response, events.ToolReturned("c", "a.csv"))
    fold(response, events.TextDelta(2, "Costs nothing."))
    fold(response, events.TurnEnded(response.session_id, False, "success", "", 1.5, usage={"input_tokens": 1}, cost_usd=0.25))
    assert len(shown_blocks(response)) == 3
    bundle = reply_bundle(SettledReply(response, 1), for_audience=for_audience)
    assert [bool(COST.search(bundle[form].replace("\\", ""))) for form in sorted(SETTLED)] == [not for_audience] * 3
    assert ('<div class="claude-magic claude-audience' in bundle["text/html"]) is for_audience
    assert bundle["text/html"].count("<details") == 2
    assert "<details open" not in bundle["text/html"]


@pytest.mark.long
def test_in_a_kernel(shared_session: Kernel, api: MessagesAPI, configure: Configure) -> None:
    """Live and settled, side by side and in the panel nothing costs, and what goes on is told politely."""
    configure("presentation", True)
    cell = shared_session.start("%%claude\n<<say Hello.>><<wait>><<say And more.>>")
    cell.wait_for(lambda _: "Hello." in on_page(shared_session))
    assert any("claude-audience" in state.get("_dom_classes", ()) for state in shared_session.widgets.values())
    assert 'role="status" aria-live="polite"' in on_page(shared_session)
    api.go_on.set()
    results = [cell.wait(), answered(shared_session, "which?", "--samples 2")]
    results.append(shared_session.run("%claude_session", allow_stdin=False))
    for result in results:
        assert "claude_magic" in result.metadata or "so far" in result.text
        assert not COST.search("".join(result.bundle.values()).replace("\\", ""))
    assert all("claude-audience" in result.bundle["text/html"] for result in results[:2])


def test_a_reply_that_was_bound(shared_session: Kernel, configure: Configure) -> None:
    """A reply that is displayed again, by its name, costs nothing either while a lesson is shown to a room."""
    answered(shared_session, "hello", "-o reply")
    assert COST.search(shared_session.run("reply").bundle["text/html"])
    configure("presentation", True)
    html = shared_session.run("reply").bundle["text/html"]
    assert not COST.search(html)
    assert "claude-audience" in html
