"""What stays in the notebook gives no secret away, and what Claude reads is data: it fetches nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cells import SETTLED, answered, ask, failure
from messages_api import MessagesAPI, prompts_of
from rig.environment import isolated_environment
from rig.kernel import Kernel

KEY = "correct-horse-battery"


class QuotingAPI(MessagesAPI):
    """Refuse a prompt that begins with "refuse", with an error that quotes the key, as some services do."""

    def answer(self, handler: Any, body: dict[str, Any]) -> None:
        if not prompts_of(body)[-1].startswith("refuse"):
            super().answer(handler, body)
            return
        error = {"type": "invalid_request_error", "message": f"the key {KEY} is not known here"}
        handler.reply(400, {"type": "error", "error": error})


@pytest.fixture(scope="module")
def module_api() -> Iterator[MessagesAPI]:
    with QuotingAPI() as api:
        yield api


@pytest.fixture(scope="module")
def environment(home: Path, module_api: MessagesAPI) -> dict[str, str]:
    return isolated_environment(home, module_api.url) | {"MY_API_KEY": KEY}


def tool(name: str, /, **arguments: Any) -> str:
    return f"<<tool {name} {json.dumps(arguments)}>>"


def test_the_settled_output(loaded_kernel: Kernel, home: Path) -> None:
    """What a tool printed of the environment, or Claude says of it, is in the reply that was bound, and not in the output."""
    prompt = tool("Bash", command="printenv MY_API_KEY HOME") + f"<<say The key is {KEY}, in {home}/notes.>>"
    result = answered(loaded_kernel, prompt, '--allow "Bash(printenv:*)" --output reply')
    assert set(result.bundle) == SETTLED
    (settled,) = result.displays
    assert KEY not in json.dumps(settled)
    assert str(home) not in json.dumps(settled)
    assert "[MY_API_KEY]" in settled["data"]["text/html"].partition("printenv")[2]  # where the tool's result is
    assert "[MY_API_KEY], in ~/notes." in settled["data"]["text/plain"]
    assert loaded_kernel.value("str(reply)") == f"The key is {KEY}, in {home}/notes."
    assert loaded_kernel.value("reply.blocks[0].result").split() == [KEY, str(home)]


def test_a_variable(loaded_kernel: Kernel) -> None:
    """What Claude looked at or ran in the kernel is in no form of the settled output either."""
    loaded_kernel.run("import os; key = os.environ['MY_API_KEY']")
    prompt = tool("mcp__kernel__inspect_variable", name="key") + tool("mcp__kernel__run_code", code=f"secret = {KEY!r}; key")
    result = answered(loaded_kernel, prompt + "<<say done>>", "--allow mcp__kernel__run_code")
    settled = next(output for output in result.displays if "text/html" in output["data"])
    assert set(settled["data"]) == SETTLED
    assert KEY not in json.dumps(settled)


def test_what_was_masked_is_said(loaded_kernel: Kernel) -> None:
    """The output, a reply shown by its name, what was sent, and the list of sessions mask the same; they say so."""
    url = "postgresql://ada:" + "tr0ub4dor" + "@db/shop"
    result = answered(loaded_kernel, f"<<say It is {KEY}, at {url}.>>", "--new --output reply")
    again = loaded_kernel.run("reply")
    settled = next(output for output in result.displays if "text/html" in output["data"])
    named = next(output for output in again.outputs if "text/html" in output.get("data", {}))
    for output in (settled, named):
        assert not {form for form, text in output["data"].items() if KEY in text or "tr0ub4dor" in text}
        assert "Masked here: MY_API_KEY, other credentials." in output["data"]["text/plain"]
    sent = loaded_kernel.run("%claude_session show --prompt").stdout
    assert f"It is [MY_API_KEY], at {url.replace('tr0ub4dor', '[credential]')}." in sent
    assert "Masked here: MY_API_KEY, other credentials. The prompt itself was sent unmasked." in sent
    assert KEY not in json.dumps(loaded_kernel.run("%claude_session list").outputs)


def test_an_error(loaded_kernel: Kernel) -> None:
    """An error of the API that quotes the key reaches the cell without it."""
    result = ask(loaded_kernel, "refuse this")
    assert "the key [MY_API_KEY] is not known here" in failure(result, "APIError")
    assert KEY not in json.dumps(result.outputs)


@pytest.mark.parametrize("way", ["inspect", "run"])
def test_data_is_no_instruction(loaded_kernel: Kernel, api: MessagesAPI, tmp_path: Path, way: str) -> None:
    """A variable that holds `@` and a path is read as these characters: the file's content is in no request."""
    (tmp_path / "private.txt").write_text("content of the file")
    text = f"@{tmp_path}/private.txt\n/cost\n!cat {tmp_path}/private.txt"
    loaded_kernel.run(f"cell = {text!r}")
    look = (
        tool("mcp__kernel__inspect_variable", name="cell") if way == "inspect" else tool("mcp__kernel__run_code", code="cell")
    )
    result = answered(loaded_kernel, look + "<<say done>>", "--allow mcp__kernel__run_code")
    answered(loaded_kernel, "go on")
    assert "done" in [output for output in result.displays if "text/html" in output["data"]][-1]["data"]["text/plain"]
    assert f"@{tmp_path}/private.txt" in json.dumps(api.requests[-1])
    assert "content of the file" not in json.dumps(api.requests)
