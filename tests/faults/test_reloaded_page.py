"""A reply that settles while no page is there is shown by the next cell, unless the notebook has it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from rig import RunningCell
from rig.kernel import Kernel

SETTLED = {"text/html", "text/markdown", "text/plain"}


def load_page_again(kernel: Kernel) -> None:
    """Ask from now on as another client, which is what a page is that was loaded again."""
    kernel._client.session.session = str(uuid.uuid4())


def save(kernel: Kernel, outputs: list[dict[str, Any]]) -> None:
    """Write the notebook as a page would that shows these outputs."""
    cell = {"cell_type": "code", "id": "asked", "source": "%%claude\nhello", "outputs": outputs, "metadata": {}}
    Path(kernel.notebook_dir, "notebook.ipynb").write_text(json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 5}))


def ask_slowly(kernel: Kernel, api: MessagesAPI) -> RunningCell:
    """Start a cell whose answer waits for `api.go_on`."""
    cell = kernel.start("%%claude\n<<say Part.>><<wait>><<say The end.>>", cell_id="asked")
    api.wait_for_requests(1)
    return cell


def test_reloaded_in_the_middle(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """The next cell of the new page shows the reply, says why, and shows it once."""
    cell = ask_slowly(loaded_kernel, api)
    save(loaded_kernel, [])
    load_page_again(loaded_kernel)
    api.go_on.set()
    assert cell.wait().ok
    result = loaded_kernel.run("1 + 1", cell_id="another")
    shown, value = result.displays
    assert set(shown["data"]) == SETTLED
    assert "The end." in shown["data"]["text/plain"]
    assert shown["metadata"] == cell.result.metadata
    assert value["data"]["text/plain"] == "2"
    assert "not in the saved notebook" in result.stdout
    assert len(loaded_kernel.run("1 + 1", cell_id="another").displays) == 1


def test_queued_cells(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Of several queued cells whose page goes away each reply is shown."""
    first = ask_slowly(loaded_kernel, api)
    second = loaded_kernel.start("%%claude\nsecond", cell_id="second")
    save(loaded_kernel, [])
    load_page_again(loaded_kernel)
    api.go_on.set()
    assert first.wait().ok
    assert second.wait().ok
    texts = [display["data"]["text/plain"] for display in loaded_kernel.run("None", cell_id="another").displays]
    assert ["The end." in texts[0], "You said: second" in texts[1]] == [True, True]


@pytest.mark.parametrize("why", ["saved", "same page", "another cell came", "a console"])
def test_nothing_was_lost(loaded_kernel: Kernel, api: MessagesAPI, why: str) -> None:
    """A reply that was seen is not shown twice: it is in the notebook, or its page was there when it settled."""
    cell = ask_slowly(loaded_kernel, api)
    api.go_on.set()
    outputs = cell.wait().outputs
    save(loaded_kernel, outputs if why == "saved" else [])
    if why == "another cell came":
        loaded_kernel.run("None", cell_id="another")
    if why != "same page":
        load_page_again(loaded_kernel)
    result = loaded_kernel.run("None", cell_id=None if why == "a console" else "another")
    assert not result.outputs
    if why == "a console":
        assert loaded_kernel.run("None", cell_id="another").displays
