"""Side by side: several replies to one prompt, each in a branch of its own, and going on from one of them."""

from __future__ import annotations

from typing import Any

import pytest
from cells import SETTLED, WIDGET, Configure, answered, ask, failure, history, on_page, start, usage_error
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel

TOOL = '<<tool Bash {"command": "touch %s", "description": "x"}>><<say done>>'


def each(result: CellResult) -> list[dict[str, Any]]:
    """Return what the settled output's metadata says of each alternative."""
    found: list[dict[str, Any]] = result.metadata["claude_magic"]["alternatives"]
    return found


def say(kernel: Kernel, words: str) -> CellResult:
    return kernel.run(f"%claude_session {words}", allow_stdin=False)


def labels(kernel: Kernel) -> list[str]:
    return [str(state["description"]) for state in kernel.widgets_named("ButtonModel").values()]


def test_two_models(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Both models see the conversation and not each other; the first is current, the other can be picked; `-o` is a list."""
    answered(loaded_kernel, "one")
    result = answered(loaded_kernel, "two", "--compare sonnet,haiku -o both")
    assert api.prompts()[1:] == [["one", "two"]] * 2
    assert {body["model"].split("-")[1] for body in api.requests[1:]} == {"sonnet", "haiku"}
    assert len({one["session_id"] for one in each(result)}) == 2
    models = [one["model"].split("-")[1] for one in each(result)]
    assert models == ["sonnet", "haiku"]
    assert loaded_kernel.value("[reply.model.split('-')[1] for reply in both]") == models
    answered(loaded_kernel, "of the first")
    assert history(api) == ["one", "two", "of the first"]
    assert WIDGET not in result.bundle
    assert say(loaded_kernel, "pick 2").ok
    answered(loaded_kernel, "of the second")
    assert history(api) == ["one", "two", "of the second"]
    answered(loaded_kernel, "instead", f"--at {each(result)[0]['turn']}")
    assert history(api) == ["one", "two", "instead"]
    assert "1 · sonnet" in result.text
    assert "2 · haiku (current)" in result.text


def test_samples_are_typed(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """In a kernel without a session `--samples` begins several; each reply in the list has its data."""
    loaded_kernel.run("from dataclasses import dataclass\n@dataclass\nclass City:\n    name: str")
    prompt = '<<tool StructuredOutput {"name": "Rome"}>>'
    answered(loaded_kernel, prompt, "--samples 2 --schema City -o cities")
    assert all(prompts == [prompt] for prompts in api.prompts())
    assert loaded_kernel.value("[city.structured.name for city in cities]") == ["Rome", "Rome"]
    assert loaded_kernel.value("len({city.session_id for city in cities})") == 2
    assert loaded_kernel.run("1").ok
    assert not loaded_kernel.widgets


def test_buttons_go_with_time(loaded_kernel: Kernel, configure: Configure) -> None:
    """Where no cell follows they go after `idle_timeout`, so that the saved notebook holds no dead widget."""
    configure("idle_timeout", 1)
    result = answered(loaded_kernel, "one of them", "--samples 2")
    assert WIDGET in result.bundle
    loaded_kernel.wait_for(lambda: not loaded_kernel.widgets)
    assert set(result.bundle) == SETTLED
    assert say(loaded_kernel, "pick 2").ok


def test_pick_by_button(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """When the cell has ended its buttons let another be current; the next cell closes them and goes on from that one."""
    result = answered(loaded_kernel, "<<say one of them>>", "--samples 2")
    assert WIDGET in result.bundle
    loaded_kernel.click("Continue from this one")
    loaded_kernel.sync()
    turns = say(loaded_kernel, "turns").text.splitlines()
    assert not loaded_kernel.widgets
    assert set(result.bundle) == SETTLED
    assert "\nsample 2 (current)" in result.text
    assert [line.endswith("current") for line in turns if "one of them" in line][-2:] == [False, True]
    answered(loaded_kernel, "on")
    assert history(api) == ["<<say one of them>>", "on"]


@pytest.mark.long
def test_one_is_refused(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A model that the API refuses leaves the other standing, which is current; when all are refused nothing changes."""
    answered(loaded_kernel, "one")
    result = answered(loaded_kernel, "<<only haiku>>", "--compare sonnet,haiku")
    assert "APIError" in result.text
    assert "2 · haiku (current)" in result.text
    refused = ask(loaded_kernel, "<<only opus>>", "--compare sonnet,haiku")
    failure(refused, "APIError")
    assert "(current)" not in refused.text
    assert say(loaded_kernel, "pick 2").status == "error"
    answered(loaded_kernel, "two")
    assert history(api) == ["one", "<<only haiku>>", "two"]


@pytest.mark.parametrize("by", ["button", "interrupt"])
def test_stopped_in_the_middle(loaded_kernel: Kernel, api: MessagesAPI, by: str) -> None:
    """One Stop ends all of them; what had arrived is kept, and the next cell goes on from the first."""
    prompt = "<<say part>><<hang>>"
    cell = start(loaded_kernel, prompt, "--samples 2")
    loaded_kernel.wait_for(lambda: on_page(loaded_kernel).count("part") >= 2)
    loaded_kernel.click("Stop all") if by == "button" else loaded_kernel.interrupt()
    result = cell.wait()
    assert [error["ename"] for error in result.errors] == ["TurnInterrupted"]
    assert result.text.count("part") == 2
    answered(loaded_kernel, "on")
    assert history(api) == [prompt, "on"]
    assert not loaded_kernel.widgets


def test_permission_in_both_columns(loaded_kernel: Kernel, notebook_dir: Any) -> None:
    """Each alternative asks under its own reply, and each is answered for itself."""
    cell = start(loaded_kernel, TOOL % "in-both", "--samples 2")
    loaded_kernel.wait_for(lambda: labels(loaded_kernel).count("Allow once") == 2)
    loaded_kernel.click("Allow once")
    loaded_kernel.wait_for(lambda: labels(loaded_kernel).count("Allow once") == 1)
    loaded_kernel.click("Deny")
    result = cell.wait()
    assert result.ok
    assert result.text.count("denied") == 1
    assert result.text.count("allowed once") == 1
    assert (notebook_dir / "in-both").exists()
    assert loaded_kernel.run("1").ok
    assert not loaded_kernel.widgets


def test_nobody_is_there(loaded_kernel: Kernel, notebook_dir: Any) -> None:
    """Without anybody to ask both are denied, as said under each, and no widget is made."""
    result = answered(loaded_kernel, TOOL % "by-nobody", "--samples 2", allow_stdin=False)
    assert result.text.count("nobody was there to be asked") == 2
    assert set(result.bundle) == SETTLED
    assert not any(message["msg_type"] == "comm_open" for message in result.messages)
    assert not (notebook_dir / "by-nobody").exists()


def test_below_time(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Below `%%time` a comparison blocks its cell and asks in lines; its buttons are heard when the cell has ended."""
    result = start(loaded_kernel, TOOL % "in-lines", "--samples 2", kind="sync", answer="y").wait()
    assert result.ok
    assert len(result.prompts) == 2
    assert result.text.count("allowed once") == 2
    loaded_kernel.click("Continue from this one")
    loaded_kernel.sync()
    assert loaded_kernel.run("1").ok
    assert not loaded_kernel.widgets
    assert "\nsample 2 (current)" in result.text


def test_bad_choices(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A number that is none of the alternatives', or two models in two ways, is one clear line."""
    answered(loaded_kernel, "<<say one of them>>", "--samples 2")
    for number in (0, 3):
        result = say(loaded_kernel, f"pick {number}")
        assert f"no alternative {number}; there are 2" in failure(result, "TurnNotFoundError")
    assert "from 1 to 2" in usage_error(say(loaded_kernel, "diff 1 3"))
    assert "--model and --compare" in usage_error(ask(loaded_kernel, "hello", "--model opus --compare opus,haiku"))
    assert len(api.requests) == 2
    assert "word for word" in say(loaded_kernel, "diff").text


def test_deleted_before_it_is_picked(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """An alternative whose session was deleted cannot be picked; the current one stays."""
    result = answered(loaded_kernel, "one", "--samples 2")
    assert say(loaded_kernel, f"delete {each(result)[1]['session_id']}").ok
    assert "gone" in failure(say(loaded_kernel, "pick 2"), "SessionNotFoundError")
    answered(loaded_kernel, "two")
    assert history(api) == ["one", "two"]
